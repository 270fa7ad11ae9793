"""SQL dialect of SQLite. The common SQL text is already in SQLite's form."""

from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any

from domain.store.cursor import Column, Cursor, Lookup
from domain.values import Scope


class SqliteDialect:
    """Dialect of SQLite."""

    live_prefix, temporary_prefix = "main.", "temp."

    def in_list(self, values: Collection[Any]) -> tuple[str, Sequence[Any]]:
        return f"IN ({','.join('?' * len(values))})", [*values]

    def in_pairs(self, pairs: Collection[tuple[int, int]]) -> tuple[str, Sequence[Any]]:
        return f"IN (VALUES {','.join(['(?,?)'] * len(pairs))})", [*chain.from_iterable(pairs)]

    def table_names(self, tx: Cursor) -> set[str]:
        return {row["name"] for row in tx.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def columns(self, tx: Cursor, prefix: str, table: str) -> list[Column]:
        query = 'SELECT name, type, "notnull", pk FROM pragma_table_info(?, ?) ORDER BY cid'
        rows = tx.execute(query, (table, prefix.rstrip("."))).fetchall()
        return [Column(row["name"], row["type"], bool(row["notnull"] or row["pk"])) for row in rows]

    def count_rows(self, tx: Cursor, table: str) -> int:
        return int(tx.execute(f"SELECT count(*) AS n FROM {table} NOT INDEXED").fetchone()["n"])

    def index_statements(self, tx: Cursor, table: str) -> list[str]:
        query = "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
        return [row["sql"] for row in tx.execute(query, (table,)).fetchall()]

    def has_index(self, tx: Cursor, name: str) -> bool:
        row = tx.execute("SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?", (name,)).fetchone()
        return row is not None

    def rename_table(self, tx: Cursor, table: str, name: str) -> None:
        tx.execute("PRAGMA legacy_alter_table = ON")
        try:
            tx.execute(f"ALTER TABLE {table} RENAME TO {name}")
        finally:
            tx.execute("PRAGMA legacy_alter_table = OFF")

    def lock_tables(self, _tx: Cursor, _tables: Sequence[str]) -> None:
        """No-op: readers keep their snapshots."""

    def analyze(self, _tx: Cursor, _tables: Sequence[str]) -> None:
        """No-op: the query plans do not need statistics."""

    def acquire_ledger_lock(self, _tx: Cursor) -> None:
        """No-op: the transaction has held the write lock from its start."""

    def notify_commit(self, _tx: Cursor) -> None:
        """No-op: SQLite has no notifications."""

    def busy_scopes(self, _scopes: Collection[Scope]) -> Lookup[set[Scope]]:
        return Lookup("", (), lambda _rows: set())

    def next_commit_ids(self, tx: Cursor, count: int) -> list[int]:
        newest = tx.execute("SELECT coalesce(max(commit_id), 0) AS id FROM commits").fetchone()["id"]
        return list(range(newest + 1, newest + 1 + count))

    def next_stream_ids(self, tx: Cursor, count: int) -> Sequence[int]:
        newest = tx.execute("SELECT coalesce(max(stream_id), 0) AS id FROM streams").fetchone()["id"]
        return range(newest + 1, newest + 1 + count)


SQLITE = SqliteDialect()
SQLITE_LEDGER_VIEW = """
    CREATE VIEW ledger AS
    SELECT c.first_position + e.ordinal AS position,
           strftime('%Y-%m-%dT%H:%M:%S', c.recorded_at / 1000000, 'unixepoch')
               || printf('.%06dZ', c.recorded_at % 1000000) AS recorded_at,
           e.topic AS type, lower(substr(hex(s.stream_uid), 1, 8) || '-' || substr(hex(s.stream_uid), 9, 4) || '-'
               || substr(hex(s.stream_uid), 13, 4) || '-' || substr(hex(s.stream_uid), 17, 4) || '-'
               || substr(hex(s.stream_uid), 21)) AS stream, e.version, c.partner, c.actor, c.source,
           c.run_id, c.trace_id, CAST(e.state AS TEXT) AS state
    FROM commits c JOIN events e USING (commit_id) JOIN streams s USING (stream_id)
"""
"""View for operators with a database shell."""
