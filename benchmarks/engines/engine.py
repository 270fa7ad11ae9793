"""On which database does a benchmark run? What it compares a ledger with is written raw, to the same one."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, Protocol

from api.settings import Settings
from domain.store.database import Database

Row = tuple[Any, ...]


class Raw(Protocol):
    """Tables as durable as a ledger's, with nothing around them."""

    def keep_bytes(self, table: str) -> None:
        """Makes a table of one column, for bytes as they are."""

    def copy_tables(self, ledger: Settings, tables: Sequence[str]) -> None:
        """Makes tables like a ledger's, with the same indexes."""

    def execute(self, statement: str, values: Row = ()) -> None:
        """In a transaction of its own."""

    def write(self, rows: Mapping[str, Sequence[Row]], then: str | None = None) -> None:
        """By table, as fast as it goes, and a last statement; in one transaction."""


class Engine(Protocol):
    """Statements are written for SQLite's ear, as the ledger's are."""

    @property
    def name(self) -> str: ...

    def settings(self) -> dict[str, str]:
        """Those that matter to what is measured, as the ledger's own connections have them."""

    @property
    def folder(self) -> Path:
        """Where everything lies that a benchmark leaves behind."""

    def ledger(self, name: str) -> Settings:
        """A place of its own."""

    def select(self, ledger: Settings, statement: str, values: Row = ()) -> list[Row]: ...

    def megabytes(self, ledger: Settings) -> float: ...

    def settle(self, ledger: Settings) -> None:
        """Does at once, to a ledger that was filled quickly, what is done to one that has grown for a long time."""

    def raw(self) -> AbstractContextManager[Raw]:
        """An empty one, which is gone at the end."""


def told_by(database: Database, version: tuple[str, str], asked: str, names: Sequence[str]) -> dict[str, str]:
    """`version`: what it is called, and the question for it; `asked`: how the database is asked for each of the other names."""
    questions = [version, *((name, f"{asked} {name}") for name in names)]
    with closing(database), database.read_any_schema() as tx:
        return {name: str(next(iter(dict(tx.execute(question).fetchone()).values()))) for name, question in questions}


def environment(ledger: Settings) -> dict[str, str]:
    """For processes that work with a ledger."""
    return os.environ | {
        "OFFER_LEDGER_DATABASE_URL": ledger.database_url,
        "OFFER_LEDGER_DATABASE_SCHEMA": ledger.database_schema,
    }
