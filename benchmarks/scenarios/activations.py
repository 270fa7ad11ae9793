"""How many activations are recorded per second, one by one and as batches of lines, and how long does each take?

The floor is what they have written once more: into raw tables of the same database with the same indexes, as durable as the
ledger's, in a transaction for each activation; for a batch, in one for as many lines as share one in the service. The
service and its floor take turns, pair after pair, so that whatever else the machine does hits both.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import httpx2

from api.redemption.activation_batch_routes import LINES_PER_TRANSACTION, MAX_LINES
from api.settings import Settings
from api.wiring import open_service
from benchmarks.clients.load_client import run_client
from benchmarks.engines.engine import Engine, environment
from benchmarks.fill.seed_activations import OFFERS, PUBLISHER, offer_uid, prepare
from benchmarks.floors.raw_activations import RawRows
from benchmarks.reporting.comparison import PAIRS, Compared
from benchmarks.reporting.measurement import RATE, UNITS, Measured, case_of
from benchmarks.reporting.report import Report
from benchmarks.servers.server_process import Latency, Server

CONNECTIONS = (1, 16, 64)
WARM_UP = (16, 1.0)
"""Connections and seconds before anything counts."""
LINES = {"Authorization": f"ApiToken {PUBLISHER}", "Content-Type": "application/x-ndjson"}
FLOOR = "raw write of the rows"
SHARED = f"""\
A transaction of the service has all activations who came meanwhile, one of the floor has one; of a batch's lines, {LINES_PER_TRANSACTION}.
"""


class Reported:
    """A server, and how many activations it has acknowledged."""

    def __init__(self, server: Server, engine: Engine, ledger: Settings, raw: RawRows) -> None:
        self._server, self._engine, self._ledger, self.raw = server, engine, ledger, raw
        self._acknowledged = self._rounds = 0

    def one_by_one(self, connections: int, seconds: float, into: Measured) -> None:
        self._rounds += 1
        client = ("benchmarks.clients.activation_client", self._server.url, PUBLISHER)
        told = run_client(*client, self._rounds, connections, seconds)
        self._count(len(told["milliseconds"]))
        into.add(len(told["milliseconds"]), told["seconds"], Latency(told["milliseconds"]))

    def batch(self, lines: int, into: Measured) -> None:
        self._rounds += 1
        body, started = _body(lines, self._rounds), time.perf_counter()
        reply = httpx2.post(f"{self._server.url}/api/v1/activations/batch", content=body, headers=LINES, timeout=600)
        seconds = time.perf_counter() - started
        self._count(reply.raise_for_status().json()["counts"]["created"])
        into.add(lines, seconds, Latency([seconds * 1000]))

    def _count(self, acknowledged: int) -> None:
        """Raises RuntimeError if the ledger doesn't hold just what was acknowledged."""
        self._acknowledged += acknowledged
        held = self._engine.select(self._ledger, "SELECT count(*) FROM redemption_windows")[0][0]
        if held != self._acknowledged:
            raise RuntimeError(f"{self._acknowledged} activations were acknowledged, and there are {held}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=10, help="of single ones, per number of connections (10)")
    parser.add_argument("--lines", type=int, default=MAX_LINES, help=f"per batch, {MAX_LINES} at most ({MAX_LINES})")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"({PAIRS})")


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    report.note(SHARED)
    report.head()
    with _serving(engine) as reported:
        reported.one_by_one(*WARM_UP, Measured())
        reported.raw.write(reported.raw.new(), 1, Latency())
        for connections in CONNECTIONS:
            one = partial(reported.one_by_one, connections, options.seconds / options.pairs)
            service, floor = _compare(reported.raw, one, 1, options.pairs)
            for figure, unit in UNITS.items():
                both = service.of[figure], floor.of[figure]
                report.add(Compared(case_of("one by one", figure), unit, FLOOR, *both, size=connections))
        batch = partial(reported.batch, options.lines)
        service, floor = _compare(reported.raw, batch, LINES_PER_TRANSACTION, options.pairs)
        report.add(Compared("lines of a batch", "per s", FLOOR, service.of[RATE], floor.of[RATE], size=options.lines))


@contextmanager
def _serving(engine: Engine) -> Iterator[Reported]:
    ledger = engine.ledger("activations")
    with open_service(ledger) as service:
        prepare(service)
    with engine.raw() as raw, Server(environment(ledger), engine.folder / "serve.log") as server:
        yield Reported(server, engine, ledger, RawRows(engine, ledger, raw))


def _compare(
    raw: RawRows, report_some: Callable[[Measured], None], per_transaction: int, pairs: int
) -> tuple[Measured, Measured]:
    """The floor comes after the service, for only then there are rows."""
    service, floor = Measured(), Measured()
    for _ in range(pairs):
        report_some(service)
        rows, latency = raw.new(), Latency()
        floor.add(len(rows), raw.write(rows, per_transaction, latency), latency)
    return service, floor


def _body(lines: int, mark: int) -> bytes:
    """Every activation is of another customer, and was made just now."""
    now = datetime.now(UTC).isoformat()
    made = (
        {"customerId": f"customer-{mark}-{n}", "offerUid": str(offer_uid(n % OFFERS)), "activatedAt": now}
        for n in range(lines)
    )
    return "\n".join(map(json.dumps, made)).encode()
