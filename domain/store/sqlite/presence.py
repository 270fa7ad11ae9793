"""Checks the file of a ledger on SQLite before a connection opens it: opening creates a missing file and changes others."""

from contextlib import closing
from pathlib import Path

import apsw
from eventsourcing.persistence import OperationalError

from domain.store.errors import DamagedStorage
from domain.store.schema import NoLedger, OtherContent, SchemaMismatch
from domain.store.sqlite.driver import connect
from domain.store.sqlite.files import file_identity


def require_ledger_file(database: str, *, may_create: bool) -> None:
    """Raises NoLedger if the file is missing or empty, unless it may be created. It creates and changes nothing.

    Raises SchemaMismatch if the file has other content."""
    file = Path(database).absolute()
    missing = f"There is no ledger in the file {file}"
    if not file.parent.is_dir():
        raise SchemaMismatch(f"{missing}: the folder {file.parent} does not exist")
    if not file.exists():
        if may_create:
            return
        raise NoLedger(f"{missing}: the file does not exist")
    if not file.is_file():
        raise SchemaMismatch(f"{missing}: it is not a file")
    tables = _current_table_names(file, missing)
    if tables and "schema_version" not in tables:
        raise OtherContent(f"the file {file}")
    if not tables and not may_create:
        raise NoLedger(f"{missing}: the file is empty")


def _current_table_names(file: Path, missing: str) -> set[str]:
    while True:
        before = file_identity(file)
        names = _table_names(file, missing)
        # `restore` can replace the file while SQLite waits for the old file's lock.
        if file_identity(file) == before:
            return names


def _table_names(file: Path, missing: str) -> set[str]:
    try:
        # Without the flag CREATE, SQLite never creates a file. Without write permission, it opens the file for reading.
        with closing(connect(file, apsw.SQLITE_OPEN_READWRITE)) as connection:
            return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except UnicodeDecodeError as error:
        # The driver raises it for an error message with a damaged name.
        raise DamagedStorage(f"a name is not valid UTF-8: {file}") from error
    except apsw.CorruptError as error:
        raise DamagedStorage(f"{error}: {file}") from error
    except apsw.NotADBError as error:
        raise SchemaMismatch(f"{missing}: {error}") from error
    except apsw.Error as error:
        raise OperationalError(f"{error}: {file}") from error
