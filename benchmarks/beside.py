"""How long do others wait while one partner's large batch is carried out?

Another partner puts single offers, one after the other, while the server has nothing else to do and while it carries out a
batch of one partner: its offers are created, and then each is changed. Both take turns, round after round, so that whatever else
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
from statistics import median
from typing import NamedTuple

from benchmarks.contenders import TAKES_ALL, prepare, send
from benchmarks.engines import Engine, environment
from benchmarks.offers import batch, offers
from benchmarks.report import Report
from benchmarks.sending import client_meanwhile
from benchmarks.serving import Latency, Server
from benchmarks.timed_lock import HELD_FILE

LARGE, SINGLE = "tidepool", "kelp"
"""Partners; their names are their secrets."""
TIMED = (sys.executable, "-m", "benchmarks.timed_lock")
WARM_UP_SECONDS, IDLE_SECONDS = 1.0, 5.0
BATCHES = {"all created": 0.0, "all changed": 1.0}
"""By name, how many of their offers say something else than those that are created."""

Ratios = Sequence[float]
"""Of a batch to no batch: p50, p99, most."""


class Measured(NamedTuple):
    """How long a work took, what others waited meanwhile, and how long it held the lock at most, if at all; in seconds."""

    seconds: float
    puts: Latency
    held: float | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offers", type=int, default=100_000, help="offers per batch (100000)")
    parser.add_argument("--rounds", type=int, default=3, help="of both batches, each with offers of its own (3)")


def run(engine: Engine, options: argparse.Namespace, _report: Report) -> None:
    count, ledger, held = options.offers, engine.ledger("beside"), engine.folder / "held"
    prepare(ledger, (LARGE, SINGLE))
    print(f"PUTs of another partner beside a batch of {count:,} offers (Insert), over HTTP; ratios are to no batch\n")
    print(f"{'batch':14}{'took':>10}{'lock held':>14}{'PUTs':>8}{'p50':>12}{'p99':>12}{'most':>12}")
    serving = environment(ledger) | TAKES_ALL | {HELD_FILE: str(held)}
    ratios: dict[str, list[Ratios]] = {name: [] for name in BATCHES}
    with Server(serving, engine.folder / "serve.log", TIMED) as server:
        beside = Beside(server, held)
        beside.measure(partial(time.sleep, WARM_UP_SECONDS))
        for number in range(options.rounds):
            for name, changed_share in BATCHES.items():
                body = batch("Insert", offers(count, f"o-{number}", changed_share=changed_share))
                ratios[name].append(_compare(beside, name, partial(send, server, LARGE, body)))
    print("\nthe median of the ratios")
    for name, some in ratios.items():
        _tell_ratios(name, [median(one) for one in zip(*some, strict=True)])


def _compare(beside: "Beside", name: str, work: Callable[[], object]) -> Ratios:
    alone = beside.measure(partial(time.sleep, IDLE_SECONDS))
    _tell("(none)", alone)
    measured = beside.measure(work)
    _tell(name, measured)
    ratios = [getattr(measured.puts, one) / getattr(alone.puts, one) for one in ("p50", "p99", "most")]
    _tell_ratios("  ratio", ratios)
    return ratios


class Beside:
    """Those who put offers to a server, which writes down how long it holds the lock."""

    def __init__(self, server: Server, held: Path) -> None:
        self._server, self._held = server, held
        self._rounds = 0

    def measure(self, work: Callable[[], object]) -> Measured:
        self._rounds += 1
        self._held.write_text("")
        client = ("benchmarks.put_client", self._server.url, SINGLE, self._rounds)
        with client_meanwhile(*client) as milliseconds:
            started = time.perf_counter()
            work()
            seconds = time.perf_counter() - started
        held = max(map(float, self._held.read_text().split()), default=None)
        return Measured(seconds, Latency(milliseconds), held)


def _tell(name: str, measured: Measured) -> None:
    seconds, puts, held = measured
    lock = "" if held is None else f"{held * 1000:.1f} ms"
    times = "".join(f"{one:9.1f} ms" for one in (puts.p50, puts.p99, puts.most))
    print(f"{name:14}{seconds:8.2f} s{lock:>14}{len(puts.milliseconds):8}{times}", flush=True)


def _tell_ratios(name: str, ratios: Ratios) -> None:
    print(f"{name:46}" + "".join(f"{ratio:9.1f}   " for ratio in ratios), flush=True)
