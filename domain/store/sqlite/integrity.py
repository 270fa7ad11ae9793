"""Checks the pages, tables and indexes of a SQLite ledger."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from domain.store.cursor import Cursor
from domain.store.database import MAX_DAMAGE, StorageCheck
from domain.store.errors import DamagedStorage

SOUND = "ok"
_TITLE = "*** in database"
"""Start of a line that names no damage."""


def check_pages(read: Callable[[], AbstractContextManager[Cursor]]) -> StorageCheck:
    """Checks that every page is valid, and that every index has exactly the rows of its table. It reads the whole file."""
    damage: list[str] = []  # a damaged page can end the check with an error, after some lines
    try:
        with read() as tx:
            damage.extend(_lines(tx))
    except DamagedStorage as error:
        damage = [*damage, str(error)]
    return StorageCheck(damage[:MAX_DAMAGE])


def _lines(tx: Cursor) -> Iterator[str]:
    for row in tx.execute(f"PRAGMA integrity_check({MAX_DAMAGE})"):
        for line in str(row[0]).splitlines():
            if line != SOUND and not line.startswith(_TITLE):
                yield line
