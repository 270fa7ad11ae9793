"""Cursor for PostgreSQL that saves round trips. Needs psycopg (extra `postgres`).

A statement that returns rows costs a round trip. A statement that returns none is queued, and sent in a pipeline with the next
one that does, or with the COMMIT.
"""

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import chain, count, islice
from typing import Any, Self, cast

import psycopg
from psycopg.abc import PQGen
from psycopg.generators import send
from psycopg.pq import ExecStatus

from domain.store.cursor import Lookup
from domain.store.postgres.dialect import (
    PLAIN_INSERT,
    PostgresDialect,
    as_bulk_statement,
    has_rows,
    number_parameters,
    row_factory,
    translate_sql,
)

RETURNS_NO_ROWS = re.compile(
    r"\s*(?:(?:INSERT|UPDATE|DELETE)\b(?!.*\bRETURNING\b)|SELECT pg_(?:advisory_xact_lock|notify)\()", re.DOTALL
)
MIN_ROWS_TO_COPY = 20
MIN_ROWS_FOR_TEMP_TABLE = 500
ROWS_PER_BATCH = 500


class PostgresCursor:
    """Cursor inside a transaction. A queued statement may fail at a later call, at the latest at the COMMIT."""

    def __init__(
        self, connection: psycopg.Connection[Any], dialect: PostgresDialect, begun_at: datetime | None
    ) -> None:
        """`begun_at`: the time at the start of the transaction, if that has read the clock."""
        self.dialect = dialect
        self._begun_at = begun_at
        self._connection = connection
        self._cursor = self._new_cursor()
        self._queue: list[tuple[str, list[Sequence[Any]]]] = []
        self._temp_tables: dict[str, str] = {}
        self._known_types: dict[str, list[int]] = {}
        self._table_numbers = count(1)
        self._streams: list[Generator[Any]] = []

    def now(self) -> datetime:
        now: datetime = self._begun_at or self.execute("SELECT clock_timestamp() AS now").fetchone()["now"]
        return now

    def execute(self, statement: str, parameters: Sequence[Any] = (), /) -> Self:
        if RETURNS_NO_ROWS.match(statement):
            self._enqueue(translate_sql(statement), [parameters])
        else:
            if statement.startswith("ROLLBACK TO"):
                self._temp_tables.clear()  # the rollback may have dropped them
            self._execute(translate_sql(statement), parameters)
        return self

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Self:
        remaining = iter(rows)
        while batch := list(islice(remaining, ROWS_PER_BATCH)):
            self._enqueue(translate_sql(statement), batch)
            if len(batch) > MIN_ROWS_TO_COPY:
                self.send_queue()
        return self

    def execute_set(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Self:
        """Sends many rows with COPY: a plain INSERT into its table, any other statement through a temporary table."""
        insert = PLAIN_INSERT.fullmatch(statement)
        min_rows = MIN_ROWS_TO_COPY if insert else MIN_ROWS_FOR_TEMP_TABLE
        remaining = iter(rows)
        first = list(islice(remaining, min_rows))
        if len(first) < min_rows:
            return self.executemany(statement, first)
        self.send_queue()
        all_rows = chain(first, remaining)
        if insert:
            self._copy(insert[1], self._types(statement), all_rows)
        else:
            table = self._temp_table(statement)
            self._copy(table, self._types(statement), all_rows)
            self.execute(as_bulk_statement(statement, table))
            self._enqueue(f"TRUNCATE {table}", [()])
        return self

    def read_together(self, *lookups: Lookup[Any]) -> list[Any]:
        cursors = [self._new_cursor() for _ in lookups]
        with pipeline_round_trip(self._connection):
            self._execute_queue()
            for lookup, cursor in zip(lookups, cursors, strict=True):
                cursor.execute(translate_sql(lookup.statement), lookup.parameters)
        return [lookup.result(cursor.fetchall()) for lookup, cursor in zip(lookups, cursors, strict=True)]

    def stream_rows(self, statement: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        self.send_queue()
        stream = cast("Generator[Any]", self._cursor.stream(translate_sql(statement), parameters))
        self._streams.append(stream)
        return stream

    def roll_back(self) -> bool:
        """Rolls back. Returns False, and closes the connection, if it is lost.

        Only a statement shows that: if the server terminates a connection after its reply to COMMIT, it does not look closed."""
        try:
            for stream in self._streams:
                stream.close()  # an open stream blocks the connection
            self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self._connection.close()
            return False
        return True

    def end(self, statement: str) -> None:
        """Sends the queue and COMMIT or ROLLBACK together. If a queued statement fails, the transaction is not committed."""
        self._execute(statement, ())

    def send_queue(self) -> None:
        """Sends the queued statements in one round trip."""
        if self._queue:
            with pipeline_round_trip(self._connection):
                self._execute_queue()

    def fetchone(self) -> Any:
        return self._cursor.fetchone() if has_rows(self._cursor) else None

    def fetchall(self) -> list[Any]:
        return self._cursor.fetchall() if has_rows(self._cursor) else []

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor) if has_rows(self._cursor) else iter(())

    def _copy(self, table: str, types: Sequence[int], rows: Iterable[Sequence[Any]]) -> None:
        with self._cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def _temp_table(self, statement: str) -> str:
        """Returns a temporary table for the parameters of a statement; it exists until the end of the transaction."""
        if statement not in self._temp_tables:
            names = (self._connection.adapters.types[kind].name for kind in self._types(statement))
            columns = ", ".join(f"p{number} {name}" for number, name in enumerate(names, start=1))
            self._temp_tables[statement] = f"parameters_{next(self._table_numbers)}"
            self._cursor.execute(f"CREATE TEMP TABLE {self._temp_tables[statement]} ({columns}) ON COMMIT DROP")
        return self._temp_tables[statement]

    def _types(self, statement: str) -> list[int]:
        """Returns the type OIDs that PostgreSQL infers for the parameters of a statement."""
        if statement not in self._known_types:
            server = self._connection.pgconn
            for result in (server.prepare(b"", number_parameters(statement).encode()), server.describe_prepared(b"")):
                if result.status == ExecStatus.FATAL_ERROR:
                    raise psycopg.errors.error_from_result(result)
            self._known_types[statement] = [result.param_type(number) for number in range(result.nparams)]
        return self._known_types[statement]

    def _enqueue(self, statement: str, rows: list[Sequence[Any]]) -> None:
        self._cursor = self._new_cursor()
        if rows:
            self._queue.append((statement, rows))

    def _execute(self, statement: str, parameters: Sequence[Any]) -> None:
        if not self._queue:
            self._cursor.execute(statement, parameters)
            return
        with pipeline_round_trip(self._connection):
            self._execute_queue()
            self._cursor.execute(statement, parameters)

    def _execute_queue(self) -> None:
        queue, self._queue = self._queue, []
        for statement, rows in queue:
            self._new_cursor().executemany(statement, rows)

    def _new_cursor(self) -> psycopg.Cursor[Any]:
        return self._connection.cursor(row_factory=row_factory)


@contextmanager
def pipeline_round_trip(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Sends the statements of the block together, and reads their results at its end.

    It replaces the end of psycopg's pipeline, which sends a Flush after the Sync. After that Flush, PostgreSQL does not apply
    idle_in_transaction_session_timeout: it stops the timer at a message and restarts it only after a Sync."""
    with connection.pipeline() as pipeline:

        def end() -> PQGen[None]:
            try:
                pipeline._enqueue_sync()  # noqa: SLF001 - no option omits the Flush; see test_canaries
                yield from pipeline._communicate_gen()  # noqa: SLF001 - as above
                # Sends everything before waiting: data beyond the kernel's send buffer would otherwise stay in the client.
                yield from send(connection.pgconn)
            finally:
                yield from pipeline._fetch_gen(flush=False)  # noqa: SLF001 - as above

        pipeline._exit_gen = end  # type: ignore[method-assign]  # noqa: SLF001 - as above
        yield
