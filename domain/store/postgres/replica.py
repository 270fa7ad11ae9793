"""How is a hot standby of the ledger's PostgreSQL read? Needs psycopg (extra `postgres`)."""

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
from domain.store.postgres.connections import library_errors, prepare
from domain.store.postgres.cursor import PostgresCursor
from domain.store.postgres.dialect import PostgresDialect
from domain.store.postgres.locks import BEGIN_READING, Locks
from domain.store.schema import VERSIONS, SchemaMismatch, require_versions

REPLICA_POOL_TIMEOUT_SECONDS = 1.0
# One that has gone without a word is soon given up; the URL may say otherwise.
PATIENCE: dict[str, Any] = {
    "connect_timeout": 2,
    "tcp_user_timeout": 5_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
}
NOT_WRITTEN = {"target_session_attrs": "standby", "autocommit": True}
# While it replays what takes a table away, the primary answers.
NOT_WAITING = "SET lock_timeout TO '1s'; SET default_transaction_read_only TO on"


class ReplicaConnections:
    """Readers of a copy of the ledger that `name` tells; of nothing else that may be found in its place."""

    def __init__(self, place: DatabaseLocation, name: Callable[[], str]) -> None:
        self._schema, self._name = place.schema, name
        self._dialect = PostgresDialect(place.schema, Locks(place.schema))
        self._options = PATIENCE | conninfo_to_dict(place.url) | NOT_WRITTEN
        self._pool = ConnectionPool(
            min_size=0,
            max_size=place.connections,
            kwargs=self._options,
            configure=self._prepare,
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

    def look(self) -> None:
        """Raises StorageError if it can't be read, and SchemaMismatch if it is a copy of another ledger."""
        with library_errors(), psycopg.connect(**self._options) as connection:
            self._prepare(connection)

    @contextmanager
    def read(self) -> Iterator[Cursor]:
        """A transaction that sees one snapshot. PostgreSQL may end it, if it is long and the primary has done away with what it
        looks at."""
        with library_errors(), self._pool.connection() as connection:
            cursor = PostgresCursor(connection, self._dialect, since=None)
            try:
                _require_schema(connection.execute(f"{BEGIN_READING}; {VERSIONS}").set_result(-1).fetchall())
                yield cursor
            finally:
                cursor.roll_back()

    def _prepare(self, connection: psycopg.Connection[Any]) -> None:
        prepare(connection, self._schema)
        connection.execute(NOT_WAITING)
        with library_errors():
            _require_schema(connection.execute(VERSIONS).fetchall())
            found = ledger_name(PostgresCursor(connection, self._dialect, since=None))
        if not found:
            raise OperationalError("It has nothing of the ledger yet")
        # Looked up only now: it has what the standby has.
        if found != self._name():
            raise SchemaMismatch("The standby is not one of this ledger")


def _require_schema(versions: Sequence[Sequence[Any]]) -> None:
    try:
        require_versions(versions)
    except SchemaMismatch as error:
        # The primary has the right one, and what it has comes to the standby by itself.
        raise OperationalError(str(error)) from error


def _require_recovery(connection: psycopg.Connection[Any]) -> None:
    """What has been promoted has a history of its own from then on."""
    row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    if not (row and row[0]):
        connection.close()
        raise psycopg.OperationalError("It is no standby any more")
