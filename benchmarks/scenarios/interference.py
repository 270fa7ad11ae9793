"""How long do others wait while one partner's large batch is carried out?

Another partner puts single offers, one after the other, and on a second connection asks for what it has, while the server has
nothing else to do and while it carries out a batch of one partner: its offers are created, and then each is changed. Both take turns, round after round, so that whatever else
the machine does hits both. For how long the batch holds the ledger's lock, where everyone waits who records anything, is measured
where it is taken: on PostgreSQL from when its commit asks for its place, on SQLite from its first statement on (and until what it
wrote has been moved from the log into the database, which nobody waits for).
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.clients.load_client import client_meanwhile
from benchmarks.engines.engine import Engine, environment
from benchmarks.fill.offers import batch, offers
from benchmarks.reporting.comparison import PAIRS, Compared
from benchmarks.reporting.report import Report
from benchmarks.scenarios.batch import GOALS_FROM
from benchmarks.servers.contenders import TAKES_ALL, prepare, send
from benchmarks.servers.server_process import Latency, Server
from benchmarks.servers.timed_lock import HELD_FILE

LARGE, SINGLE = "tidepool", "kelp"
"""Partners; their names are their secrets."""
TIMED = (sys.executable, "-m", "benchmarks.servers.timed_lock")
WARM_UP_SECONDS, IDLE_SECONDS = 1.0, 5.0
BATCHES = {"all created": 0.0, "all changed": 1.0}
"""By name, how many of their offers say something else than those that are created."""
P99_AT_MOST = {"sqlite": {"gets": 3.0}, "postgresql": {"gets": 3.0, "puts": 3.0}}
"""On SQLite, whoever records waits for the one who does: for as long as the lock is held."""


class Measured(NamedTuple):
    """How long a work took, what others waited meanwhile, and how long it held the lock at most, if it did; in seconds."""

    seconds: float
    puts: Latency
    gets: Latency
    held: float


Pair = tuple[Measured, Measured]
"""With a batch, and without."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offers", type=int, default=100_000, help="offers per batch (100000)")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"of either batch, with offers of its own ({PAIRS})")


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    count, ledger, held = options.offers, engine.ledger("beside"), engine.folder / "held"
    prepare(ledger, (LARGE, SINGLE))
    serving = environment(ledger) | TAKES_ALL | {HELD_FILE: str(held)}
    found: dict[str, list[Pair]] = {name: [] for name in BATCHES}
    with Server(serving, engine.folder / "serve.log", TIMED) as server:
        beside = Beside(server, held)
        beside.measure(partial(time.sleep, WARM_UP_SECONDS))
        for number in range(options.pairs):
            for name, changed_share in BATCHES.items():
                body = batch("Insert", offers(count, f"o-{number}", changed_share=changed_share))
                work = partial(send, server, LARGE, body)
                found[name].append(_measure(beside, work, work_first=number % 2 == 1))
    report.head()
    for name, pairs in found.items():
        _tell(report, engine.name, name, count, pairs)


def _measure(beside: "Beside", work: Callable[[], object], *, work_first: bool) -> Pair:
    idle = partial(time.sleep, IDLE_SECONDS)
    if work_first:
        measured = beside.measure(work)
        return measured, beside.measure(idle)
    alone = beside.measure(idle)
    return beside.measure(work), alone


class Beside:
    """Those who put offers to a server, which writes down how long it holds the lock."""

    def __init__(self, server: Server, held: Path) -> None:
        self._server, self._held = server, held
        self._rounds = 0

    def measure(self, work: Callable[[], object]) -> Measured:
        self._rounds += 1
        self._held.write_text("")
        sender = (self._server.url, SINGLE, self._rounds)
        with (
            client_meanwhile("benchmarks.clients.put_client", *sender) as puts,
            client_meanwhile("benchmarks.clients.get_client", *sender) as gets,
        ):
            started = time.perf_counter()
            work()
            seconds = time.perf_counter() - started
        held = max(map(float, self._held.read_text().split()), default=0.0)
        return Measured(seconds, Latency(puts), Latency(gets), held)


def _tell(report: Report, engine: str, name: str, count: int, pairs: Sequence[Pair]) -> None:
    goals = P99_AT_MOST[engine] if count >= GOALS_FROM else {}
    for told, kind in (("a PUT", "puts"), ("a GET", "gets")):
        for figure in ("p50", "p99", "most"):
            ours, theirs = ([getattr(getattr(one, kind), figure) for one in some] for some in zip(*pairs, strict=True))
            at_most = goals.get(kind) if figure == "p99" else None
            report.add(Compared(f"{name}, {told}: {figure}", "ms", "no batch", ours, theirs, at_most, size=count))
    took = [measured.seconds for measured, _ in pairs]
    report.add(Compared(f"{name}: lock held", "s", "the batch", [one.held for one, _ in pairs], took, size=count))
