"""How many single offers are put per second, how long does each take, and what does sharing commits do for it?

The same server stands beside itself: one shares commits among those who come meanwhile, as `offer-ledger serve` does; the
other gives every request a transaction of its own. They take turns, round after round, so that whatever else the machine
does hits both. The floor is one durable row after the other in a raw table of the same database, with nothing around it.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from api.auth import digest_secret
from api.settings import Settings
from api.wiring import open_service
from benchmarks.engines import Engine, environment
from benchmarks.report import Report
from benchmarks.sending import run_client
from benchmarks.serving import SCRIPT, Latency, Server
from domain.partner import SetPartner
from domain.token import CreateToken
from domain.values import Origin, Role, Source

PARTNER, SECRET = "tidepool", "the-partner's"
CONNECTIONS = (1, 16, 64)
ROUNDS = 5
WARM_UP = (16, 1.0)
"""Connections and seconds that each server has before anything counts."""
FLOOR_SECONDS = 3.0
ROW_BYTES = 600
SHARED: list[str | Path] = [SCRIPT]
ALONE: list[str | Path] = [sys.executable, "-m", "benchmarks.commit_alone"]
GOALS = """\
Ratios are shared to alone. The goals: with 1 connection a PUT takes at most 1.15 times as long (p50); with 64 the p99 is
no worse; and, a hope of the design, with 64 there are 2 to 4 times as many PUTs per second.
"""


class Measured(NamedTuple):
    """What rounds of PUTs have come to."""

    latency: Latency
    per_second: list[float]
    """By round."""

    @property
    def rate(self) -> float:
        """Of all rounds, which take equally long."""
        return sum(self.per_second) / len(self.per_second)


class Variant:
    """A server with a ledger of its own, and how many PUTs it has acknowledged."""

    def __init__(self, engine: Engine, command: Sequence[str | Path], name: str) -> None:
        self._engine, self._ledger = engine, engine.ledger(name)
        _prepare(self._ledger)
        self.server = Server(environment(self._ledger), engine.folder / f"{name}.log", command)
        self._acknowledged = 0
        self._rounds = 0

    def round(self, connections: int, seconds: float, into: Measured) -> None:
        """Raises RuntimeError if the ledger doesn't hold just what was acknowledged."""
        self._rounds += 1
        told = run_client("benchmarks.put_client", self.server.url, SECRET, self._rounds, connections, seconds)
        self._acknowledged += len(told["milliseconds"])
        if (traces := self._traces()) != self._acknowledged:
            raise RuntimeError(f"{self._acknowledged} PUTs were acknowledged, and there are {traces} traces")
        into.latency.milliseconds += told["milliseconds"]
        into.per_second.append(len(told["milliseconds"]) / told["seconds"])

    def _traces(self) -> int:
        count: int = self._engine.select(self._ledger, "SELECT count(*) FROM traces")[0][0]
        return count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=10, help="of PUTs, per server and number of connections (10)")


def run(engine: Engine, options: argparse.Namespace, _report: Report) -> None:
    print(GOALS)
    print(f"{'connections':13}{'commits':9}{'PUT/s':>8}  {'(by round)':18}{'p50':>11}{'p99':>11}{'most':>11}")
    _tell("(floor)", "", _floor(engine))
    with ExitStack() as running:
        variants = []
        for kind, command in (("shared", SHARED), ("alone", ALONE)):
            variants.append(Variant(engine, command, kind))
            running.enter_context(variants[-1].server)
            variants[-1].round(*WARM_UP, Measured(Latency(), []))
        for connections in CONNECTIONS:
            _compare(variants[0], variants[1], connections, options.seconds)


def _compare(shared: Variant, alone: Variant, connections: int, seconds: float) -> None:
    of_shared, of_alone = Measured(Latency(), []), Measured(Latency(), [])
    for _ in range(ROUNDS):
        shared.round(connections, seconds / ROUNDS, of_shared)
        alone.round(connections, seconds / ROUNDS, of_alone)
    _tell(f"{connections:11}", "shared", of_shared)
    _tell("", "alone", of_alone)
    ratios = [of_shared.rate / of_alone.rate]
    ratios += [getattr(of_shared.latency, name) / getattr(of_alone.latency, name) for name in ("p50", "p99", "most")]
    print(f"{'':13}{'ratio':9}{ratios[0]:8.2f}{'':20}" + "".join(f"{ratio:8.2f}   " for ratio in ratios[1:]))


def _tell(case: str, commits: str, measured: Measured) -> None:
    latency, by_round = measured.latency, f"({min(measured.per_second):.0f} to {max(measured.per_second):.0f})"
    times = "".join(f"{one:8.1f} ms" for one in (latency.p50, latency.p99, latency.most))
    print(f"{case:13}{commits:9}{measured.rate:8.0f}  {by_round:18}{times}", flush=True)


def _prepare(settings: Settings) -> None:
    operator = Origin("benchmark", Source.CLI)
    with open_service(settings) as service:
        service.ledger.handle(SetPartner(PARTNER, rps=0, daily_quota=0), operator)
        service.ledger.handle(CreateToken("partner", Role.PARTNER, PARTNER, digest_secret(SECRET), 0, None), operator)


def _floor(engine: Engine) -> Measured:
    """One row per transaction, each as durable as the ledger's."""
    latency, row = Latency(), os.urandom(ROW_BYTES)
    with engine.raw() as raw:
        raw.keep_bytes("rows")
        started = now = time.perf_counter()
        while now < started + FLOOR_SECONDS:
            raw.execute("INSERT INTO rows VALUES (?)", (row,))
            before, now = now, time.perf_counter()
            latency.milliseconds.append((now - before) * 1000)
    return Measured(latency, [len(latency.milliseconds) / (now - started)])
