"""How fast could activations be written at most? Their rows once more, into raw SQLite tables like the ledger's."""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.serving import Latency

Rows = dict[str, tuple[object, ...]]
"""Those of one activation, by table."""

SELECTS = {
    "commits": "SELECT * FROM commits WHERE commit_id > ? ORDER BY commit_id",
    "events": "SELECT * FROM events WHERE commit_id > ? ORDER BY commit_id",
    "streams": "SELECT s.* FROM events e JOIN streams s USING (stream_id) WHERE e.commit_id > ? ORDER BY e.commit_id",
    "redemption_windows": "SELECT w.* FROM events e JOIN redemption_windows w ON w.activation_id = e.stream_id"
    " WHERE e.commit_id > ? ORDER BY e.commit_id",
}
HEAD = "head"


class RawRows:
    """Gets what a ledger has got, as durably."""

    def __init__(self, database: Path, ledger: Path) -> None:
        self._source = sqlite3.connect(ledger)
        self._raw = sqlite3.connect(database, isolation_level=None)
        for statement in ("PRAGMA page_size=8192", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"):
            self._raw.execute(statement)
        for table in (*SELECTS, HEAD):
            made = self._source.execute("SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql > ''", (table,))
            for (statement,) in made.fetchall():
                self._raw.execute(statement)
        self._raw.execute("INSERT INTO head VALUES (1, 0, 0, x'')")
        self._seen = self._newest()

    def close(self) -> None:
        self._source.close()
        self._raw.close()

    def new(self) -> list[Rows]:
        """What has been recorded since the last time, every activation in a commit of its own."""
        found = [self._source.execute(select, (self._seen,)).fetchall() for select in SELECTS.values()]
        self._seen = self._newest()
        return [dict(zip(SELECTS, rows, strict=True)) for rows in zip(*found, strict=True)]

    def write(self, activations: Sequence[Rows], per_transaction: int, latency: Latency) -> float:
        """So many seconds; those of each transaction are told to `latency`."""
        started = now = time.perf_counter()
        for first in range(0, len(activations), per_transaction):
            self._raw.execute("BEGIN IMMEDIATE")
            for rows in activations[first : first + per_transaction]:
                self._write(rows)
            self._raw.execute("COMMIT")
            before, now = now, time.perf_counter()
            latency.milliseconds.append((now - before) * 1000)
        return now - started

    def _write(self, rows: Rows) -> None:
        for table, row in rows.items():
            self._raw.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
        commit_id = rows["commits"][0]
        self._raw.execute(
            "UPDATE head SET (position, recorded_at, chain)"
            " = (SELECT first_position, recorded_at, chain FROM commits WHERE commit_id = ?)",
            (commit_id,),
        )

    def _newest(self) -> int:
        newest: int = self._source.execute("SELECT max(commit_id) FROM commits").fetchone()[0]
        return newest
