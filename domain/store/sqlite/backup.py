"""Copies of a SQLite ledger: a backup while it is in use, and a copy of a backup."""

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
        _copy(ledger, target, watch)
        return int(position)


def copy_backup(source: Path, target: Path, watch: ProgressCallback) -> None:
    """Copies a backup into an empty `target`. It changes nothing beside the backup, which may be read-only.

    Raises sqlite3.Error."""
    # Without `immutable`, SQLite has to create files beside a database in WAL mode.
    is_unused = not source.with_name(f"{source.name}-wal").exists()
    uri = f"{source.absolute().as_uri()}?mode=ro{'&immutable=1' if is_unused else ''}"
    with closing(sqlite3.connect(uri, uri=True)) as backup:
        _copy(backup, target, watch)


def _copy(source: sqlite3.Connection, target: Path, watch: ProgressCallback) -> None:
    with closing(sqlite3.connect(target)) as copy:
        source.backup(
            copy, pages=PAGES_PER_STEP, progress=lambda _status, remaining, total: watch(total - remaining, total)
        )
