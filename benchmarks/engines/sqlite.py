"""The engine for SQLite: each ledger is a file."""

import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from api.settings import Settings
from benchmarks.engines.engine import Row, read_settings
from domain.store.factory import open_database
from domain.store.sqlite.driver import connect

VERSION = ("version", "SELECT sqlite_version()")
SETTINGS = ("journal_mode", "synchronous", "page_size", "cache_size", "wal_autocheckpoint")
SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")
"""The names of the values of `PRAGMA synchronous`, which returns a number."""


class Sqlite:
    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def settings(self) -> dict[str, str]:
        settings = read_settings(open_database(self.ledger("settings").database_location), VERSION, "PRAGMA", SETTINGS)
        return settings | {"synchronous": SYNCHRONOUS[int(settings["synchronous"])]}

    def ledger(self, name: str) -> Settings:
        return Settings(database_url=f"sqlite:///{self.folder}/{name}.db")

    def select(self, ledger: Settings, statement: str, values: Row = ()) -> list[Row]:
        with closing(connect(ledger.database)) as connection:
            return connection.execute(statement, values).fetchall()

    def megabytes(self, ledger: Settings) -> float:
        return ledger.database.stat().st_size / 1e6

    def settle(self, _ledger: Settings) -> None:
        """SQLite needs no maintenance."""

    @contextmanager
    def raw(self) -> Iterator["SqliteRaw"]:
        with (
            tempfile.TemporaryDirectory(dir=self.folder) as directory,
            closing(sqlite3.connect(f"{directory}/raw.db", isolation_level=None)) as connection,
        ):
            for pragma in ("page_size=8192", "journal_mode=WAL", "synchronous=FULL"):
                connection.execute(f"PRAGMA {pragma}")
            yield SqliteRaw(self, connection)


class SqliteRaw:
    def __init__(self, engine: Sqlite, connection: sqlite3.Connection) -> None:
        self._engine, self._connection = engine, connection

    def keep_bytes(self, table: str) -> None:
        self.execute(f"CREATE TABLE {table} (bytes BLOB)")

    def copy_tables(self, ledger: Settings, tables: Sequence[str]) -> None:
        for table in tables:
            definitions = "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL"
            for (statement,) in self._engine.select(ledger, definitions, (table,)):
                self._connection.execute(statement)

    def execute(self, statement: str, values: Row = ()) -> None:
        self._connection.execute(statement, values)

    def write(self, rows: Mapping[str, Sequence[Row]], last_statement: str | None = None) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for table, table_rows in rows.items():
            columns = ", ".join("?" * len(table_rows[0]))
            self._connection.executemany(f"INSERT INTO {table} VALUES ({columns})", table_rows)
        if last_statement:
            self._connection.execute(last_statement)
        self._connection.execute("COMMIT")


@contextmanager
def sqlite(folder: Path) -> Iterator[Sqlite]:
    yield Sqlite(folder)
