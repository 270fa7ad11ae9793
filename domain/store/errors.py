"""What does the library call what a database has refused or could not do? PEP 249 names both alike."""

from types import ModuleType

from eventsourcing import persistence
from eventsourcing.persistence import OperationalError, PersistenceError


class TransactionRolledBack(OperationalError):  # noqa: N818 - it says what is the case
    """What has been done so far of a transaction was undone, by no fault of its own: it can be done again at once."""


class TableInUse(TransactionRolledBack):
    """A table that is to be replaced or removed is being read by somebody, who goes on for longer than a moment."""


class LockTimeout(OperationalError):  # noqa: N818 - the same
    """Others have not come to an end for as long as anybody waits for them."""


class OutcomeUnknown(OperationalError):  # noqa: N818 - the same
    """The database was lost while it was told to keep a change: it has kept it, or it has not."""


# The most special first.
_NAMES = (
    "IntegrityError",
    "OperationalError",
    "DataError",
    "InternalError",
    "ProgrammingError",
    "NotSupportedError",
    "DatabaseError",
    "InterfaceError",
)


def library_error(driver: ModuleType, error: Exception, message: str) -> PersistenceError:
    """Of an error that a driver, as PEP 249 has it, has raised."""
    for name in _NAMES:
        if isinstance(error, getattr(driver, name)):
            raised: PersistenceError = getattr(persistence, name)(message)
            return raised
    return PersistenceError(message)
