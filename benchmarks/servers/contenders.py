"""The servers that a benchmark compares: the service and its rivals, each with its own database."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from api.dependencies.authentication import digest_secret
from api.http.paths import BATCH_PATH
from api.settings import Settings
from api.wiring import open_service
from benchmarks.engines.engine import Engine, environment
from benchmarks.servers.server_process import MIB, SCRIPT, Server
from domain.access.partner import SetPartner
from domain.access.token import CreateToken
from domain.values import Origin, Role, Source

UPSERT, PLAIN, MERGE = "upsert", "plain", "merge"
RIVALS = {UPSERT: "SQLAlchemy upsert", PLAIN: "plain eventsourcing"}
"""The names of the rivals in reports."""
BATCH_RIVALS = {"sqlite": RIVALS, "postgresql": RIVALS | {MERGE: "COPY and MERGE"}}
"""Those for batches, by database."""
OURS: Sequence[str | Path] = (SCRIPT,)
TAKES_ALL = {
    "OFFER_LEDGER_MAX_ITEMS": "1000000",
    "OFFER_LEDGER_MAX_BODY_BYTES": str(4096 * MIB),
    "OFFER_LEDGER_WAIT_SECONDS": "3600",
}
BENCHMARK = Origin("benchmark", Source.CLI)

Counts = dict[str, int]


class Contender(NamedTuple):
    """A running server, and the settings of its database."""

    server: Server
    ledger: Settings

    def post(self, partner: str, body: bytes) -> tuple[float, Counts]:
        """Sends a batch and returns its seconds and the number of offers by outcome."""
        seconds, reply = send(self.server, partner, body)
        counts: Counts = reply["data"]["counts"]
        return seconds, {name: counts[name] for name in ("created", "updated", "unchanged", "paused")}


@contextmanager
def run_service(
    engine: Engine, name: str, partners: Iterable[str], command: Sequence[str | Path] = OURS
) -> Iterator[Contender]:
    """Runs the service with these partners. It accepts batches of any size and replies when they are executed."""
    ledger = engine.ledger(name)
    prepare(ledger, partners)
    with Server(environment(ledger) | TAKES_ALL, engine.folder / f"{name}.log", command) as server:
        yield Contender(server, ledger)


@contextmanager
def run_rival(engine: Engine, name: str) -> Iterator[Contender]:
    ledger = engine.ledger(name)
    command = (sys.executable, "-m", "benchmarks.rivals", name)
    with Server(environment(ledger), engine.folder / f"{name}.log", command) as server:
        yield Contender(server, ledger)


def prepare(ledger: Settings, partners: Iterable[str]) -> None:
    """Registers partners without limits. The name of a partner is the secret of its token."""
    with open_service(ledger) as opened:
        for partner in partners:
            limits = SetPartner(partner, synchronize_per_day=0, insert_per_hour=0, rps=0, daily_quota=0)
            opened.ledger.handle(limits, BENCHMARK)
            token = CreateToken(partner, Role.PARTNER, partner, digest_secret(partner), 0, None)
            opened.ledger.handle(token, BENCHMARK)


def send(server: Server, secret: str, body: bytes) -> tuple[float, Any]:
    """Sends a batch and returns its seconds and the reply."""
    headers = {"Authorization": f"ApiToken {secret}", "Content-Type": "application/json"}
    started = time.perf_counter()
    reply = httpx2.post(server.url + BATCH_PATH, content=body, headers=headers, timeout=3600)
    seconds = time.perf_counter() - started
    return seconds, reply.raise_for_status().json()
