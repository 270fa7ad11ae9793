"""What is the least that a batch can take? Its rows written raw to the same database, in one transaction, as durably.

The rows are the events that the run has added and a row of the inventory for each offer that it has touched. Of a run that
adds nothing, it is what has to be done all the same: the body comes in, to a server that does nothing with it; it is taken
apart; and it is written, durably.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from api.json_split import split
from api.settings import Settings
from benchmarks.contenders import TAKES_ALL, send
from benchmarks.engines import Engine, Row, environment
from benchmarks.serving import MIB, Server

EMPTY = (sys.executable, "-m", "benchmarks.empty")
BODY_CHUNK = 4 * MIB
WRITTEN = {
    "events": "SELECT * FROM events WHERE commit_id > ? ORDER BY ordinal",
    "inventory": "SELECT * FROM inventory WHERE updated_commit > ?",
}


@contextmanager
def floor_of(engine: Engine, ledger: Settings) -> Iterator["Floor"]:
    with Server(environment(ledger), engine.folder / "empty.log", EMPTY) as empty:
        yield Floor(engine, ledger, empty)


class Floor:
    """Of runs on a ledger; `empty`: the server that does nothing."""

    def __init__(self, engine: Engine, ledger: Settings, empty: Server) -> None:
        self._engine, self._ledger, self._empty = engine, ledger, empty

    def newest_commit(self) -> int:
        newest: int = self._engine.select(self._ledger, "SELECT max(commit_id) FROM commits")[0][0]
        return newest

    def rows(self, before: int) -> float:
        """How many seconds a raw write takes of what the commits after `before` hold."""
        rows = {table: self._engine.select(self._ledger, select, (before,)) for table, select in WRITTEN.items()}
        return self._write(rows)

    def body(self, body: bytes) -> float:
        received, _ = send(self._empty, "nobody", body)
        blocks = [body[at : at + BODY_CHUNK] for at in range(0, len(body), BODY_CHUNK)]
        started = time.perf_counter()
        split(lambda: blocks, "offers", int(TAKES_ALL["OFFER_LEDGER_MAX_ITEMS"]), keep=False)
        apart = time.perf_counter() - started
        return received + apart + self._write({"body": [(block,) for block in blocks]})

    def _write(self, rows: dict[str, list[Row]]) -> float:
        with self._engine.raw() as raw:
            raw.copy_tables(self._ledger, list(WRITTEN))
            raw.keep_bytes("body")
            started = time.perf_counter()
            raw.write(rows)
            return time.perf_counter() - started
