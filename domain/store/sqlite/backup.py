"""Copies a SQLite ledger while it is in use."""

import sqlite3
from contextlib import closing
from pathlib import Path

from domain.store.sqlite.connections import _library_errors
from domain.values import ProgressCallback

PAGES_PER_STEP = 1_000


def copy_database(source: Path, target: Path, watch: ProgressCallback) -> int:
    """The whole of it in one snapshot, while others read and write; answers the position of the copy. `target` is empty."""
    with _library_errors(), closing(sqlite3.connect(source, isolation_level=None)) as ledger:
        ledger.execute("BEGIN")
        (position,) = ledger.execute("SELECT position FROM head").fetchone()
        with closing(sqlite3.connect(target)) as copy:
            ledger.backup(copy, pages=PAGES_PER_STEP, progress=lambda _status, left, total: watch(total - left, total))
        return int(position)
