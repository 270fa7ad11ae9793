"""How long does a large Synchronize take over HTTP, how much memory, and what do readers notice?

The floor of each case is a raw write of the same rows to the same database, in one transaction, as durable: the events
that the run added and a row of the inventory for each offer that it touched. The floor of a run that adds nothing is a
raw write of its body.
"""

import argparse
import time

import httpx2

from api.auth import digest_secret
from api.problems import BATCH_PATH
from api.settings import Settings
from api.wiring import open_service
from benchmarks.engines import Engine, environment
from benchmarks.offers import batch, offers
from benchmarks.report import Report
from benchmarks.serving import MIB, Server, reading
from domain.partner import SetPartner
from domain.token import CreateToken
from domain.values import Origin, Role, Source

PARTNER, SENDER, READER = "tidepool", "the sender's", "the reader's"
WATCHED = "/api/v1/offers?limit=10"
IDLE_SECONDS = 3.0
BODY_CHUNK = 4 * MIB
WRITTEN = {
    "events": "SELECT * FROM events WHERE commit_id > ? ORDER BY ordinal",
    "inventory": "SELECT * FROM inventory WHERE updated_commit > ?",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offers", type=int, default=100_000, help="offers per batch (100000)")


def run(engine: Engine, options: argparse.Namespace, _report: Report) -> None:
    count, ledger = options.offers, engine.ledger("batches")
    _prepare(ledger)
    cases = {
        "created": offers(count),
        "identical": offers(count),
        "half changed": offers(count, changed_share=0.5),
        "replaced": offers(count, "p"),
    }
    print(f"{count:,} offers by Synchronize over HTTP\n")
    print(f"{'case':14}{'body':>9}{'run':>9}{'floor':>9}{'ratio':>8}{'peak above idle':>18}   a GET meanwhile")
    with Server(serving_large_batches(ledger, count), engine.folder / "serve.log") as server:
        time.sleep(2)
        idle = server.memory("VmRSS")
        with reading(server.url, READER, WATCHED) as latency:
            time.sleep(IDLE_SECONDS)
        print(f"{'(idle)':67}   {latency}")
        for name, items in cases.items():
            _measure(server, _Floor(engine, ledger), name, batch("Synchronize", items), idle)


def serving_large_batches(ledger: Settings, count: int) -> dict[str, str]:
    """The environment of a server that takes batches of so many offers, and answers when they are carried out."""
    return environment(ledger) | {
        "OFFER_LEDGER_MAX_ITEMS": str(max(count, 200_000)),
        "OFFER_LEDGER_MAX_BODY_BYTES": str(1024 * MIB),
        "OFFER_LEDGER_WAIT_SECONDS": "3600",
    }


def send(server: Server, secret: str, body: bytes) -> float:
    """How many seconds it takes."""
    headers = {"Authorization": f"ApiToken {secret}", "Content-Type": "application/json"}
    started = time.perf_counter()
    reply = httpx2.post(server.url + BATCH_PATH, content=body, headers=headers, timeout=3600)
    seconds = time.perf_counter() - started
    reply.raise_for_status()
    return seconds


def _measure(server: Server, floor: "_Floor", name: str, body: bytes, idle: float) -> None:
    server.forget_peak()
    before = floor.newest_commit()
    with reading(server.url, READER, WATCHED) as latency:
        seconds = send(server, SENDER, body)
    peak = server.memory("VmHWM") - idle
    at_best = floor.seconds(before, body)
    size = len(body) / MIB
    print(
        f"{name:14}{size:6.0f} MB{seconds:7.2f} s{at_best:7.2f} s{seconds / at_best:8.1f}"
        f"{peak:9.0f} MB = {peak / size:.1f}x   {latency}",
        flush=True,
    )


def _prepare(settings: Settings) -> None:
    operator = Origin("benchmark", Source.CLI)
    with open_service(settings) as service:
        service.ledger.handle(SetPartner(PARTNER, synchronize_per_day=0, insert_per_hour=0), operator)
        sender = CreateToken("sender", Role.PARTNER, PARTNER, digest_secret(SENDER), 0, None)
        reader = CreateToken("reader", Role.AUDITOR, None, digest_secret(READER), 0, None)
        service.ledger.handle(sender, operator)
        service.ledger.handle(reader, operator)


class _Floor:
    """Of runs on a ledger."""

    def __init__(self, engine: Engine, ledger: Settings) -> None:
        self._engine, self._ledger = engine, ledger

    def newest_commit(self) -> int:
        newest: int = self._engine.select(self._ledger, "SELECT max(commit_id) FROM commits")[0][0]
        return newest

    def seconds(self, before: int, body: bytes) -> float:
        """For a raw write of what the commits after `before` hold, or of the body if there are none."""
        rows = {table: self._engine.select(self._ledger, select, (before,)) for table, select in WRITTEN.items()}
        if not rows["events"]:
            rows = {"body": [(body[at : at + BODY_CHUNK],) for at in range(0, len(body), BODY_CHUNK)]}
        with self._engine.raw() as raw:
            raw.copy_tables(self._ledger, list(WRITTEN))
            raw.keep_bytes("body")
            started = time.perf_counter()
            raw.write(rows)
            return time.perf_counter() - started
