"""Connection pools and transactions of a ledger in PostgreSQL. Needs psycopg (extra `postgres`)."""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from enum import StrEnum
from time import monotonic
from typing import Any

import psycopg
from eventsourcing.persistence import OperationalError
from psycopg import sql
from psycopg_pool import ConnectionPool, PoolTimeout

from domain.store.cursor import Cursor, MissingTable
from domain.store.database import CommitNotifications, DatabaseLocation, StorageCheck
from domain.store.errors import DamagedStorage, LockTimeout, OutcomeUnknown, TransactionRolledBack, library_error
from domain.store.postgres.amcheck import check_relations
from domain.store.postgres.cursor import PostgresCursor
from domain.store.postgres.dialect import POSTGRES_LEDGER_VIEW, PostgresDialect, TextDumper
from domain.store.postgres.locks import BEGIN_READ, Locks
from domain.store.postgres.notifications import PostgresNotifications
from domain.store.postgres.outage import Outage, WatchedConnection
from domain.store.schema import SELECT_NEWEST_POSITION, SELECT_SCHEMA_VERSION, UNLOGGED_TABLES, require_version_rows
from domain.values import Scope

OLDEST_POSTGRES = 15
"""Oldest major version on which all tests pass."""
POOL_TIMEOUT_SECONDS = 10.0
RECONNECT_SECONDS = 1.0
IDLE_TIMEOUT_SECONDS = 30.0
"""PostgreSQL terminates a transaction that sends no statement for so long, because it may block others."""
POSTGRES_LOCK_TIMEOUT_SECONDS = 60.0
"""Longest wait of a reader or writer for a lock."""
HEARTBEAT_CONNECTIONS = 2
COMMIT, ROLLBACK = "COMMIT", "ROLLBACK"
_SELECT_LEDGER_SCHEMAS = """
    SELECT schemaname FROM pg_tables WHERE tablename IN ('schema_version', 'commits', 'streams')
    GROUP BY schemaname HAVING count(*) = 3 ORDER BY schemaname LIMIT 10
"""
DISABLED_PLANS = ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "jit")
"""All statements read a few rows through an index, in its order. Without current statistics of a table, PostgreSQL may choose a
scan of the whole table, and keep that plan for prepared statements."""
VALUE_FORMATS = ("SET client_encoding TO 'UTF8'", "SET DateStyle TO 'ISO'", "SET standard_conforming_strings TO on")
"""Formats of values, set on every connection because the role or the database may have other defaults."""


class PostgresConnections:
    """Transactions of any number of readers and writers, in all processes.

    A writer holds the ledger lock from assigning positions until its transaction ends. So positions have no gaps, and become
    visible in ascending order."""

    def __init__(self, location: DatabaseLocation) -> None:
        url, schema, connections = location
        writers = connections // 3
        self._locks = Locks(schema)
        self.dialect = PostgresDialect(schema, self._locks)
        self._url, self._schema = url, schema
        self._outage = Outage(POOL_TIMEOUT_SECONDS)
        # Separate pools: writers that wait for the ledger lock must not take the connections of readers. And a writer that
        # holds the lock and reads a heartbeat must not wait for readers.
        self._read_pool, self._write_pool, self._heartbeat_pool = (
            ConnectionPool(
                url,
                min_size=0,
                max_size=size,
                connection_class=WatchedConnection,
                kwargs={"autocommit": True, "outage": self._outage},
                configure=self._configure,
                open=True,
                reconnect_timeout=RECONNECT_SECONDS,
            )
            for size in (connections - writers - HEARTBEAT_CONNECTIONS, writers, HEARTBEAT_CONNECTIONS)
        )

    def create_statements(self, tables: Sequence[str]) -> Sequence[str]:
        unlogged = [table.replace("CREATE TABLE", "CREATE UNLOGGED TABLE") for table in UNLOGGED_TABLES]
        first = (f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"', "CREATE SEQUENCE commit_ids")
        return [*first, *tables, *unlogged, POSTGRES_LEDGER_VIEW]

    def write(self, after: Scope | None = None) -> AbstractContextManager[Cursor]:
        begin = self._locks.begin_write_after(after) if after else self._locks.begin_write
        return self._transaction(self._write_pool, begin, COMMIT)

    def bulk_write(self, scope: Scope | None = None) -> AbstractContextManager[Cursor]:
        return self._transaction(self._write_pool, self._locks.begin_bulk_write(scope), COMMIT)

    def exclusive_write(self) -> AbstractContextManager[Cursor]:
        return self._transaction(self._write_pool, self._locks.begin_exclusive_write, COMMIT)

    def read(self) -> AbstractContextManager[Cursor]:
        """Opens a read-only transaction: all its statements see one snapshot. It is rolled back at its end."""
        return self._transaction(self._read_pool, BEGIN_READ, ROLLBACK)

    @contextmanager
    def read_any_schema(self) -> Iterator[Cursor]:
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ"
        with self._transaction(self._read_pool, begin, ROLLBACK, any_schema=True) as tx:
            _require_usable(tx, self._schema)
            yield tx

    def schema_change(self) -> AbstractContextManager[Cursor]:
        return self._transaction(self._write_pool, self._locks.begin_schema_change, COMMIT, any_schema=True)

    def heartbeat_write(self) -> AbstractContextManager[Cursor]:
        return self._transaction(self._heartbeat_pool, "BEGIN", COMMIT, any_schema=True)

    def terminate_scope_writer(self, scope: Scope) -> int:
        with self.heartbeat_write() as tx:
            return self._locks.terminate_scope_writer(tx, scope)

    def terminate_stalled_writers(self) -> int:
        with self.heartbeat_write() as tx:
            return self._locks.terminate_stalled_writers(tx)

    def check_storage(self) -> StorageCheck:
        with self.read() as tx:
            if tx.execute("SELECT pg_is_in_recovery() AS is_standby").fetchone()["is_standby"]:
                # The comparison needs temporary tables, which a standby can't create. That says nothing about its rows.
                raise OperationalError("This server is a hot standby, which is read-only; verify its primary")
        return check_relations(self.read, self._schema)

    def newest_position(self) -> int:
        """Returns the position of the newest commit, in one round trip: every reply to a write contains it."""
        with translate_postgres_errors(), self._begin(self._read_pool, SELECT_NEWEST_POSITION) as cursor:
            return int(cursor.fetchall()[0][0])

    def notifications(self) -> CommitNotifications:
        return PostgresNotifications(self._url, self._schema)

    def place(self) -> str:
        with translate_postgres_errors(), self._begin(self._read_pool, "SELECT 1") as cursor:
            info = cursor.connection.info
            return f"the schema {self._schema} of the database {info.dbname} on {info.host}, port {info.port}"

    def other_ledgers(self) -> list[str]:
        with translate_postgres_errors(), self._begin(self._read_pool, _SELECT_LEDGER_SCHEMAS) as cursor:
            return [schema for (schema,) in cursor.fetchall() if schema != self._schema]

    def close(self) -> None:
        self._read_pool.close()
        self._write_pool.close()
        self._heartbeat_pool.close()

    @contextmanager
    def _transaction(
        self, pool: ConnectionPool[Any], begin: str, end: str, *, any_schema: bool = False
    ) -> Iterator[Cursor]:
        # The version check goes with BEGIN, in one round trip.
        begin = begin if any_schema else f"{begin}; {SELECT_SCHEMA_VERSION}"
        with translate_postgres_errors(), self._begin(pool, begin) as begin_cursor:
            connection = begin_cursor.connection
            cursor = PostgresCursor(connection, self.dialect, _begun_at(begin_cursor))
            try:
                if not any_schema:
                    require_version_rows(begin_cursor.set_result(-1).fetchall())
                yield cursor
            except BaseException as error:
                if not cursor.roll_back() and isinstance(error, psycopg.Error):
                    raise TransactionRolledBack(_message(error)) from error
                raise
            _end(cursor, end)

    @contextmanager
    def _begin(self, pool: ConnectionPool[Any], begin: str) -> Iterator[psycopg.Cursor[Any]]:
        """Executes BEGIN and yields its cursor. If a pooled connection was lost while idle, it tries the next one."""
        deadline = monotonic() + POOL_TIMEOUT_SECONDS
        while True:
            connection = self._connection(pool, deadline)
            try:
                begin_cursor = connection.execute(begin)
                break
            except BaseException as error:
                pool.putconn(connection)
                if not connection.closed or not isinstance(error, psycopg.OperationalError):
                    raise
        try:
            yield begin_cursor
        finally:
            pool.putconn(connection)

    def _connection(self, pool: ConnectionPool[Any], deadline: float) -> psycopg.Connection[Any]:
        """Takes a connection from the pool. Raises OperationalError at the deadline.

        While the database is not reachable, the pool tries to connect at increasing intervals. A new request for a connection makes
        it try at once."""
        while True:
            try:
                connection: psycopg.Connection[Any] = pool.getconn(
                    timeout=min(RECONNECT_SECONDS, deadline - monotonic())
                )
            except PoolTimeout:
                reason = self._outage.find_reason()
                if monotonic() >= deadline:
                    what = f"PostgreSQL can't be reached: {reason}" if reason else "no connection to PostgreSQL is free"
                    raise OperationalError(f"{what} (waited {POOL_TIMEOUT_SECONDS:g} seconds)") from None
            else:
                return connection

    def _configure(self, connection: psycopg.Connection[Any]) -> None:
        configure_connection(connection, self._schema)


def configure_connection(connection: psycopg.Connection[Any], schema: str) -> None:
    """Sets the session settings and adapters for the ledger in a schema."""
    for kind in (str, StrEnum):
        connection.adapters.register_dumper(kind, TextDumper)
    connection.execute(
        sql.SQL(
            "SET search_path TO {}; SET TimeZone TO 'UTC'; SET idle_in_transaction_session_timeout TO {}; SET lock_timeout TO {}"
        ).format(
            sql.Identifier(schema),
            sql.Literal(int(IDLE_TIMEOUT_SECONDS * 1000)),
            sql.Literal(int(POSTGRES_LOCK_TIMEOUT_SECONDS * 1000)),
        )
    )
    connection.execute("; ".join([*(f"SET {plan} TO off" for plan in DISABLED_PLANS), *VALUE_FORMATS]))


def _require_usable(tx: Cursor, schema: str) -> None:
    """Raises OperationalError unless the server is new enough, its encoding is UTF8, and the role may use the schema."""
    row = tx.execute(
        "SELECT current_setting('server_encoding') AS encoding, current_user AS role,"
        " current_setting('server_version_num')::int / 10000 AS major_version,"
        " (SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = ?) AS may_use",
        (schema,),
    ).fetchone()
    if row["major_version"] < OLDEST_POSTGRES:
        raise OperationalError(
            f"The server is PostgreSQL {row['major_version']}; a ledger needs PostgreSQL {OLDEST_POSTGRES} or newer"
        )
    if row["encoding"] != "UTF8":
        raise OperationalError(f"The database has the encoding {row['encoding']}; a ledger needs UTF8")
    if row["may_use"] is False:
        raise OperationalError(f"The role {row['role']} may not use the schema {schema}")


def _begun_at(begin_cursor: psycopg.Cursor[Any]) -> datetime | None:
    """Returns the time that BEGIN has read: of a write with the ledger lock after it got the lock."""
    for result in begin_cursor.results():
        if result.description and result.description[0].name == "begun_at":
            begun_at: datetime = result.fetchall()[0][0]
            return begun_at
    return None


def _end(cursor: PostgresCursor, end: str) -> None:
    """Ends the transaction. Raises OutcomeUnknown if the connection is lost during COMMIT; a lost ROLLBACK is no error."""
    try:
        cursor.end(end)
    except psycopg.Error as error:
        if cursor.roll_back():
            raise
        if end == COMMIT:
            raise OutcomeUnknown(str(error)) from error


def _message(error: psycopg.Error) -> str:
    """Returns PostgreSQL's primary message, without the statement.

    It also removes the rest from the error, which a traceback shows: the details have values of rows."""
    message = error.diag.message_primary or str(error)
    error.args = (message,)
    return message


_ROLLBACK_ERRORS = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)


@contextmanager
def translate_postgres_errors() -> Iterator[None]:
    """Raises psycopg's errors as errors of the eventsourcing library."""
    try:
        yield
    except psycopg.errors.UndefinedTable as error:
        match = re.match(r'relation "(?:\w+\.)?(\w+)" does not exist', str(error))
        raise MissingTable(match[1] if match else "", _message(error)) from error
    except PoolTimeout as error:
        raise OperationalError(str(error)) from error
    except psycopg.errors.LockNotAvailable as error:
        raise LockTimeout(_message(error)) from error
    except _ROLLBACK_ERRORS as error:
        raise TransactionRolledBack(str(error)) from error
    except (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted) as error:
        raise DamagedStorage(_message(error)) from error
    except psycopg.Error as error:
        raise library_error(psycopg, error, _message(error)) from error
