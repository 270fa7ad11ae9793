"""Puts a complete copy in the place of a ledger on SQLite, which no process may be using."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from secrets import token_hex

from domain.store.sqlite.files import BESIDE_SUFFIXES, PRIVATE_MODE, keep_owner, store_durably

_UNFINISHED_SUFFIX = ".part"
_FIRST_LOCK_BYTE, _LOCK_BYTES = 0x40000000, 512
"""The bytes that SQLite locks: https://sqlite.org/lockingv3.html, PENDING_BYTE."""


class LedgerInUse(Exception):
    """Another process has the ledger open."""


@contextmanager
def replacement_of(database: Path) -> Iterator[Path]:
    """Returns the path of an empty file beside the ledger. At the end it replaces the ledger and all files beside it.

    If the block fails, the ledger stays as it is. No process can use or create it meanwhile. Raises LedgerInUse, OSError."""
    database = database.resolve()
    with _exclusive(database) as ledger:
        _remove_unfinished(database)
        unfinished = database.with_name(f".{database.name}.{token_hex(4)}{_UNFINISHED_SUFFIX}")
        try:
            os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_MODE))
            yield unfinished
            keep_owner(ledger, unfinished)
            store_durably(unfinished)
            # Before the replacement: SQLite would apply a WAL of the old ledger to the new one.
            _remove_beside(database)
            unfinished.replace(database)
            store_durably(database.parent)
        finally:
            _remove_beside(unfinished)
            unfinished.unlink(missing_ok=True)


@contextmanager
def _exclusive(database: Path) -> Iterator[os.stat_result]:
    """Holds SQLite's locks on the file. A process that uses a ledger in WAL mode holds a shared lock all the time.

    It creates a missing file, so that no other process creates a ledger there. Returns the state of the file."""
    is_new = not database.exists()
    descriptor = os.open(database, os.O_RDWR | os.O_CREAT, PRIVATE_MODE)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _LOCK_BYTES, _FIRST_LOCK_BYTE)
        except (BlockingIOError, PermissionError):
            raise LedgerInUse(database) from None
        state = os.fstat(descriptor)
        if not _is_at(database, state):
            raise LedgerInUse(database)  # another restore has just replaced the file
        try:
            yield state
        finally:
            if is_new and _is_at(database, state) and not os.fstat(descriptor).st_size:
                database.unlink()
    finally:
        os.close(descriptor)


def _is_at(path: Path, state: os.stat_result) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), state)
    return False


def _remove_unfinished(database: Path) -> None:
    """Removes what a restore left when it was killed. Only one restore at a time gets here."""
    for file in database.parent.glob(f".{escape(database.name)}.*{_UNFINISHED_SUFFIX}*"):
        file.unlink(missing_ok=True)


def _remove_beside(database: Path) -> None:
    for suffix in (*BESIDE_SUFFIXES, "-journal"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
