"""How many activations are recorded per second, one by one and as batches of lines, and how long does each take?

The floor is what they have written once more: into raw tables of the same database with the same indexes, as durable as the
ledger's, in a transaction for each activation; for a batch, in one for as many lines as share one in the service. The
service and its floor take turns, round after round, so that whatever else the machine does hits both.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import httpx2

from api.activation_batch import LINES_PER_TRANSACTION, MAX_LINES
from api.settings import Settings
from api.wiring import open_service
from benchmarks.activatable import OFFERS, PUBLISHER, offer_uid, prepare
from benchmarks.engines import Engine, environment
from benchmarks.raw_rows import RawRows
from benchmarks.report import Report
from benchmarks.sending import run_client
from benchmarks.serving import Latency, Server

CONNECTIONS = (1, 16, 64)
ROUNDS = 5
WARM_UP = (16, 1.0)
"""Connections and seconds before anything counts."""
LINES = {"Authorization": f"ApiToken {PUBLISHER}", "Content-Type": "application/x-ndjson"}
RATIOS = """\
Ratios are the service to its floor: how many times as many activations per second; how many times as long each takes.
A transaction of the service has all who came meanwhile, one of the floor has one activation, in a batch so many: {}.
The times of a batch are those of all its lines, and those of its floor of one transaction.
"""


class Measured(NamedTuple):
    """What rounds have come to."""

    latency: Latency
    per_second: list[float]
    """By round."""

    @property
    def rate(self) -> float:
        """Of all rounds, which take equally long."""
        return sum(self.per_second) / len(self.per_second)


class Reported:
    """A server, and how many activations it has acknowledged."""

    def __init__(self, server: Server, engine: Engine, ledger: Settings, raw: RawRows) -> None:
        self._server, self._engine, self._ledger, self.raw = server, engine, ledger, raw
        self._acknowledged = self._rounds = 0

    def one_by_one(self, connections: int, seconds: float, into: Measured) -> None:
        self._rounds += 1
        client = ("benchmarks.activation_client", self._server.url, PUBLISHER)
        told = run_client(*client, self._rounds, connections, seconds)
        self._count(len(told["milliseconds"]))
        into.latency.milliseconds += told["milliseconds"]
        into.per_second.append(len(told["milliseconds"]) / told["seconds"])

    def batch(self, lines: int, into: Measured) -> None:
        self._rounds += 1
        body, started = _body(lines, self._rounds), time.perf_counter()
        reply = httpx2.post(f"{self._server.url}/api/v1/activations/batch", content=body, headers=LINES, timeout=600)
        seconds = time.perf_counter() - started
        self._count(reply.raise_for_status().json()["counts"]["created"])
        into.latency.milliseconds.append(seconds * 1000)
        into.per_second.append(lines / seconds)

    def _count(self, acknowledged: int) -> None:
        """Raises RuntimeError if the ledger doesn't hold just what was acknowledged."""
        self._acknowledged += acknowledged
        held = self._engine.select(self._ledger, "SELECT count(*) FROM redemption_windows")[0][0]
        if held != self._acknowledged:
            raise RuntimeError(f"{self._acknowledged} activations were acknowledged, and there are {held}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=10, help="of single ones, per number of connections (10)")
    parser.add_argument("--lines", type=int, default=MAX_LINES, help=f"per batch, {MAX_LINES} at most ({MAX_LINES})")


def run(engine: Engine, options: argparse.Namespace, _report: Report) -> None:
    print(RATIOS.format(LINES_PER_TRANSACTION))
    print(f"{'connections':13}{'':9}{'per s':>8}  {'(by round)':18}{'p50':>11}{'p99':>11}{'most':>11}")
    with _serving(engine) as reported:
        reported.one_by_one(*WARM_UP, Measured(Latency(), []))
        reported.raw.write(reported.raw.new(), 1, Latency())
        for connections in CONNECTIONS:
            _compare_single(reported, connections, options.seconds / ROUNDS)
        _compare_batches(reported, options.lines)


@contextmanager
def _serving(engine: Engine) -> Iterator[Reported]:
    ledger = engine.ledger("activations")
    with open_service(ledger) as service:
        prepare(service)
    with engine.raw() as raw, Server(environment(ledger), engine.folder / "serve.log") as server:
        yield Reported(server, engine, ledger, RawRows(engine, ledger, raw))


def _compare_single(reported: Reported, connections: int, seconds: float) -> None:
    service, floor = Measured(Latency(), []), Measured(Latency(), [])
    for _ in range(ROUNDS):
        reported.one_by_one(connections, seconds, service)
        _take_floor(reported.raw, 1, floor)
    _tell(f"{connections:11}", "service", service)
    _tell("", "floor", floor)
    _tell_ratios(service, floor, ("p50", "p99", "most"))


def _compare_batches(reported: Reported, lines: int) -> None:
    service, floor = Measured(Latency(), []), Measured(Latency(), [])
    for _ in range(ROUNDS):
        reported.batch(lines, service)
        _take_floor(reported.raw, LINES_PER_TRANSACTION, floor)
    _tell(f"{lines:,} lines", "service", service)
    _tell("transactions", "floor", floor)
    _tell_ratios(service, floor)


def _take_floor(raw: RawRows, per_transaction: int, into: Measured) -> None:
    rows = raw.new()
    into.per_second.append(len(rows) / raw.write(rows, per_transaction, into.latency))


def _body(lines: int, mark: int) -> bytes:
    """Every activation is of another customer, and was made just now."""
    now = datetime.now(UTC).isoformat()
    made = (
        {"customerId": f"customer-{mark}-{n}", "offerUid": str(offer_uid(n % OFFERS)), "activatedAt": now}
        for n in range(lines)
    )
    return "\n".join(map(json.dumps, made)).encode()


def _tell(case: str, who: str, measured: Measured) -> None:
    latency, by_round = measured.latency, f"({min(measured.per_second):.0f} to {max(measured.per_second):.0f})"
    times = "".join(f"{one:8.1f} ms" for one in (latency.p50, latency.p99, latency.most))
    print(f"{case:13}{who:9}{measured.rate:8.0f}  {by_round:18}{times}", flush=True)


def _tell_ratios(service: Measured, floor: Measured, names: Sequence[str] = ()) -> None:
    times = "".join(f"{getattr(service.latency, name) / getattr(floor.latency, name):8.2f}   " for name in names)
    print(f"{'':13}{'ratio':9}{service.rate / floor.rate:8.2f}{'':20}{times}", flush=True)
