"""`offer-ledger` that measures the CPU time of each stage of a batch.

It appends one line to a file for each measured call that no other one contains: the CPU nanoseconds of each stage, as JSON. The
time of a call does not include the calls of other stages inside it. Time that no stage has is that of the HTTP server, of the pipe
between the processes, and of the interpreter. The CPU time of a PostgreSQL server is not measured.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from time import thread_time_ns
from typing import Any

from msgspec.structs import replace

from api.intake.incoming_batch import IncomingBatch
from api.parsing.array_splitter import ArraySplitter
from api.runs import execution
from api.runs.upload import Upload
from benchmarks.servers.launcher import launch
from domain.ledgers import run_ledger
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.run_ledger import RunLedger
from domain.store import commit_writer
from domain.store.commit_writer import CommitWriter
from projections import projector
from projections.offers import inventory, offer_periods, status_counts
from projections.projection import Projection

STAGE_TIMES_FILE = "BENCHMARK_STAGES_FILE"
"""The environment variable that has the path of the file."""
OTHERS = "other projections"
STAGES: Mapping[str, Sequence[tuple[Any, str]]] = {
    "received": [(Upload, "write"), (Upload, "end"), (Upload, "store")],
    "split": [(ArraySplitter, "feed"), (ArraySplitter, "end")],
    "validated": [(IncomingBatch, "feed"), (IncomingBatch, "end"), (execution, "validate_items")],
    "decided": [(RunLedger, "all_offers"), (RunLedger, "known_offers"), (execution, "reconcile")],
    "stored: events": [(OfferLedger, "commit_each"), (CommitWriter, "append")],
    "stored: streams": [(commit_writer, "_stream_ids")],
    "stored: inventory": [],
    "stored: periods": [],
    "stored: counts": [],
    OTHERS: [],
    "stored: outcomes": [(run_ledger, "insert_outcome")],
    "commit": [(CommitWriter, "seal"), (RunLedger, "complete")],
}
"""The measured functions by stage: the module or class, and the name. Those of projections are in PROJECTION_STAGES."""
PROJECTION_STAGES = {
    inventory.PROJECTION.name: "stored: inventory",
    offer_periods.PROJECTION.name: "stored: periods",
    status_counts.PROJECTION.name: "stored: counts",
}


class _ThreadTimes(threading.local):
    """The CPU nanoseconds of a thread: inside the present call, and by stage since the last line."""

    def __init__(self) -> None:
        self.inner, self.depth, self.by_stage = 0, 0, Counter[str]()


_times = _ThreadTimes()


def _timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def timed(*arguments: Any, **named: Any) -> Any:
        outer, _times.inner, started = _times.inner, 0, thread_time_ns()
        _times.depth += 1
        try:
            return function(*arguments, **named)
        finally:
            spent = thread_time_ns() - started
            _times.by_stage[stage] += spent - _times.inner
            _times.inner, _times.depth = outer + spent, _times.depth - 1
            if not _times.depth:
                _write_line()

    return timed


def _write_line() -> None:
    with Path(os.environ[STAGE_TIMES_FILE]).open("a") as file:
        file.write(json.dumps(_times.by_stage) + "\n")
    _times.inner, _times.by_stage = 0, Counter()


def _timed_projection(projection: Projection) -> Projection:
    stage = PROJECTION_STAGES.get(projection.name, OTHERS)
    functions = {name: getattr(projection, name) for name in ("apply", "gather", "seal")}
    return replace(projection, **{name: _timed(stage, function) for name, function in functions.items() if function})


def measure() -> None:
    for stage, functions in STAGES.items():
        for owner, name in functions:
            setattr(owner, name, _timed(stage, getattr(owner, name)))
    projector.PROJECTIONS = tuple(map(_timed_projection, projector.PROJECTIONS))


if __name__ == "__main__":
    launch("benchmarks.servers.timed_stages", measure)
