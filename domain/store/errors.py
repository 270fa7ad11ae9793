"""Storage errors, and the mapping from a driver's PEP 249 errors to the errors of the eventsourcing library."""

from types import ModuleType

from eventsourcing import persistence
from eventsourcing.persistence import DatabaseError, OperationalError, PersistenceError


class TransactionRolledBack(OperationalError):
    """The database rolled the transaction back for a reason outside it. The caller can retry at once."""


class TableInUse(TransactionRolledBack):
    """A table can't be replaced or dropped yet: another transaction is using it."""


class LockTimeout(OperationalError):
    """Another transaction held a lock for longer than the lock timeout."""


class OutcomeUnknown(OperationalError):
    """The connection was lost during COMMIT: the change was either committed or rolled back."""


class DamagedStorage(DatabaseError):
    """The database's files contain a page or a value that cannot be read."""


# Most specific first.
_ERROR_NAMES = (
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
    """Returns the library's error that corresponds to an error of a PEP 249 driver."""
    for name in _ERROR_NAMES:
        if isinstance(error, getattr(driver, name)):
            raised: PersistenceError = getattr(persistence, name)(message)
            return raised
    return PersistenceError(message)
