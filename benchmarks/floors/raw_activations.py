"""How fast could activations be written at most? Their rows once more, into raw tables like the ledger's."""

import time
from collections.abc import Sequence

from api.settings import Settings
from benchmarks.engines.engine import Engine, Raw, Row
from benchmarks.servers.server_process import Latency

Rows = dict[str, Row]
"""Those of one activation, by table."""

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
    """Gets what a ledger has got, as durably."""

    def __init__(self, engine: Engine, ledger: Settings, raw: Raw) -> None:
        self._engine, self._ledger, self._raw = engine, ledger, raw
        self._raw.copy_tables(ledger, [*SELECTS, HEAD])
        self._raw.write({HEAD: engine.select(ledger, "SELECT * FROM head")})
        self._seen = self._newest()

    def new(self) -> list[Rows]:
        """What has been recorded since the last time, every activation in a commit of its own."""
        found = [self._engine.select(self._ledger, select, (self._seen,)) for select in SELECTS.values()]
        self._seen = self._newest()
        return [dict(zip(SELECTS, rows, strict=True)) for rows in zip(*found, strict=True)]

    def write(self, activations: Sequence[Rows], per_transaction: int, latency: Latency) -> float:
        """So many seconds; those of each transaction are told to `latency`."""
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
