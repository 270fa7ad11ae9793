"""What does the library call what a database has refused or could not do? PEP 249 names both alike."""

from types import ModuleType

from eventsourcing import persistence
from eventsourcing.persistence import PersistenceError

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


def library_error(driver: ModuleType, error: Exception) -> PersistenceError:
    """Of an error that a driver, as PEP 249 has it, has raised."""
    for name in _NAMES:
        if isinstance(error, getattr(driver, name)):
            raised: PersistenceError = getattr(persistence, name)(str(error))
            return raised
    return PersistenceError(str(error))
