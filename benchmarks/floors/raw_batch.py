"""What is the least that a batch can take? Its rows written raw to the same database, in one transaction, as durably.

The rows are the events that the run has added and a row of the inventory for each offer that it has touched; or all that it
has left: these, the streams, the periods of the past, and the body, which it was durable by before its work began. Of a run that
adds nothing, it is what has to be done all the same: the body comes in, to a server that does nothing with it; it is taken
apart; and it is written, durably.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from api.parsing.array_splitter import split
from api.settings import Settings
from benchmarks.engines.engine import Engine, Row, environment
from benchmarks.servers.contenders import TAKES_ALL, send
from benchmarks.servers.server_process import MIB, Server

EMPTY = (sys.executable, "-m", "benchmarks.servers.empty_server")
BODY_CHUNK = 4 * MIB
WRITTEN = {
    "events": "SELECT * FROM events WHERE commit_id > ? ORDER BY ordinal",
    "inventory": "SELECT * FROM inventory WHERE updated_commit > ?",
}
ALL_WRITTEN = WRITTEN | {
    "streams": "SELECT * FROM streams WHERE stream_id IN (SELECT stream_id FROM events WHERE commit_id > ?)",
    "offer_periods": "SELECT * FROM offer_periods WHERE commit_id > ?",
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
        """How many seconds a raw write takes of the events of the commits after `before`, and of their inventory."""
        return self._write(self._written(WRITTEN, before))

    def all_rows(self, before: int, body: bytes) -> float:
        """The same of all that these commits have left, and of the body."""
        return self._write(self._written(ALL_WRITTEN, before) | {"body": _blocks(body)})

    def _written(self, tables: Mapping[str, str], before: int) -> dict[str, list[Row]]:
        return {table: self._engine.select(self._ledger, select, (before,)) for table, select in tables.items()}

    def body(self, body: bytes) -> float:
        received, _ = send(self._empty, "nobody", body)
        blocks = _blocks(body)
        started = time.perf_counter()
        split(lambda: [block for (block,) in blocks], "offers", int(TAKES_ALL["OFFER_LEDGER_MAX_ITEMS"]), keep=False)
        apart = time.perf_counter() - started
        return received + apart + self._write({"body": blocks})

    def _write(self, rows: dict[str, list[Row]]) -> float:
        with self._engine.raw() as raw:
            raw.copy_tables(self._ledger, [table for table in rows if table != "body"])
            raw.keep_bytes("body")
            started = time.perf_counter()
            raw.write(rows)
            return time.perf_counter() - started


def _blocks(body: bytes) -> list[Row]:
    return [(body[at : at + BODY_CHUNK],) for at in range(0, len(body), BODY_CHUNK)]
