"""The driver of SQLite, `apsw`: opens files, and translates errors.

The driver brings its own SQLite. No other SQLite library, such as Python's `sqlite3`, may open a file in the process that has it
open with this driver. POSIX locks belong to the process: when one library closes the file, the other one loses its locks.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
from eventsourcing.persistence import DataError, IntegrityError, InternalError, OperationalError, ProgrammingError

from domain.store.cursor import MissingTable
from domain.store.errors import DamagedStorage

SQLITE_LOCK_TIMEOUT_SECONDS = 60.0
CACHED_STATEMENTS = 256
_LIBRARY_ERRORS = (
    ((apsw.CorruptError, apsw.NotADBError), DamagedStorage),
    ((apsw.ConstraintError, apsw.MismatchError), IntegrityError),
    ((apsw.TooBigError,), DataError),
    ((apsw.InternalError,), InternalError),
    (
        (apsw.MisuseError, apsw.BindingsError, apsw.ThreadingViolationError, apsw.ConnectionClosedError),
        ProgrammingError,
    ),
    ((apsw.Error,), OperationalError),
)
"""The driver's errors and the library's error for them, the most general last."""


def connect(file: Path | str, flags: int = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) -> apsw.Connection:
    """Opens a file. Each statement is its own transaction until a BEGIN. One thread at a time may use the connection.

    Raises apsw.Error."""
    # Because one thread at a time uses a connection, SQLite needs no mutex for it.
    connection = apsw.Connection(
        str(file), flags=flags | apsw.SQLITE_OPEN_NOMUTEX, statementcachesize=CACHED_STATEMENTS
    )
    connection.set_busy_timeout(int(SQLITE_LOCK_TIMEOUT_SECONDS * 1000))
    return connection


@contextmanager
def translate_sqlite_errors() -> Iterator[None]:
    """Raises the errors of the driver as errors of the eventsourcing library."""
    try:
        yield
    except UnicodeDecodeError as error:
        # The driver raises it for a damaged text, and for an error message with a damaged name.
        raise DamagedStorage("a text is not valid UTF-8") from error
    except apsw.Error as error:
        if match := re.match(r"no such table: (?:main\.)?(\w+)", str(error)):
            raise MissingTable(match[1], str(error)) from error
        raise next(raised for kinds, raised in _LIBRARY_ERRORS if isinstance(error, kinds))(str(error)) from error
