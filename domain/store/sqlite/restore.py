"""Puts a complete copy in the place of a ledger on SQLite, which no process may be using."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from domain.store.sqlite.files import BESIDE_SUFFIXES, PRIVATE_MODE

_FIRST_LOCK_BYTE, _LOCK_BYTES = 0x40000000, 512
"""The bytes that SQLite locks: https://sqlite.org/lockingv3.html, PENDING_BYTE."""


class LedgerInUse(Exception):
    """Another process has the ledger open."""


@contextmanager
def replacement_of(database: Path) -> Iterator[Path]:
    """Returns the path of an empty file beside the ledger. At the end it replaces the ledger and all files beside it.

    If the block fails, the ledger stays as it is. No process can use it meanwhile. Raises LedgerInUse, OSError."""
    database = database.resolve()
    unfinished = database.with_name(f".{database.name}.{token_hex(4)}.part")
    with _exclusive(database):
        try:
            os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_MODE))
            yield unfinished
            _flush(unfinished)
            # Before the replacement: SQLite would apply a WAL of the old ledger to the new one.
            _remove_beside(database)
            unfinished.replace(database)
            _flush(database.parent)
        finally:
            _remove_beside(unfinished)
            unfinished.unlink(missing_ok=True)


@contextmanager
def _exclusive(database: Path) -> Iterator[None]:
    """Holds SQLite's locks on an existing file. A process that uses a ledger in WAL mode holds a shared lock all the time."""
    try:
        descriptor = os.open(database, os.O_RDWR)
    except FileNotFoundError:
        yield
        return
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _LOCK_BYTES, _FIRST_LOCK_BYTE)
        except (BlockingIOError, PermissionError):
            raise LedgerInUse(database) from None
        yield
    finally:
        os.close(descriptor)


def _remove_beside(database: Path) -> None:
    for suffix in BESIDE_SUFFIXES:
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def _flush(path: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
