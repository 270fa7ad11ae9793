"""How are connections to PostgreSQL opened, and transactions begun and ended? Needs psycopg (extra `postgres`)."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Self

import psycopg
from eventsourcing.persistence import OperationalError
from psycopg import sql
from psycopg_pool import ConnectionPool, PoolTimeout

from domain.store.cursor import Cursor
from domain.store.dialect import MissingTable
from domain.store.errors import library_error
from domain.store.postgres_words import LEDGER_VIEW, PLAIN_INSERT, PostgresDialect, TextDumper, rows_of, translated
from domain.store.schema import HEARTBEATS

LOCK_TIMEOUT_SECONDS = 60.0
POOL_TIMEOUT_SECONDS = 10.0
IDLE_TIMEOUT_SECONDS = 30.0
"""A process that stands still in the midst of a transaction holds others up for no longer."""
READERS, WRITERS = 16, 8
FEW_ROWS = 20
ROWS_PER_MESSAGE = 500


class PostgresCursor:
    def __init__(self, connection: psycopg.Connection[Any], dialect: PostgresDialect) -> None:
        self.dialect = dialect
        self._cursor: psycopg.Cursor[Any] = connection.cursor(row_factory=rows_of)

    def execute(self, statement: str, parameters: Sequence[Any] = (), /) -> Self:
        self._cursor.execute(translated(statement), parameters)
        return self

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Self:
        """Many rows that are only to be put into a table are copied."""
        remaining = iter(rows)
        few = list(itertools.islice(remaining, FEW_ROWS))
        insert = PLAIN_INSERT.fullmatch(statement)
        if insert and len(few) == FEW_ROWS:
            with self._cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(insert[1]))) as copy:
                for row in itertools.chain(few, remaining):
                    copy.write_row(row)
            return self
        every = itertools.chain(few, remaining)
        while some := list(itertools.islice(every, ROWS_PER_MESSAGE)):
            self._cursor.executemany(translated(statement), some)
        return self

    def each(self, statement: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        return self._cursor.stream(translated(statement), parameters)

    def fetchone(self) -> Any:
        return self._cursor.fetchone() if self._cursor.description else None

    def fetchall(self) -> list[Any]:
        return self._cursor.fetchall() if self._cursor.description else []

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor) if self._cursor.description else iter(())


# Transactions


class PostgresConnections:
    """Any number of readers, and one writer at a time, of all processes: who writes holds the ledger's lock from the start of
    the transaction. So positions have no gaps, and follow each other as transactions are seen."""

    def __init__(self, url: str, schema: str) -> None:
        self.dialect = PostgresDialect(schema)
        self._schema = schema
        options = {"autocommit": True}
        pools = (
            ConnectionPool(
                url,
                min_size=0,
                max_size=size,
                kwargs=options,
                configure=self._configure,
                check=ConnectionPool.check_connection,
                open=True,
                timeout=POOL_TIMEOUT_SECONDS,
            )
            for size in (READERS, WRITERS)
        )
        self._reading, self._writing = pools

    def making(self, tables: Sequence[str]) -> Sequence[str]:
        heartbeats = HEARTBEATS.replace("CREATE TABLE", "CREATE UNLOGGED TABLE")
        first = (f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"', "CREATE SEQUENCE commit_ids")
        return [*first, *tables, heartbeats, LEDGER_VIEW]

    @contextmanager
    def writing(self) -> Iterator[Cursor]:
        """A transaction that holds the ledger's lock from its start and commits at its end; rolls back on any error."""
        with self._transaction(self._writing, f"BEGIN; {self._lock()}", "COMMIT") as cursor:
            yield cursor

    @contextmanager
    def reading(self) -> Iterator[Cursor]:
        """A transaction that sees one snapshot and keeps nothing."""
        with self._transaction(self._reading, "BEGIN ISOLATION LEVEL REPEATABLE READ", "ROLLBACK") as cursor:
            yield cursor

    @contextmanager
    def beside(self) -> Iterator[Cursor]:
        """A transaction that waits for no writer, of what is not part of the ledger."""
        with self._transaction(self._reading, "BEGIN", "COMMIT") as cursor:
            yield cursor

    def close(self) -> None:
        self._reading.close()
        self._writing.close()

    def _lock(self) -> str:
        seconds = int(LOCK_TIMEOUT_SECONDS)
        name = sql.Literal(f"offer-ledger {self._schema}").as_string()
        return f"SET LOCAL lock_timeout = '{seconds}s'; SELECT pg_advisory_xact_lock(hashtextextended({name}, 0))"

    @contextmanager
    def _transaction(self, pool: ConnectionPool[Any], begin: str, end: str) -> Iterator[PostgresCursor]:
        with _library_errors(), pool.connection() as connection:
            connection.execute(begin)
            try:
                yield PostgresCursor(connection, self.dialect)
            except BaseException:
                if not connection.closed:
                    connection.execute("ROLLBACK")
                raise
            connection.execute(end)

    def _configure(self, connection: psycopg.Connection[Any]) -> None:
        for kind in (str, StrEnum):
            connection.adapters.register_dumper(kind, TextDumper)
        connection.execute(
            sql.SQL(
                "SET search_path TO {}; SET TimeZone TO 'UTC'; SET idle_in_transaction_session_timeout TO {}"
            ).format(sql.Identifier(self._schema), sql.Literal(int(IDLE_TIMEOUT_SECONDS * 1000)))
        )


@contextmanager
def _library_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.UndefinedTable as error:
        found = re.match(r'relation "(?:\w+\.)?(\w+)" does not exist', str(error))
        raise MissingTable(found[1] if found else "", str(error)) from error
    except PoolTimeout as error:
        raise OperationalError(str(error)) from error
    except psycopg.Error as error:
        raise library_error(psycopg, error) from error
