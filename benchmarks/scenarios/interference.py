"""Measure the latency of another partner during a large batch.

One partner sends a batch that creates all its offers, and a second batch that changes all of them. Meanwhile another
partner sends single offers on one connection and queries its offers on a second one. The baseline is the same traffic
without a batch; both are measured in turns.

The benchmark also measures how long a batch holds the ledger lock, for which all other writers wait. On PostgreSQL,
the time starts when the commit requests the lock. On SQLite, it starts at the first statement, and it includes the
checkpoint of the write-ahead log, for which no writer waits.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.clients.load_client import background_client
from benchmarks.engines.engine import Engine, environment
from benchmarks.fill.offers import batch, offers
from benchmarks.reporting.comparison import PAIRS, Compared
from benchmarks.reporting.report import Report
from benchmarks.scenarios.batch import GOALS_FROM
from benchmarks.servers.contenders import TAKES_ALL, prepare, send
from benchmarks.servers.server_process import Latency, Server
from benchmarks.servers.timed_lock import LOCK_TIMES_FILE

LARGE, SINGLE = "tidepool", "kelp"
"""The two partners. The name of each is the secret of its token."""
TIMED = (sys.executable, "-m", "benchmarks.servers.timed_lock")
WARM_UP_SECONDS, IDLE_SECONDS = 1.0, 5.0
BATCHES = {"all created": 0.0, "all changed": 1.0}
"""The batches by name, with the share of offers that differ from the created ones."""
LONGEST_PUT_MS = {"sqlite": 1500.0, "postgresql": 300.0}
"""The goal for the longest wait of a PUT while a batch is stored."""
P99_AT_MOST = {"sqlite": {"gets": 3.0}, "postgresql": {"gets": 3.0, "puts": 3.0}}
"""PUTs have no goal on SQLite: a writer waits as long as another one holds the lock."""


class Measured(NamedTuple):
    """The seconds of the work, the latencies of the other partner meanwhile, and the longest time with the lock.

    `held` is in seconds, and 0 without a bulk write."""

    seconds: float
    puts: Latency
    gets: Latency
    held: float


Pair = tuple[Measured, Measured]
"""The figures with a batch and without it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offers", type=int, default=100_000, help="Offers of each batch. Default: 100000.")
    parser.add_argument(
        "--pairs", type=int, default=PAIRS, help=f"Number of pairs for each of the two batches. Default: {PAIRS}."
    )


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    count, ledger, held = options.offers, engine.ledger("other"), engine.folder / "held"
    prepare(ledger, (LARGE, SINGLE))
    variables = environment(ledger) | TAKES_ALL | {LOCK_TIMES_FILE: str(held)}
    measured_pairs: dict[str, list[Pair]] = {name: [] for name in BATCHES}
    with Server(variables, engine.folder / "serve.log", TIMED) as server:
        other = OtherPartner(server, held)
        other.measure(partial(time.sleep, WARM_UP_SECONDS))
        for number in range(options.pairs):
            for name, changed_share in BATCHES.items():
                body = batch("Insert", offers(count, f"o-{number}", changed_share=changed_share))
                work = partial(send, server, LARGE, body)
                measured_pairs[name].append(_measure(other, work, work_first=number % 2 == 1))
    report.head()
    for name, pairs in measured_pairs.items():
        _tell(report, engine.name, name, count, pairs)


def _measure(other: "OtherPartner", work: Callable[[], object], *, work_first: bool) -> Pair:
    idle = partial(time.sleep, IDLE_SECONDS)
    if work_first:
        measured = other.measure(work)
        return measured, other.measure(idle)
    without = other.measure(idle)
    return other.measure(work), without


class OtherPartner:
    """The clients of the other partner. Their server writes to a file how long it holds the lock."""

    def __init__(self, server: Server, held: Path) -> None:
        self._server, self._held = server, held
        self._rounds = 0

    def measure(self, work: Callable[[], object]) -> Measured:
        """Runs the clients during `work` and returns their latencies."""
        self._rounds += 1
        self._held.write_text("")
        sender = (self._server.url, SINGLE, self._rounds)
        with (
            background_client("benchmarks.clients.put_client", *sender) as puts,
            background_client("benchmarks.clients.get_client", *sender) as gets,
        ):
            started = time.perf_counter()
            work()
            seconds = time.perf_counter() - started
        held = max(map(float, self._held.read_text().split()), default=0.0)
        return Measured(seconds, Latency(puts), Latency(gets), held)


def _tell(report: Report, engine: str, name: str, count: int, pairs: Sequence[Pair]) -> None:
    goals = P99_AT_MOST[engine] if count >= GOALS_FROM else {}
    for request, kind in (("a PUT", "puts"), ("a GET", "gets")):
        for figure in ("p50", "p99", "maximum"):
            ours, theirs = ([getattr(getattr(one, kind), figure) for one in side] for side in zip(*pairs, strict=True))
            at_most = goals.get(kind) if figure == "p99" else None
            limit = LONGEST_PUT_MS[engine] if goals and (kind, figure) == ("puts", "maximum") else None
            case = f"{name}, {request}: {figure}"
            report.add(Compared(case, "ms", "no batch", ours, theirs, at_most, limit=limit, size=count))
    seconds = [measured.seconds for measured, _ in pairs]
    report.add(Compared(f"{name}: lock held", "s", "the batch", [one.held for one, _ in pairs], seconds, size=count))
