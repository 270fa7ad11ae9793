"""The interface of a database that benchmarks run on. Floors write raw tables to the same database."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, Protocol

from api.settings import Settings
from domain.store.database import Database

Row = tuple[Any, ...]


class RawTables(Protocol):
    """Tables without a service, as durable as those of a ledger."""

    def keep_bytes(self, table: str) -> None:
        """Creates a table with one column of bytes, which are not compressed."""

    def copy_tables(self, ledger: Settings, tables: Sequence[str]) -> None:
        """Creates tables like those of a ledger, with the same indexes."""

    def execute(self, statement: str, values: Row = ()) -> None:
        """Executes a statement in its own transaction."""

    def write(self, rows: Mapping[str, Sequence[Row]], last_statement: str | None = None) -> None:
        """Writes rows by table in one transaction, as fast as the database can, with a last statement."""


class Engine(Protocol):
    """A database that holds the ledgers of a benchmark. Statements are in the SQLite dialect, like those of the
    ledger."""

    @property
    def name(self) -> str: ...

    def settings(self) -> dict[str, str]:
        """Returns the settings that affect the figures, as the connections of a ledger have them."""

    @property
    def folder(self) -> Path:
        """The folder for everything that a benchmark writes."""

    def ledger(self, name: str) -> Settings:
        """Returns the settings for a ledger of that name."""

    def select(self, ledger: Settings, statement: str, values: Row = ()) -> list[Row]: ...

    def megabytes(self, ledger: Settings) -> float: ...

    def settle(self, ledger: Settings) -> None:
        """Runs the maintenance, such as VACUUM, that a slowly grown ledger would have had."""

    def raw(self) -> AbstractContextManager[RawTables]:
        """Gives raw tables that are dropped at the end."""


def read_settings(database: Database, version: tuple[str, str], keyword: str, names: Sequence[str]) -> dict[str, str]:
    """Reads settings of a database.

    `version`: the name and the query of the version; `keyword`: the SQL keyword that reads a setting, such as PRAGMA.
    """
    queries = [version, *((name, f"{keyword} {name}") for name in names)]
    with closing(database), database.read_any_schema() as tx:
        return {name: str(next(iter(dict(tx.execute(query).fetchone()).values()))) for name, query in queries}


def environment(ledger: Settings) -> dict[str, str]:
    """Returns the environment variables for a process that uses the ledger."""
    return os.environ | {
        "OFFER_LEDGER_DATABASE_URL": ledger.database_url,
        "OFFER_LEDGER_DATABASE_SCHEMA": ledger.database_schema,
    }
