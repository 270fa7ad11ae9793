"""Read-only connections to a hot standby of the ledger's PostgreSQL. Needs psycopg (extra `postgres`)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from eventsourcing.persistence import OperationalError
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool

from domain.store.commit import ledger_name
from domain.store.cursor import Cursor
from domain.store.database import DatabaseLocation
from domain.store.postgres.connections import configure_connection, translate_postgres_errors
from domain.store.postgres.cursor import PostgresCursor
from domain.store.postgres.dialect import PostgresDialect
from domain.store.postgres.locks import BEGIN_READ, Locks
from domain.store.schema import SELECT_SCHEMA_VERSION, SchemaMismatch, require_version_rows

REPLICA_POOL_TIMEOUT_SECONDS = 1.0
# Short timeouts, so that an unreachable standby is detected soon. Parameters of the URL override them.
DEFAULT_OPTIONS: dict[str, Any] = {
    "connect_timeout": 2,
    "tcp_user_timeout": 5_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
}
REQUIRED_OPTIONS = {"target_session_attrs": "standby", "autocommit": True}
# With a short lock timeout: while the standby replays the drop of a table, reads go to the primary.
READ_ONLY_SETTINGS = "SET lock_timeout TO '1s'; SET default_transaction_read_only TO on"


class ReplicaConnections:
    """Connections to a standby of the ledger whose name `expected_name` returns. Any other server is rejected."""

    def __init__(self, location: DatabaseLocation, expected_name: Callable[[], str]) -> None:
        self._schema, self._expected_name = location.schema, expected_name
        self._dialect = PostgresDialect(location.schema, Locks(location.schema))
        self._options = DEFAULT_OPTIONS | conninfo_to_dict(location.url) | REQUIRED_OPTIONS
        self._pool = ConnectionPool(
            min_size=0,
            max_size=location.connections,
            kwargs=self._options,
            configure=self._configure,
            check=_require_recovery,
            open=False,
            name="standby",
            timeout=REPLICA_POOL_TIMEOUT_SECONDS,
            reconnect_timeout=REPLICA_POOL_TIMEOUT_SECONDS,
        )

    def open(self) -> None:
        self._pool.open()

    def close(self) -> None:
        self._pool.close()

    def check(self) -> None:
        """Opens a connection. Raises StorageError if the standby can't be read, and SchemaMismatch if it has another ledger."""
        with translate_postgres_errors(), psycopg.connect(**self._options) as connection:
            self._configure(connection)

    @contextmanager
    def read(self) -> Iterator[Cursor]:
        """Opens a read-only transaction on one snapshot.

        PostgreSQL may cancel a long one, if the primary has removed rows or tables that its snapshot needs."""
        with translate_postgres_errors(), self._pool.connection() as connection:
            cursor = PostgresCursor(connection, self._dialect, begun_at=None)
            try:
                _require_schema(connection.execute(f"{BEGIN_READ}; {SELECT_SCHEMA_VERSION}").set_result(-1).fetchall())
                yield cursor
            finally:
                cursor.roll_back()

    def _configure(self, connection: psycopg.Connection[Any]) -> None:
        configure_connection(connection, self._schema)
        connection.execute(READ_ONLY_SETTINGS)
        with translate_postgres_errors():
            _require_schema(connection.execute(SELECT_SCHEMA_VERSION).fetchall())
            name = ledger_name(PostgresCursor(connection, self._dialect, begun_at=None))
        if not name:
            raise OperationalError("The standby has no commits of the ledger yet")
        # Read after the standby's name: the primary has every commit that the standby has.
        if name != self._expected_name():
            raise SchemaMismatch("The standby has a copy of another ledger")


def _require_schema(versions: Sequence[Sequence[Any]]) -> None:
    try:
        require_version_rows(versions)
    except SchemaMismatch as error:
        # Not a SchemaMismatch: the primary has this schema, and replication will bring it to the standby.
        raise OperationalError(str(error)) from error


def _require_recovery(connection: psycopg.Connection[Any]) -> None:
    """Raises OperationalError if the server was promoted: from then on its history may differ from the primary's."""
    row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    if not (row and row[0]):
        connection.close()
        raise psycopg.OperationalError("The server is not a standby any more")
