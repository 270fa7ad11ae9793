"""How are connections to PostgreSQL opened, and transactions begun and ended? Needs psycopg (extra `postgres`)."""

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
from domain.store.database import CommitNotifications, DatabaseLocation
from domain.store.errors import LockTimeout, OutcomeUnknown, TransactionRolledBack, library_error
from domain.store.postgres.cursor import PostgresCursor
from domain.store.postgres.dialect import POSTGRES_LEDGER_VIEW, PostgresDialect, TextDumper
from domain.store.postgres.locks import BEGIN_READING, Locks
from domain.store.postgres.notifications import PostgresNotifications
from domain.store.schema import NEWEST_POSITION, UNLOGGED_TABLES, VERSIONS, require_versions
from domain.values import Scope

POOL_TIMEOUT_SECONDS = 10.0
RECONNECT_SECONDS = 1.0
IDLE_TIMEOUT_SECONDS = 30.0
"""A process that stands still in the midst of a transaction holds others up for no longer."""
POSTGRES_LOCK_TIMEOUT_SECONDS = 60.0
"""So long who reads or writes waits for others at most."""
HEARTBEAT_CONNECTIONS = 2
COMMIT, ROLLBACK = "COMMIT", "ROLLBACK"
DISABLED_PLANS = ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "jit")
"""Statements ask for some rows through indexes, in their order. Where nothing is known of a table yet, or what was known is old,
PostgreSQL takes the whole table to be the shorter way, and keeps to that in prepared statements."""
VALUE_FORMATS = ("SET client_encoding TO 'UTF8'", "SET DateStyle TO 'ISO'", "SET standard_conforming_strings TO on")
"""In which values come and go, whatever the role or the database has been given."""


# Transactions


class PostgresConnections:
    """Any number of readers, and writers that give their commits places one after the other, of all processes: who does so
    holds the ledger's lock until it has ended. So positions have no gaps, and follow each other as transactions are seen."""

    def __init__(self, place: DatabaseLocation) -> None:
        url, schema, connections = place
        writers = connections // 3
        self._locks = Locks(schema)
        self.dialect = PostgresDialect(schema, self._locks)
        self._url, self._schema = url, schema
        # Those that wait for the ledger's lock shall not keep readers waiting.
        # Nor shall those who wait for a connection to read, who hold the ledger's lock and look up a heartbeat.
        self._reading, self._writing, self._beside = (
            ConnectionPool(
                url,
                min_size=0,
                max_size=size,
                kwargs={"autocommit": True},
                configure=self._configure,
                open=True,
                reconnect_timeout=RECONNECT_SECONDS,
            )
            for size in (connections - writers - HEARTBEAT_CONNECTIONS, writers, HEARTBEAT_CONNECTIONS)
        )

    def create_statements(self, tables: Sequence[str]) -> Sequence[str]:
        beside = [table.replace("CREATE TABLE", "CREATE UNLOGGED TABLE") for table in UNLOGGED_TABLES]
        first = (f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"', "CREATE SEQUENCE commit_ids")
        return [*first, *tables, *beside, POSTGRES_LEDGER_VIEW]

    def write(self, after: Scope | None = None) -> AbstractContextManager[Cursor]:
        begin = self._locks.begin_writing_after(after) if after else self._locks.begin_writing
        return self._transaction(self._writing, begin, COMMIT)

    def bulk_write(self, scope: Scope | None = None) -> AbstractContextManager[Cursor]:
        return self._transaction(self._writing, self._locks.begin_storing(scope), COMMIT)

    def exclusive_write(self) -> AbstractContextManager[Cursor]:
        return self._transaction(self._writing, self._locks.begin_alone, COMMIT)

    def read(self) -> AbstractContextManager[Cursor]:
        """A transaction that sees one snapshot and keeps nothing."""
        return self._transaction(self._reading, BEGIN_READING, ROLLBACK)

    @contextmanager
    def read_any_schema(self) -> Iterator[Cursor]:
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ"
        with self._transaction(self._reading, begin, ROLLBACK, whatever_schema=True) as tx:
            _require_place(tx, self._schema)
            yield tx

    def schema_change(self) -> AbstractContextManager[Cursor]:
        return self._transaction(self._writing, self._locks.begin_remaking, COMMIT, whatever_schema=True)

    def heartbeat_write(self) -> AbstractContextManager[Cursor]:
        return self._transaction(self._beside, "BEGIN", COMMIT, whatever_schema=True)

    def terminate_scope_writer(self, scope: Scope) -> int:
        with self.heartbeat_write() as tx:
            return self._locks.terminate_scope_writer(tx, scope)

    def terminate_stalled_writers(self) -> int:
        with self.heartbeat_write() as tx:
            return self._locks.terminate_stalled_writers(tx)

    def newest_position(self) -> int:
        """In one way there and back: after each write it is told."""
        with library_errors(), self._begun(self._reading, NEWEST_POSITION) as answered:
            return int(answered.fetchall()[0][0])

    def notifications(self) -> CommitNotifications:
        return PostgresNotifications(self._url, self._schema)

    def close(self) -> None:
        self._reading.close()
        self._writing.close()
        self._beside.close()

    @contextmanager
    def _transaction(
        self, pool: ConnectionPool[Any], begin: str, end: str, *, whatever_schema: bool = False
    ) -> Iterator[Cursor]:
        # In one message, which is sent anyway.
        begin = begin if whatever_schema else f"{begin}; {VERSIONS}"
        with library_errors(), self._begun(pool, begin) as begun:
            connection = begun.connection
            cursor = PostgresCursor(connection, self.dialect, _since(begun))
            try:
                if not whatever_schema:
                    require_versions(begun.set_result(-1).fetchall())
                yield cursor
            except BaseException as error:
                if not cursor.roll_back() and isinstance(error, psycopg.Error):
                    raise TransactionRolledBack(str(error)) from error
                raise
            _end(cursor, end)

    @contextmanager
    def _begun(self, pool: ConnectionPool[Any], begin: str) -> Iterator[psycopg.Cursor[Any]]:
        """What has begun a transaction, on its connection. Those that were lost while nobody used them are found out by that."""
        deadline = monotonic() + POOL_TIMEOUT_SECONDS
        while True:
            connection = _connection(pool, deadline)
            try:
                begun = connection.execute(begin)
                break
            except BaseException as error:
                pool.putconn(connection)
                if not connection.closed or not isinstance(error, psycopg.OperationalError):
                    raise
        try:
            yield begun
        finally:
            pool.putconn(connection)

    def _configure(self, connection: psycopg.Connection[Any]) -> None:
        prepare(connection, self._schema)


def prepare(connection: psycopg.Connection[Any], schema: str) -> None:
    """For the ledger that lies in a schema."""
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
    connection.execute("; ".join([*(f"SET {way} TO off" for way in DISABLED_PLANS), *VALUE_FORMATS]))


def _require_place(tx: Cursor, schema: str) -> None:
    """Raises OperationalError for a database, or a role, with which there can be no ledger."""
    told = tx.execute(
        "SELECT current_setting('server_encoding') AS encoding, current_user AS role,"
        " (SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = ?) AS may_use",
        (schema,),
    ).fetchone()
    if told["encoding"] != "UTF8":
        raise OperationalError(f"The database has the encoding {told['encoding']}; a ledger needs UTF8")
    if told["may_use"] is False:
        raise OperationalError(f"The role {told['role']} may not use the schema {schema}")


def _since(begun: psycopg.Cursor[Any]) -> datetime | None:
    """From when on the transaction was the only one to write, if that was told."""
    for result in begun.results():
        if result.description and result.description[0].name == "since":
            since: datetime = result.fetchall()[0][0]
            return since
    return None


def _connection(pool: ConnectionPool[Any], deadline: float) -> psycopg.Connection[Any]:
    """Raises PoolTimeout. A pool that has not reached the database waits longer and longer until it tries again, unless it is
    asked again."""
    while True:
        try:
            connection: psycopg.Connection[Any] = pool.getconn(timeout=min(RECONNECT_SECONDS, deadline - monotonic()))
        except PoolTimeout:
            if monotonic() >= deadline:
                raise
        else:
            return connection


def _end(cursor: PostgresCursor, end: str) -> None:
    """Raises OutcomeUnknown if the connection was lost, and something was to be kept; what was only read has been read."""
    try:
        cursor.end(end)
    except psycopg.Error as error:
        if cursor.roll_back():
            raise
        if end == COMMIT:
            raise OutcomeUnknown(str(error)) from error


def _message(error: psycopg.Error) -> str:
    """Without the statement, which says nothing to who reads it."""
    return error.diag.message_primary or str(error)


_UNDONE = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)


@contextmanager
def library_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.UndefinedTable as error:
        found = re.match(r'relation "(?:\w+\.)?(\w+)" does not exist', str(error))
        raise MissingTable(found[1] if found else "", _message(error)) from error
    except PoolTimeout as error:
        raise OperationalError(str(error)) from error
    except psycopg.errors.LockNotAvailable as error:
        raise LockTimeout(str(error)) from error
    except _UNDONE as error:
        raise TransactionRolledBack(str(error)) from error
    except psycopg.Error as error:
        raise library_error(psycopg, error, _message(error)) from error
