"""Which secrets does a ledger keep? Made once, for those who give none; a primary record."""

import secrets

from domain.store.cursor import Cursor

PSEUDONYMS = "pseudonyms"
SECRET_BYTES = 32


def make_secrets(tx: Cursor) -> None:
    tx.execute("INSERT INTO secrets VALUES (?, ?)", (PSEUDONYMS, secrets.token_bytes(SECRET_BYTES)))


def find_secret(tx: Cursor, name: str) -> bytes:
    """For one that make_secrets makes."""
    found: bytes = tx.execute("SELECT secret FROM secrets WHERE name = ?", (name,)).fetchone()["secret"]
    return found
