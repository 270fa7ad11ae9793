"""How many single offers are put per second, how long does each take, and what does sharing commits do for it?

The service shares commits among those who come meanwhile. Beside it, each with a database of its own: the same service with a
transaction for every request, and the rivals, which have one for every request too. They take turns, round after round, and each
has to hold just what it has acknowledged. The floor is one durable row after the other in a raw table of the same database,
with nothing around it.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.clients.load_client import run_client
from benchmarks.engines.engine import Engine, Raw
from benchmarks.reporting.comparison import PAIRS, Compared
from benchmarks.reporting.measurement import P50, P99, RATE, UNITS, Measured, case_of
from benchmarks.reporting.report import Report
from benchmarks.servers.contenders import PLAIN, RIVALS, UPSERT, Contender, rival, service
from benchmarks.servers.server_process import Latency

PARTNER = "tidepool"
CONNECTIONS = (1, 16, 64)
LONE, MANY = CONNECTIONS[0], CONNECTIONS[-1]
WARM_UP = (16, 1.0)
"""Connections and seconds that each server has before anything counts."""
FLOOR_SECONDS = 1.0
ROW_BYTES = 600
COMMIT_ALONE: Sequence[str | Path] = (sys.executable, "-m", "benchmarks.servers.commit_alone")
OURS, ALONE, FLOOR = "ours", "alone", "floor"
OTHERS = {ALONE: "a commit for each", **RIVALS}
"""What they are called in tables."""
PLAIN_EVENTS = {"sqlite": "stored_events", "postgresql": "offers_events"}
AT_LEAST = {(MANY, UPSERT): 3.0, (MANY, PLAIN): 2.0}
AT_MOST = {(LONE, P50): 1.15, (MANY, P99): 1.0}
"""Beside a commit for each."""


class Putting:
    """Who is sent PUTs, and how many it has acknowledged."""

    def __init__(self, name: str, contender: Contender, engine: Engine) -> None:
        self._name, self._contender, self._engine = name, contender, engine
        self._table = {UPSERT: "history", PLAIN: PLAIN_EVENTS[engine.name]}.get(name, "traces")
        self._acknowledged = self._rounds = 0

    def round(self, connections: int, seconds: float, into: Measured) -> None:
        """Raises RuntimeError if it doesn't hold just what was acknowledged."""
        self._rounds += 1
        url = self._contender.server.url
        told = run_client("benchmarks.clients.put_client", url, PARTNER, self._rounds, connections, seconds)
        self._acknowledged += len(told["milliseconds"])
        held = self._engine.select(self._contender.ledger, f"SELECT count(*) FROM {self._table}")[0][0]
        if held != self._acknowledged:
            raise RuntimeError(f"{self._name}: {self._acknowledged} PUTs were acknowledged, and there are {held}")
        into.add(len(told["milliseconds"]), told["seconds"], Latency(told["milliseconds"]))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=2, help="of PUTs in every round (2)")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"rounds, each of all ({PAIRS})")


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    with _putting(engine) as putting, engine.raw() as raw:
        raw.keep_bytes("rows")
        report.head()
        for connections in CONNECTIONS:
            found = {name: Measured() for name in (*putting, FLOOR)}
            for number in range(options.pairs):
                for name in _turned([*found], number):
                    if name == FLOOR:
                        _write_rows(raw, found[name])
                    else:
                        putting[name].round(connections, options.seconds, found[name])
            _tell(report, connections, found)


def _turned(names: Sequence[str], number: int) -> Iterator[str]:
    """Nobody is always the first, or always after the same one."""
    yield from names if number % 2 == 0 else reversed(names)


@contextmanager
def _putting(engine: Engine) -> Iterator[dict[str, Putting]]:
    with ExitStack() as running:
        contenders = {
            OURS: service(engine, "shared", [PARTNER]),
            ALONE: service(engine, "alone", [PARTNER], COMMIT_ALONE),
            **{name: rival(engine, name) for name in RIVALS},
        }
        found = {name: Putting(name, running.enter_context(one), engine) for name, one in contenders.items()}
        for one in found.values():
            one.round(*WARM_UP, Measured())
        yield found


def _write_rows(raw: Raw, into: Measured) -> None:
    """One per transaction, each as durable as the ledger's."""
    milliseconds, row = [], os.urandom(ROW_BYTES)
    started = now = time.perf_counter()
    while now < started + FLOOR_SECONDS:
        raw.execute("INSERT INTO rows VALUES (?)", (row,))
        before, now = now, time.perf_counter()
        milliseconds.append((now - before) * 1000)
    into.add(len(milliseconds), now - started, Latency(milliseconds))


def _tell(report: Report, connections: int, found: Mapping[str, Measured]) -> None:
    ours = found[OURS].of
    beside = {name: (told, found[name].of) for name, told in (*OTHERS.items(), (FLOOR, "raw rows, one by one"))}
    for figure, unit in UNITS.items():
        for name, (told, theirs) in beside.items():
            if name == FLOOR and (connections != LONE or figure == P99):
                continue
            at_least = AT_LEAST.get((connections, name)) if figure == RATE else None
            at_most = AT_MOST.get((connections, figure)) if name == ALONE else None
            both = ours[figure], theirs[figure]
            report.add(
                Compared(
                    case_of("PUT", figure), unit, told, *both, at_most=at_most, at_least=at_least, size=connections
                )
            )
