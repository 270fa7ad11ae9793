"""Which database holds the ledger, and how is it opened?"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from domain.store.cursor import Cursor, Dialect
from domain.values import Scope

SQLITE_PREFIX = "sqlite:///"
POSTGRES_PREFIXES = ("postgresql://", "postgres://")
DEFAULT_SCHEMA = "offer_ledger"
DEFAULT_CONNECTIONS, FEWEST_CONNECTIONS = 24, 12
"""A third of them is for those who write, of whom all but one wait for their turn."""
STALLED_SECONDS = 15
POLL_INTERVAL_SECONDS = 0.1


class DatabaseLocation(NamedTuple):
    """Where a ledger lies. `url`: sqlite:///PATH, or one that libpq understands; the rest is for PostgreSQL: the schema, and how
    many connections a process has at most."""

    url: str
    schema: str = DEFAULT_SCHEMA
    connections: int = DEFAULT_CONNECTIONS


class CommitNotifications(Protocol):
    """When to look whether something has been committed, by whichever process. It is one thread's."""

    def wait(self, is_over: Callable[[], bool]) -> bool:
        """Returns when something has been committed, when it is time to look all the same, or when it is over, soon after
        that. Whether all that can be found now is known of: a former call, too, may have had no news to tell."""

    def missed(self) -> None:
        """Something has been found that the last call did not know of."""

    def close(self) -> None: ...


class Database(Protocol):
    """Whose transactions the ledger is written and read in. `writing`, `storing`, `alone` and `reading` raise SchemaMismatch if
    this program does not know the ledger's schema, which then stays what it is until they end."""

    @property
    def dialect(self) -> Dialect: ...

    def create_statements(self, tables: Sequence[str]) -> Sequence[str]:
        """The statements that make these tables, and what only it has."""

    def write(self, after: Scope | None = None) -> AbstractContextManager[Cursor]:
        """A transaction that holds the ledger's lock from its start, and commits at its end. With a scope, it waits first,
        without the lock, for whoever is storing much there; without one, see Dialect.busy."""

    def bulk_write(self, scope: Scope | None = None) -> AbstractContextManager[Cursor]:
        """A transaction that is long: until Dialect.take_turn it keeps nobody from writing, if the database can do that.
        Others do not change the offers of the scope meanwhile."""

    def exclusive_write(self) -> AbstractContextManager[Cursor]:
        """A transaction that holds the lock, while nobody is storing anything anywhere."""

    def read(self) -> AbstractContextManager[Cursor]:
        """A transaction that sees one snapshot in all its statements."""

    def read_any_schema(self) -> AbstractContextManager[Cursor]:
        """The same, whatever the database holds."""

    def schema_change(self) -> AbstractContextManager[Cursor]:
        """A transaction of who makes a ledger, or another one of it, whatever the database holds: nobody writes beside it, and
        nobody sees what is half done."""

    def heartbeat_write(self) -> AbstractContextManager[Cursor]:
        """A transaction that waits for no writer, of what need not be kept."""

    def terminate_scope_writer(self, scope: Scope) -> int:
        """Ends the connections of those who are storing something in a scope, which is theirs no more; answers how many."""

    def terminate_stalled_writers(self) -> int:
        """The same for those who hold the ledger's lock, and have not been heard of for STALLED_SECONDS: a process that stands
        still must not keep all others from writing."""

    def newest_position(self) -> int:
        """At which everything can be seen that has been committed by now."""

    def notifications(self) -> CommitNotifications: ...

    def close(self) -> None: ...
