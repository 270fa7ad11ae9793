"""Protocol of the database that stores a ledger: its transactions, commit notifications and location."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from msgspec import Struct

from domain.store.cursor import Cursor, Dialect
from domain.values import Scope

SQLITE_PREFIX = "sqlite:///"
POSTGRES_PREFIXES = ("postgresql://", "postgres://")
DEFAULT_SCHEMA = "offer_ledger"
DEFAULT_CONNECTIONS, MIN_CONNECTIONS = 24, 12
"""Per process. One third is for writers, of which all but one wait for the ledger lock."""
STALLED_SECONDS = 15
POLL_INTERVAL_SECONDS = 0.1
MAX_DAMAGE = 20


class DatabaseLocation(NamedTuple):
    """Location of a ledger. `url` is sqlite:///PATH or a libpq URL. The other members are for PostgreSQL: the schema, and the
    maximum number of connections per process."""

    url: str
    schema: str = DEFAULT_SCHEMA
    connections: int = DEFAULT_CONNECTIONS


class NotChecked(Struct, frozen=True, rename="camel"):
    """A check that was not possible, and the reason."""

    what: str
    reason: str


class StorageCheck(NamedTuple):
    """Result of the database's own check of its files: up to `MAX_DAMAGE` places, and the checks that were not possible."""

    damage: list[str]
    not_checked: Sequence[NotChecked] = ()


class CommitNotifications(Protocol):
    """Notifications of commits by any process. One thread uses an instance."""

    def wait(self, is_over: Callable[[], bool]) -> bool:
        """Waits for a commit, until the time of the next regular check, or until `is_over` returns true.

        Returns False if no notification has arrived. If the caller then finds commits, it calls `report_missed`."""

    def report_missed(self) -> None:
        """Reports that the caller found commits without a notification; a connection that receives none is dropped."""

    def close(self) -> None: ...


class Database(Protocol):
    """A database with one ledger.

    `write`, `bulk_write`, `exclusive_write` and `read` raise SchemaMismatch if the ledger has another schema version than this
    program. The schema does not change until the transaction ends."""

    @property
    def dialect(self) -> Dialect: ...

    def create_statements(self, tables: Sequence[str]) -> Sequence[str]:
        """Returns the statements that create these tables, and the objects that only this database needs."""

    def write(self, after: Scope | None = None) -> AbstractContextManager[Cursor]:
        """Opens a transaction that holds the ledger lock from its start, and commits at its end.

        With a scope, it first waits, without the lock, for a bulk write of that scope. Without one, see Dialect.busy_scopes."""

    def bulk_write(self, scope: Scope | None = None) -> AbstractContextManager[Cursor]:
        """Opens a long transaction. On PostgreSQL it does not block other writers before Dialect.acquire_ledger_lock.

        No other transaction changes offers of the scope while it runs."""

    def exclusive_write(self) -> AbstractContextManager[Cursor]:
        """Opens a transaction that waits until no bulk write runs in any scope, and holds the ledger lock."""

    def read(self) -> AbstractContextManager[Cursor]:
        """Opens a read-only transaction: all its statements see one snapshot."""

    def read_any_schema(self) -> AbstractContextManager[Cursor]:
        """Opens a read-only transaction without the check of the schema version."""

    def schema_change(self) -> AbstractContextManager[Cursor]:
        """Opens a transaction that creates or migrates a ledger, without the check of the schema version.

        It excludes all writers, and readers see its changes only after the commit."""

    def heartbeat_write(self) -> AbstractContextManager[Cursor]:
        """Opens a transaction for UNLOGGED_TABLES, which does not wait for the writers of the ledger."""

    def terminate_scope_writer(self, scope: Scope) -> int:
        """Terminates the connections that run a bulk write in a scope, after its run has got another owner.

        Returns their number."""

    def terminate_stalled_writers(self) -> int:
        """Terminates connections that hold the ledger lock and have sent nothing for STALLED_SECONDS. Returns their number.

        Otherwise a stalled process would block all writers."""

    def check_storage(self) -> StorageCheck:
        """Checks the files of the database, as far as the database can. It reads all of them, and changes nothing."""

    def newest_position(self) -> int:
        """Returns the position of the newest commit."""

    def notifications(self) -> CommitNotifications: ...

    def place(self) -> str:
        """Returns where the ledger is or would be, for people. It has no password."""

    def other_ledgers(self) -> list[str]:
        """Returns the other schemas of a PostgreSQL database that have a ledger."""

    def close(self) -> None: ...
