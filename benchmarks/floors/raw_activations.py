"""The floor of activations: their rows are written a second time, to raw tables like those of the ledger."""

import time
from collections.abc import Sequence

from api.settings import Settings
from benchmarks.engines.engine import Engine, RawTables, Row
from benchmarks.servers.server_process import Latency

Rows = dict[str, Row]
"""The rows of one activation, by table."""

SELECTS = {
    "commits": "SELECT * FROM commits WHERE commit_id > ? ORDER BY commit_id",
    "events": "SELECT * FROM events WHERE commit_id > ? ORDER BY commit_id",
    "streams": "SELECT s.* FROM events e JOIN streams s USING (stream_id) WHERE e.commit_id > ? ORDER BY e.commit_id",
    "redemption_windows": "SELECT w.* FROM events e JOIN redemption_windows w ON w.activation_id = e.stream_id"
    " WHERE e.commit_id > ? ORDER BY e.commit_id",
}
HEAD = "head"
NEW_HEAD = (
    "UPDATE head SET (position, recorded_at, chain)"
    " = (SELECT first_position, recorded_at, chain FROM commits ORDER BY commit_id DESC LIMIT 1)"
)


class RawRows:
    """RawTables tables that get the new rows of a ledger, with the same durability."""

    def __init__(self, engine: Engine, ledger: Settings, raw: RawTables) -> None:
        self._engine, self._ledger, self._raw = engine, ledger, raw
        self._raw.copy_tables(ledger, [*SELECTS, HEAD])
        self._raw.write({HEAD: engine.select(ledger, "SELECT * FROM head")})
        self._last_commit = self._newest()

    def new(self) -> list[Rows]:
        """Returns the activations recorded since the previous call, each in its own commit."""
        tables = [self._engine.select(self._ledger, select, (self._last_commit,)) for select in SELECTS.values()]
        self._last_commit = self._newest()
        return [dict(zip(SELECTS, rows, strict=True)) for rows in zip(*tables, strict=True)]

    def write(self, activations: Sequence[Rows], per_transaction: int, latency: Latency) -> float:
        """Writes activations and returns the seconds. `latency` gets the time of each transaction."""
        groups = [activations[first : first + per_transaction] for first in range(0, len(activations), per_transaction)]
        transactions = [{table: [rows[table] for rows in group] for table in SELECTS} for group in groups]
        started = now = time.perf_counter()
        for transaction in transactions:
            self._raw.write(transaction, NEW_HEAD)
            before, now = now, time.perf_counter()
            latency.milliseconds.append((now - before) * 1000)
        return now - started

    def _newest(self) -> int:
        newest: int = self._engine.select(self._ledger, "SELECT max(commit_id) FROM commits")[0][0]
        return newest
