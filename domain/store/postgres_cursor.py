"""How is PostgreSQL asked for something, and told something, inside a transaction? Needs psycopg (extra `postgres`).

Every question costs a way there and back. What is only told, and answered by nothing, waits for the next question, or for the end,
and goes with it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any, Self

import psycopg
from psycopg import sql

from domain.store.postgres_words import PLAIN_INSERT, PostgresDialect, rows_of, translated

ANSWERED_BY_NOTHING = re.compile(
    r"\s*(?:(?:INSERT|UPDATE|DELETE)\b(?!.*\bRETURNING\b)|SELECT pg_(?:advisory_xact_lock|notify)\()", re.DOTALL
)
FEW_ROWS = 20
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

    def now(self) -> datetime:
        found: datetime = self._since or self.execute("SELECT clock_timestamp() AS now").fetchone()["now"]
        return found

    def execute(self, statement: str, parameters: Sequence[Any] = (), /) -> Self:
        if ANSWERED_BY_NOTHING.match(statement):
            self._tell(translated(statement), [parameters])
        else:
            self._ask(translated(statement), parameters)
        return self

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Self:
        """Many rows that are only to be put into a table are copied."""
        remaining = iter(rows)
        few = list(islice(remaining, FEW_ROWS))
        if len(few) < FEW_ROWS:
            self._tell(translated(statement), few)
            return self
        self.send()
        every = chain(few, remaining)
        if insert := PLAIN_INSERT.fullmatch(statement):
            with self._cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(insert[1]))) as copy:
                for row in every:
                    copy.write_row(row)
        else:
            while some := list(islice(every, ROWS_PER_MESSAGE)):
                self._cursor.executemany(translated(statement), some)
        return self

    def each(self, statement: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        self.send()
        return self._cursor.stream(translated(statement), parameters)

    def end(self, statement: str) -> None:
        """Sends what has been told, and the end of the transaction with it: which it does not come to if something has failed."""
        self._ask(statement, ())

    def send(self) -> None:
        """What has been told and not sent."""
        if self._told:
            with self._connection.pipeline():
                self._send_told()

    def fetchone(self) -> Any:
        return self._cursor.fetchone() if self._cursor.description else None

    def fetchall(self) -> list[Any]:
        return self._cursor.fetchall() if self._cursor.description else []

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor) if self._cursor.description else iter(())

    def _tell(self, statement: str, rows: list[Sequence[Any]]) -> None:
        self._cursor = self._new_cursor()
        if rows:
            self._told.append((statement, rows))

    def _ask(self, statement: str, parameters: Sequence[Any]) -> None:
        if not self._told:
            self._cursor.execute(statement, parameters)
            return
        with self._connection.pipeline():
            self._send_told()
            self._cursor.execute(statement, parameters)

    def _send_told(self) -> None:
        told, self._told = self._told, []
        for statement, rows in told:
            self._new_cursor().executemany(statement, rows)

    def _new_cursor(self) -> psycopg.Cursor[Any]:
        return self._connection.cursor(row_factory=rows_of)
