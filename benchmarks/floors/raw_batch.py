"""The floors of a batch: raw writes of its rows to the same database, in one transaction and with the same
durability.

There are three floors. `rows`: the events of the run, and the inventory rows of the changed offers. `all_rows`:
these, the streams, the offer periods, and the body, which is stored before a run starts. `body`, for a run that adds
no event: an empty server receives the body, the body is split, and it is written durably.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from api.bounds.body import BodyBounds
from api.parsing.array_splitter import split
from api.settings import Settings
from benchmarks.engines.engine import Engine, Row, environment
from benchmarks.servers.contenders import TAKES_ALL, send
from benchmarks.servers.server_process import MIB, Server

EMPTY = (sys.executable, "-m", "benchmarks.servers.empty_server")
BODY_CHUNK_BYTES = 4 * MIB
MAIN_TABLES = {
    "events": "SELECT * FROM events WHERE commit_id > ? ORDER BY ordinal",
    "inventory": "SELECT * FROM inventory WHERE updated_commit > ?",
}
ALL_TABLES = MAIN_TABLES | {
    "streams": "SELECT * FROM streams WHERE stream_id IN (SELECT stream_id FROM events WHERE commit_id > ?)",
    "offer_periods": "SELECT * FROM offer_periods WHERE commit_id > ?",
}


@contextmanager
def floor_of(engine: Engine, ledger: Settings) -> Iterator["Floor"]:
    with Server(environment(ledger), engine.folder / "empty.log", EMPTY) as empty:
        yield Floor(engine, ledger, empty)


class Floor:
    """The floors of runs on a ledger. `empty`: a server that receives bodies and ignores them."""

    def __init__(self, engine: Engine, ledger: Settings, empty: Server) -> None:
        self._engine, self._ledger, self._empty = engine, ledger, empty

    def newest_commit(self) -> int:
        newest: int = self._engine.select(self._ledger, "SELECT max(commit_id) FROM commits")[0][0]
        return newest

    def rows(self, before: int) -> float:
        """Returns the seconds of a raw write of the events after the commit `before`, and of their inventory rows."""
        return self._write(self._select_rows(MAIN_TABLES, before))

    def all_rows(self, before: int, body: bytes) -> float:
        """Returns the seconds of a raw write of all rows of these commits, and of the body."""
        return self._write(self._select_rows(ALL_TABLES, before) | {"body": _blocks(body)})

    def _select_rows(self, tables: Mapping[str, str], before: int) -> dict[str, list[Row]]:
        return {table: self._engine.select(self._ledger, select, (before,)) for table, select in tables.items()}

    def body(self, body: bytes) -> float:
        """Returns the seconds to receive, split and write the body."""
        receive_seconds, _ = send(self._empty, "nobody", body)
        blocks = _blocks(body)
        started = time.perf_counter()
        split(
            lambda: [block for (block,) in blocks],
            "offers",
            BodyBounds(max_items=int(TAKES_ALL["OFFER_LEDGER_MAX_ITEMS"])),
            keep=False,
        )
        split_seconds = time.perf_counter() - started
        return receive_seconds + split_seconds + self._write({"body": blocks})

    def _write(self, rows: dict[str, list[Row]]) -> float:
        with self._engine.raw() as raw:
            raw.copy_tables(self._ledger, [table for table in rows if table != "body"])
            raw.keep_bytes("body")
            started = time.perf_counter()
            raw.write(rows)
            return time.perf_counter() - started


def _blocks(body: bytes) -> list[Row]:
    return [(body[at : at + BODY_CHUNK_BYTES],) for at in range(0, len(body), BODY_CHUNK_BYTES)]
