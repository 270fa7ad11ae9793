"""The signing key of console sessions. It is never in the ledger: a copy of the ledger must not open the console."""

import secrets
from contextlib import suppress
from pathlib import Path

from api.access.private_files import OutputExists, atomic_file

CONSOLE_KEY_SUFFIX = "-console-key"
"""The key of a ledger on SQLite is in a file beside it, with this suffix."""
MIN_KEY_CHARACTERS = 32
_KEY_BYTES = 32
_OTHER_USERS = 0o077


class UnusableKey(Exception):
    """The key file can't be read, created or used. The message says why, and what to do."""


def load_console_key(file: Path) -> bytes:
    """Returns the key in a file. The first process creates the file, and all others use it. Raises UnusableKey."""
    try:
        if not file.exists():
            # Another process may create it at the same time: then its key counts.
            with suppress(OutputExists), atomic_file(file) as unfinished:
                unfinished.write_text(secrets.token_urlsafe(_KEY_BYTES) + "\n")
        if file.stat().st_mode & _OTHER_USERS:
            raise UnusableKey(f"Other users may read {file}: give it mode 600, or delete it so that a new key is made")
        key = file.read_bytes().strip()
    except OSError as error:
        raise UnusableKey(f"Cannot use {file}: {error.strerror}. Set OFFER_LEDGER_CONSOLE_KEY") from error
    if len(key) < MIN_KEY_CHARACTERS:
        raise UnusableKey(
            f"{file} has no key of at least {MIN_KEY_CHARACTERS} characters: delete it, and a new key is made"
        )
    return key
