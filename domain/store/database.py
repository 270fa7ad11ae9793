"""Which database holds the ledger, and how is it opened?"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from domain.store.cursor import Cursor
from domain.store.dialect import Dialect

SQLITE_PREFIX = "sqlite:///"
POSTGRES_PREFIXES = ("postgresql://", "postgres://")
DEFAULT_SCHEMA = "offer_ledger"


class Database(Protocol):
    """Whose transactions the ledger is written and read in."""

    @property
    def dialect(self) -> Dialect: ...

    def making(self, tables: Sequence[str]) -> Sequence[str]:
        """The statements that make these tables, and what only it has."""

    def writing(self) -> AbstractContextManager[Cursor]:
        """A transaction that holds the ledger's lock from its start, and commits at its end."""

    def reading(self) -> AbstractContextManager[Cursor]:
        """A transaction that sees one snapshot in all its statements."""

    def beside(self) -> AbstractContextManager[Cursor]:
        """A transaction that waits for no writer, of what need not be kept."""

    def close(self) -> None: ...


def open_database(url: str, schema: str = DEFAULT_SCHEMA) -> Database:
    """`url`: sqlite:///PATH, or one that libpq understands; `schema`: where a ledger lies in PostgreSQL."""
    if url.startswith(POSTGRES_PREFIXES):
        from domain.store.postgres import PostgresConnections  # noqa: PLC0415 - an extra

        return PostgresConnections(url, schema)
    from domain.store.sqlite import Connections  # noqa: PLC0415 - the same for all

    return Connections(url.removeprefix(SQLITE_PREFIX))
