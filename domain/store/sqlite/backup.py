"""Backup of a SQLite ledger while it is in use."""

import sqlite3
from contextlib import closing
from pathlib import Path

from domain.store.sqlite.connections import translate_sqlite_errors
from domain.values import ProgressCallback

PAGES_PER_STEP = 1_000


def copy_database(source: Path, target: Path, watch: ProgressCallback) -> int:
    """Copies one snapshot of the database into an empty `target`, while others read and write. Returns its position."""
    with translate_sqlite_errors(), closing(sqlite3.connect(source, isolation_level=None)) as ledger:
        ledger.execute("BEGIN")
        (position,) = ledger.execute("SELECT position FROM head").fetchone()
        with closing(sqlite3.connect(target)) as copy:
            ledger.backup(
                copy, pages=PAGES_PER_STEP, progress=lambda _status, remaining, total: watch(total - remaining, total)
            )
        return int(position)
