"""Measure the rate and the latency of activations, sent one by one and as batches of lines.

The floor writes the same rows a second time, to raw tables of the same database with the same indexes and durability.
It uses one transaction for each activation; for a batch, one for as many lines as the service commits together. The
service and the floor are measured in turns.
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
from benchmarks.reporting.comparison import PAIRS, PAIRS_HELP, Compared
from benchmarks.reporting.measurement import RATE, UNITS, Measured, case_name
from benchmarks.reporting.report import Report
from benchmarks.servers.server_process import Latency, Server

CONNECTIONS = (1, 16, 64)
WARM_UP = (16, 1.0)
"""Connections and seconds of the warm-up."""
LINES = {"Authorization": f"ApiToken {PUBLISHER}", "Content-Type": "application/x-ndjson"}
SECONDS_HELP = "Seconds of single activations for each number of connections. Default: 10."
FLOOR = "raw write of the rows"
SHARED = f"""\
The service commits concurrent activations in one transaction; the floor has one transaction for each activation.
For batches, a transaction of both has {LINES_PER_TRANSACTION} lines.
"""


class ActivationServer:
    """A server that gets activations, and the number that it has acknowledged."""

    def __init__(self, server: Server, engine: Engine, ledger: Settings, raw: RawRows) -> None:
        self._server, self._engine, self._ledger, self.raw = server, engine, ledger, raw
        self._acknowledged = self._rounds = 0

    def one_by_one(self, connections: int, seconds: float, into: Measured) -> None:
        self._rounds += 1
        client = ("benchmarks.clients.activation_client", self._server.url, PUBLISHER)
        result = run_client(*client, self._rounds, connections, seconds)
        self._require_stored(len(result["milliseconds"]))
        into.add(len(result["milliseconds"]), result["seconds"], Latency(result["milliseconds"]))

    def batch(self, lines: int, into: Measured) -> None:
        self._rounds += 1
        body, started = _body(lines, self._rounds), time.perf_counter()
        reply = httpx2.post(f"{self._server.url}/api/v1/activations/batch", content=body, headers=LINES, timeout=600)
        seconds = time.perf_counter() - started
        self._require_stored(reply.raise_for_status().json()["counts"]["created"])
        into.add(lines, seconds, Latency([seconds * 1000]))

    def _require_stored(self, acknowledged: int) -> None:
        """Raises RuntimeError if the ledger does not hold exactly the acknowledged activations."""
        self._acknowledged += acknowledged
        stored = self._engine.select(self._ledger, "SELECT count(*) FROM redemption_windows")[0][0]
        if stored != self._acknowledged:
            raise RuntimeError(f"{self._acknowledged} activations acknowledged, {stored} stored")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=10, help=SECONDS_HELP)
    parser.add_argument(
        "--lines", type=int, default=MAX_LINES, help=f"Lines of a batch, 1 to {MAX_LINES}. Default: {MAX_LINES}."
    )
    parser.add_argument("--pairs", type=int, default=PAIRS, help=PAIRS_HELP)


def run(engine: Engine, options: argparse.Namespace, report: Report) -> None:
    report.note(SHARED)
    report.head()
    with _server(engine) as server:
        server.one_by_one(*WARM_UP, Measured())
        server.raw.write(server.raw.new(), 1, Latency())
        for connections in CONNECTIONS:
            one_by_one = partial(server.one_by_one, connections, options.seconds / options.pairs)
            service, floor = _compare(server.raw, one_by_one, 1, options.pairs)
            for figure, unit in UNITS.items():
                both = service.values[figure], floor.values[figure]
                report.add(Compared(case_name("one by one", figure), unit, FLOOR, *both, size=connections))
        batch = partial(server.batch, options.lines)
        service, floor = _compare(server.raw, batch, LINES_PER_TRANSACTION, options.pairs)
        rates = service.values[RATE], floor.values[RATE]
        report.add(Compared("lines of a batch", "per s", FLOOR, *rates, size=options.lines))


@contextmanager
def _server(engine: Engine) -> Iterator[ActivationServer]:
    ledger = engine.ledger("activations")
    with open_service(ledger) as service:
        prepare(service)
    with engine.raw() as raw, Server(environment(ledger), engine.folder / "serve.log") as server:
        yield ActivationServer(server, engine, ledger, RawRows(engine, ledger, raw))


def _compare(
    raw: RawRows, send_round: Callable[[Measured], None], per_transaction: int, pairs: int
) -> tuple[Measured, Measured]:
    """Measures the service and then the floor, which writes the same rows."""
    service, floor = Measured(), Measured()
    for _ in range(pairs):
        send_round(service)
        rows, latency = raw.new(), Latency()
        floor.add(len(rows), raw.write(rows, per_transaction, latency), latency)
    return service, floor


def _body(lines: int, mark: int) -> bytes:
    """Returns the body of a batch: activations at the present time, each of another customer."""
    now = datetime.now(UTC).isoformat()
    activations = (
        {"customerId": f"customer-{mark}-{n}", "offerUid": str(offer_uid(n % OFFERS)), "activatedAt": now}
        for n in range(lines)
    )
    return "\n".join(map(json.dumps, activations)).encode()
