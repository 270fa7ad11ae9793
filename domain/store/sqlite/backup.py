"""Copies of a SQLite ledger: a backup while it is in use, and a copy of a backup."""

from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from domain.store.sqlite.driver import connect, translate_sqlite_errors
from domain.values import ProgressCallback

PAGES_PER_STEP = 1_000


def copy_database(source: Path, target: Path, watch: ProgressCallback) -> int:
    """Copies one snapshot of the database into an empty `target`, while others read and write. Returns its position."""
    with translate_sqlite_errors(), closing(connect(source)) as ledger:
        ledger.execute("BEGIN")
        position: Any = ledger.execute("SELECT position FROM head").get
        _copy(ledger, target, watch)
        return int(position)


def copy_backup(source: Path, target: Path, watch: ProgressCallback) -> None:
    """Copies a backup into an empty `target`. It changes nothing beside the backup, which may be read-only.

    Raises apsw.Error."""
    # Without `immutable`, SQLite has to create files beside a database in WAL mode.
    is_unused = not source.with_name(f"{source.name}-wal").exists()
    uri = f"{source.absolute().as_uri()}?mode=ro{'&immutable=1' if is_unused else ''}"
    with closing(connect(uri, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)) as backup:
        _copy(backup, target, watch)


def _copy(source: apsw.Connection, target: Path, watch: ProgressCallback) -> None:
    source.execute("SELECT count(*) FROM sqlite_master")  # has a message if the file is no database
    try:
        with closing(connect(target)) as copy, copy.backup("main", source, "main") as backup:
            while not backup.done:
                backup.step(PAGES_PER_STEP)
                watch(backup.page_count - backup.remaining, backup.page_count)
    except apsw.Error as error:
        # SQLite has no message about a failed copy.
        name = apsw.mapping_result_codes[error.result]  # type: ignore[attr-defined]
        raise type(error)(f"SQLite stopped the copy with {name}") from error
