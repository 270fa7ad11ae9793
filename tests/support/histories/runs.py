"""Runs that tests speak of: their requests, their owners, and what has become of them in the ledger."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from msgspec import Raw

from domain.access.partner import SetPartner
from domain.ledgers.ledger import KnownOffersQuery, OfferLedger
from domain.ledgers.run_ledger import RunLedger
from domain.offers.content import SentContent, digest
from domain.runs.batch_reconciliation import SentItem, ValidItem, reconcile
from domain.runs.plan import Plan
from domain.runs.run import Batch, OffersFile, Run, RunProblem, RunRequest
from domain.store.database import DatabaseLocation
from domain.store.records import run_bodies
from domain.store.records.compression import pack
from domain.values import Clock, Operation, Origin, Source
from projections import projector
from projections.offers.decision_state import known_offers as all_known
from tests.support.examples import PARTNER, body, offer_data
from tests.support.harness import OPERATOR

FEED = Origin("tide-feed", Source.CUSTOM)
LEASE = timedelta(seconds=10)
PROBLEM = RunProblem("run-failed", "Run failed", 500, "The service could not carry the run out.")


def request_id_of(run: Run) -> UUID:
    assert isinstance(run.input, Batch)
    return run.input.concurrency_request_id


def request(
    sent: bytes = b"{}",
    operation: Operation = Operation.INSERT,
    request_id: UUID | None = None,
    partner: str = PARTNER,
    same_as: UUID | None = None,
) -> RunRequest:
    body_digest = hashlib.sha256(sent).hexdigest()
    return RunRequest(
        uuid4(), partner, Batch(operation, request_id or uuid4()), body_digest, len(sent), is_same_as=same_as
    )


def file_request(
    sent: bytes = b"{}", dated: date = date(2026, 11, 22), partner: str = PARTNER, prefix: str = "Tidepool"
) -> RunRequest:
    """An offers file that was made on that day."""
    file = OffersFile(f"{prefix}Offers{dated:%Y%m%d}.json", dated)
    return RunRequest(uuid4(), partner, file, hashlib.sha256(sent).hexdigest(), len(sent))


def in_chunks(sent: bytes) -> list[bytes]:
    size = run_bodies.CHUNK_BYTES
    return [pack(sent[at : at + size]) for at in range(0, len(sent), size)]


def accepted(runs: RunLedger, sent: bytes = b"{}", asked: RunRequest | None = None) -> Run:
    """A run that this owner holds, with its body."""
    return runs.accept(asked or request(sent), FEED, in_chunks(sent)).run


def accepted_batch(runs: RunLedger, batch: Mapping[str, Any], sent: bytes | None = None) -> Run:
    """A run of a batch as it comes in by the wire; `sent`: its spelling, if it is to be another than usual."""
    sent = sent or body(batch)
    asked = request(sent, Operation(batch["operation"]), UUID(batch["concurrencyRequestId"]))
    return accepted(runs, sent, asked)


def packed(*blocks: bytes) -> list[bytes]:
    return [pack(block) for block in blocks]


def valid(external_id: str, **changes: Any) -> ValidItem:
    content = offer_data(**changes)
    return ValidItem(external_id, SentContent(Raw(json.dumps(content).encode()), digest(content)))


def plan(runs: RunLedger, run: Run, items: Sequence[SentItem]) -> Plan:
    assert isinstance(run.input, Batch)
    return reconcile(run.partner, run.input.operation, items, runs.known_offers(run))


@contextmanager
def opened(database: Path, clock: Clock, known_offers: KnownOffersQuery = all_known) -> Iterator[OfferLedger]:
    """A ledger with one partner, whose runs are not limited."""
    ledger = OfferLedger(DatabaseLocation(str(database)), clock, projector.Projector(), known_offers)
    try:
        ledger.recorder.prepare_schema(projector.tables())
        ledger.handle(SetPartner(PARTNER, synchronize_per_day=0, insert_per_hour=0), OPERATOR)
        yield ledger
    finally:
        ledger.close()


# What is there


def rows(ledger: OfferLedger, table: str) -> int:
    with ledger.recorder.read() as tx:
        return int(tx.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def effects(ledger: OfferLedger) -> dict[str, int]:
    """How much runs have left in the ledger."""
    return {table: rows(ledger, table) for table in ("events", "commits", "inventory", "run_outcomes")}


def offer_versions(ledger: OfferLedger) -> dict[str, int]:
    """Each offer in the inventory, and how many events it has had."""
    with ledger.recorder.read() as tx:
        return {row["external_id"]: row["version"] for row in tx.execute("SELECT external_id, version FROM inventory")}


def topics(ledger: OfferLedger) -> list[str]:
    """Every event of an offer, in the order of the ledger."""
    with ledger.recorder.read() as tx:
        entries = [entry for some in ledger.entries(tx) for entry in some]
    return [entry.event.TOPIC for entry in entries if entry.event.TOPIC.startswith("Offer")]


def ids(found: Iterable[Run]) -> list[UUID]:
    return [run.run_id for run in found]
