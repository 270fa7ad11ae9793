"""Measure the rate and the latency of PUTs of single offers, and the effect of group commit.

The service commits concurrent requests in one transaction (group commit). It is compared with the same service with
one transaction for each request, and with the rivals. Each server has its own database and must hold exactly the
offers that it has acknowledged. They are measured in turns. The floor writes single rows durably to a raw table of
the same database.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.clients.load_client import run_client
from benchmarks.engines.engine import Engine, RawTables
from benchmarks.reporting.comparison import PAIRS, Compared
from benchmarks.reporting.measurement import P50, P99, RATE, UNITS, Measured, case_name
from benchmarks.reporting.report import Report
from benchmarks.servers.contenders import PLAIN, RIVALS, UPSERT, Contender, run_rival, run_service
from benchmarks.servers.server_process import Latency

PARTNER = "tidepool"
CONNECTIONS = (1, 16, 64)
LONE, MANY = CONNECTIONS[0], CONNECTIONS[-1]
WARM_UP = (16, 1.0)
"""Connections and seconds of the warm-up of each server."""
FLOOR_SECONDS = 1.0
ROW_BYTES = 600
COMMIT_ALONE: Sequence[str | Path] = (sys.executable, "-m", "benchmarks.servers.commit_alone")
OURS, ALONE, FLOOR = "ours", "alone", "floor"
OTHERS = {ALONE: "a commit per request", **RIVALS}
"""The names of the baselines in reports."""
PLAIN_EVENTS = {"sqlite": "stored_events", "postgresql": "offers_events"}
AT_LEAST = {
    "sqlite": {(MANY, UPSERT): 3.0, (MANY, PLAIN): 2.0},
    "postgresql": {(MANY, UPSERT): 2.2, (MANY, PLAIN): 2.0},
}
"""Goals of the rate, by connections and rival."""
AT_MOST = {
    "sqlite": {(LONE, P50, ALONE): 1.15, (MANY, P99, ALONE): 1.0, (LONE, P50, UPSERT): 1.2},
    "postgresql": {(LONE, P50, ALONE): 1.15, (MANY, P99, ALONE): 1.0, (LONE, P50, UPSERT): 1.8},
}
"""Goals of latencies, by connections, figure and baseline."""


class PutTarget:
    """A server that gets PUTs, and the number of PUTs that it has acknowledged."""

    def __init__(self, name: str, contender: Contender, engine: Engine) -> None:
        self._name, self._contender, self._engine = name, contender, engine
        self._table = {UPSERT: "history", PLAIN: PLAIN_EVENTS[engine.name]}.get(name, "traces")
        self._acknowledged = self._rounds = 0

    def round(self, connections: int, seconds: float, into: Measured) -> None:
        """Sends PUTs for one round. Raises RuntimeError if the database does not hold exactly the acknowledged ones."""
        self._rounds += 1
        url = self._contender.server.url
        result = run_client("benchmarks.clients.put_client", url, PARTNER, self._rounds, connections, seconds)
        self._acknowledged += len(result["milliseconds"])
        stored = self._engine.select(self._contender.ledger, f"SELECT count(*) FROM {self._table}")[0][0]
        if stored != self._acknowledged:
            raise RuntimeError(f"{self._name}: {self._acknowledged} PUTs acknowledged, {stored} stored")
        into.add(len(result["milliseconds"]), result["seconds"], Latency(result["milliseconds"]))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--connections", type=int, nargs="+", default=CONNECTIONS, help="Numbers of connections. Default: 1 16 64."
    )
    parser.add_argument("--seconds", type=float, default=2, help="Seconds of PUTs in each round. Default: 2.")
    parser.add_argument(
        "--pairs", type=int, default=PAIRS, help=f"Number of rounds; each measures all servers once. Default: {PAIRS}."
    )


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    with _put_targets(engine) as targets, engine.raw() as raw:
        raw.keep_bytes("rows")
        report.head()
        for connections in options.connections:
            figures = {name: Measured() for name in (*targets, FLOOR)}
            for number in range(options.pairs):
                for name in _alternating([*figures], number):
                    if name == FLOOR:
                        _write_rows(raw, figures[name])
                    else:
                        targets[name].round(connections, options.seconds, figures[name])
            _report(report, engine.name, connections, figures)


def _alternating(names: Sequence[str], number: int) -> Iterator[str]:
    """Yields the names in an order that is reversed in every second round."""
    yield from names if number % 2 == 0 else reversed(names)


@contextmanager
def _put_targets(engine: Engine) -> Iterator[dict[str, PutTarget]]:
    with ExitStack() as running:
        contenders = {
            OURS: run_service(engine, "shared", [PARTNER]),
            ALONE: run_service(engine, "alone", [PARTNER], COMMIT_ALONE),
            **{name: run_rival(engine, name) for name in RIVALS},
        }
        targets = {name: PutTarget(name, running.enter_context(one), engine) for name, one in contenders.items()}
        for target in targets.values():
            target.round(*WARM_UP, Measured())
        yield targets


def _write_rows(raw: RawTables, into: Measured) -> None:
    """Writes one row per transaction, as durably as the ledger does."""
    milliseconds, row = [], os.urandom(ROW_BYTES)
    started = now = time.perf_counter()
    while now < started + FLOOR_SECONDS:
        raw.execute("INSERT INTO rows VALUES (?)", (row,))
        before, now = now, time.perf_counter()
        milliseconds.append((now - before) * 1000)
    into.add(len(milliseconds), now - started, Latency(milliseconds))


def _report(report: Report, engine: str, connections: int, figures: Mapping[str, Measured]) -> None:
    ours = figures[OURS].values
    shown_names = OTHERS | {FLOOR: "raw rows, one by one"}
    baselines = {name: (shown_name, figures[name].values) for name, shown_name in shown_names.items()}
    for figure, unit in UNITS.items():
        for name, (shown_name, theirs) in baselines.items():
            if name == FLOOR and (connections != LONE or figure == P99):
                continue
            at_least = AT_LEAST[engine].get((connections, name)) if figure == RATE else None
            at_most = AT_MOST[engine].get((connections, figure, name))
            both = ours[figure], theirs[figure]
            report.add(
                Compared(
                    case_name("PUT", figure),
                    unit,
                    shown_name,
                    *both,
                    at_most=at_most,
                    at_least=at_least,
                    size=connections,
                )
            )
