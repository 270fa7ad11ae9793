"""The engine for PostgreSQL: it starts a server with default settings, and each ledger is a schema."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from api.settings import Settings
from benchmarks.engines.engine import Row, read_settings
from domain.store.factory import open_database
from domain.store.postgres.dialect import translate_sql
from tests.support.postgres import server as postgres_server

RAW = "raw"
VERSION = ("version", "SHOW server_version")
SETTINGS = (
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
)


class Postgresql:
    name = "postgresql"

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self._url = folder, url

    def settings(self) -> dict[str, str]:
        return read_settings(open_database(self.ledger("settings").database_location), VERSION, "SHOW", SETTINGS)

    def ledger(self, name: str) -> Settings:
        return Settings(database_url=self._url, database_schema=f"ledger_{name}")

    def select(self, ledger: Settings, statement: str, values: Row = ()) -> list[Row]:
        with self._connected(ledger.database_schema) as connection:
            return connection.execute(translate_sql(statement), values).fetchall()

    def megabytes(self, ledger: Settings) -> float:
        sizes = (
            "SELECT pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r' AND relnamespace = ?::regnamespace"
        )
        return float(sum(size for (size,) in self.select(ledger, sizes, (ledger.database_schema,)))) / 1e6

    def settle(self, ledger: Settings) -> None:
        with self._connected(ledger.database_schema) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")

    @contextmanager
    def raw(self) -> Iterator["PostgresqlRaw"]:
        with self._connected(RAW) as connection:
            connection.execute(f"CREATE SCHEMA {RAW}")
            try:
                yield PostgresqlRaw(connection)
            finally:
                connection.execute(f"DROP SCHEMA {RAW} CASCADE")

    def _connected(self, schema: str = "public") -> psycopg.Connection[Any]:
        return psycopg.connect(self._url, autocommit=True, options=f"-c search_path={schema}")


class PostgresqlRaw:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._types: dict[str, list[int]] = {}

    def keep_bytes(self, table: str) -> None:
        self.execute(f"CREATE TABLE {table} (bytes BYTEA STORAGE EXTERNAL)")

    def copy_tables(self, ledger: Settings, tables: Sequence[str]) -> None:
        for table in tables:
            self.execute(f"CREATE TABLE {table} (LIKE {ledger.database_schema}.{table} INCLUDING ALL)")

    def execute(self, statement: str, values: Row = ()) -> None:
        self._connection.execute(translate_sql(statement), values)

    def write(self, rows: Mapping[str, Sequence[Row]], last_statement: str | None = None) -> None:
        """Sends single rows in one message with the COMMIT, and many rows with COPY."""
        if max(map(len, rows.values())) == 1:
            with self._connection.pipeline(), self._connection.transaction():
                for table, (row,) in rows.items():
                    self.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
                self._finish(last_statement)
        else:
            with self._connection.transaction():
                for table, table_rows in rows.items():
                    self._copy(table, table_rows)
                self._finish(last_statement)

    def _copy(self, table: str, rows: Sequence[Row]) -> None:
        """Copies rows in the binary format: the text format takes nearly twice as long."""
        statement = sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table))
        types = self._column_types(table)
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def _column_types(self, table: str) -> list[int]:
        if table not in self._types:
            columns = self._connection.execute(f"SELECT * FROM {table} LIMIT 0").description or ()
            self._types[table] = [column.type_code for column in columns]
        return self._types[table]

    def _finish(self, last_statement: str | None) -> None:
        if last_statement:
            self.execute(last_statement)


@contextmanager
def postgresql(folder: Path) -> Iterator[Postgresql]:
    server = postgres_server.start(folder / "data", "stop")
    try:
        yield Postgresql(folder, str(server.get_uri()))
    finally:
        server.cleanup()
