"""Secrets of a ledger: generated once, and used unless the settings provide one. They are primary records."""

import secrets

from domain.store.cursor import Cursor

PSEUDONYM_KEY = "pseudonyms"
SECRET_BYTES = 32


def make_secrets(tx: Cursor) -> None:
    tx.execute("INSERT INTO secrets VALUES (?, ?)", (PSEUDONYM_KEY, secrets.token_bytes(SECRET_BYTES)))


def find_secret(tx: Cursor, name: str) -> bytes:
    """Returns a secret that `make_secrets` has stored."""
    secret: bytes = tx.execute("SELECT secret FROM secrets WHERE name = ?", (name,)).fetchone()["secret"]
    return secret
