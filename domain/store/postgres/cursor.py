"""How is PostgreSQL asked for something, and told something, inside a transaction? Needs psycopg (extra `postgres`).

Every question costs a way there and back. What is only told, and answered by nothing, waits for the next question, or for the end,
and goes with it.
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

from domain.store.postgres.dialect import (
    PLAIN_INSERT,
    PostgresDialect,
    as_bulk_statement,
    has_rows,
    number_parameters,
    rows_of,
    translate_sql,
)

ANSWERED_BY_NOTHING = re.compile(
    r"\s*(?:(?:INSERT|UPDATE|DELETE)\b(?!.*\bRETURNING\b)|SELECT pg_(?:advisory_xact_lock|notify)\()", re.DOTALL
)
FEW_ROWS = 20
FEW_ROWS_FOR_A_TABLE = 500
ROWS_PER_MESSAGE = 500


class PostgresCursor:
    """What is told may fail later than it was told, but not after the end of the transaction."""

    def __init__(self, connection: psycopg.Connection[Any], dialect: PostgresDialect, since: datetime | None) -> None:
        """`since`: when the transaction began to hold the ledger's lock, if it did so at its start."""
        self.dialect = dialect
        self._since = since
        self._connection = connection
        self._cursor = self._new_cursor()
        self._told: list[tuple[str, list[Sequence[Any]]]] = []
        self._givens: dict[str, str] = {}
        self._known_types: dict[str, list[int]] = {}
        self._numbers = count(1)
        self._streams: list[Generator[Any]] = []

    def now(self) -> datetime:
        found: datetime = self._since or self.execute("SELECT clock_timestamp() AS now").fetchone()["now"]
        return found

    def execute(self, statement: str, parameters: Sequence[Any] = (), /) -> Self:
        if ANSWERED_BY_NOTHING.match(statement):
            self._tell(translate_sql(statement), [parameters])
        else:
            if statement.startswith("ROLLBACK TO"):
                self._givens.clear()
            self._ask(translate_sql(statement), parameters)
        return self

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Self:
        every = iter(rows)
        while some := list(islice(every, ROWS_PER_MESSAGE)):
            self._tell(translate_sql(statement), some)
            if len(some) > FEW_ROWS:
                self.send()
        return self

    def execute_set(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Self:
        """Many rows are copied: into their table, or beside it, if they are not only to be put there."""
        insert = PLAIN_INSERT.fullmatch(statement)
        few = FEW_ROWS if insert else FEW_ROWS_FOR_A_TABLE
        remaining = iter(rows)
        first = list(islice(remaining, few))
        if len(first) < few:
            return self.executemany(statement, first)
        self.send()
        every = chain(first, remaining)
        if insert:
            self._copy(insert[1], self._types(statement), every)
        else:
            table = self._given(statement)
            self._copy(table, self._types(statement), every)
            self.execute(as_bulk_statement(statement, table))
            self._tell(f"TRUNCATE {table}", [()])
        return self

    def each(self, statement: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        self.send()
        stream = cast("Generator[Any]", self._cursor.stream(translate_sql(statement), parameters))
        self._streams.append(stream)
        return stream

    def roll_back(self) -> bool:
        """False if the connection has been lost, which is closed then. Nothing less tells: where a server ends a connection behind
        the answer to a COMMIT, it does not look closed yet."""
        try:
            for stream in self._streams:
                stream.close()  # one that somebody still holds has the connection
            self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self._connection.close()
            return False
        return True

    def end(self, statement: str) -> None:
        """Sends what has been told, and the end of the transaction with it: which it does not come to if something has failed."""
        self._ask(statement, ())

    def send(self) -> None:
        """What has been told and not sent."""
        if self._told:
            with pipeline_round_trip(self._connection):
                self._send_told()

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

    def _given(self, statement: str) -> str:
        """A table for the parameters of a statement, until the end of the transaction."""
        if statement not in self._givens:
            names = (self._connection.adapters.types[kind].name for kind in self._types(statement))
            columns = ", ".join(f"p{number} {name}" for number, name in enumerate(names, start=1))
            self._givens[statement] = f"given_{next(self._numbers)}"
            self._cursor.execute(f"CREATE TEMP TABLE {self._givens[statement]} ({columns}) ON COMMIT DROP")
        return self._givens[statement]

    def _types(self, statement: str) -> list[int]:
        """Those that PostgreSQL takes the parameters of a statement for."""
        if statement not in self._known_types:
            server = self._connection.pgconn
            for told in (server.prepare(b"", number_parameters(statement).encode()), server.describe_prepared(b"")):
                if told.status == ExecStatus.FATAL_ERROR:
                    raise psycopg.errors.error_from_result(told)
            self._known_types[statement] = [told.param_type(number) for number in range(told.nparams)]
        return self._known_types[statement]

    def _tell(self, statement: str, rows: list[Sequence[Any]]) -> None:
        self._cursor = self._new_cursor()
        if rows:
            self._told.append((statement, rows))

    def _ask(self, statement: str, parameters: Sequence[Any]) -> None:
        if not self._told:
            self._cursor.execute(statement, parameters)
            return
        with pipeline_round_trip(self._connection):
            self._send_told()
            self._cursor.execute(statement, parameters)

    def _send_told(self) -> None:
        told, self._told = self._told, []
        for statement, rows in told:
            self._new_cursor().executemany(statement, rows)

    def _new_cursor(self) -> psycopg.Cursor[Any]:
        return self._connection.cursor(row_factory=rows_of)


@contextmanager
def pipeline_round_trip(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """What is sent meanwhile goes together, and what comes back is taken at the end.

    psycopg sends a Flush behind the Sync, and who stands still after that is not ended by idle_in_transaction_session_timeout:
    PostgreSQL has stopped its clock for the message, and begins it again after a Sync only."""
    with connection.pipeline() as pipeline:

        def end() -> PQGen[None]:
            try:
                pipeline._enqueue_sync()  # noqa: SLF001 - there is no other way to leave the Flush out
                yield from pipeline._communicate_gen()  # noqa: SLF001
                # All of it, before anything is waited for: more than the kernel takes at once stays with the client otherwise.
                yield from send(connection.pgconn)
            finally:
                yield from pipeline._fetch_gen(flush=False)  # noqa: SLF001

        pipeline._exit_gen = end  # type: ignore[method-assign]  # noqa: SLF001
        yield
