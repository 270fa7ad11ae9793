"""Example runs: their requests, their owners, and their effects in the ledger."""

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
from domain.store.records.compression import compress
from domain.values import Clock, Operation, Origin, Source
from projections import projector
from projections.access import partners
from projections.offers.changed_offers import changed_offers
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
        uuid4(), partner, Batch(operation, request_id or uuid4()), body_digest, len(sent), equivalent_run_id=same_as
    )


def file_request(
    sent: bytes = b"{}", dated: date = date(2026, 11, 22), partner: str = PARTNER, prefix: str = ""
) -> RunRequest:
    """Returns the request of an offers file of that day. Without a prefix, its name begins with the partner's name."""
    file = OffersFile(f"{prefix or partner.title()}Offers{dated:%Y%m%d}.json", dated)
    return RunRequest(uuid4(), partner, file, hashlib.sha256(sent).hexdigest(), len(sent))


def in_chunks(sent: bytes) -> list[bytes]:
    size = run_bodies.CHUNK_BYTES
    return [compress(sent[start : start + size]) for start in range(0, len(sent), size)]


def accepted_run(runs: RunLedger, sent: bytes = b"{}", run_request: RunRequest | None = None) -> Run:
    """Accepts a run with its body, owned by `runs`."""
    return runs.accept(run_request or request(sent), FEED, in_chunks(sent)).run


def accepted_batch(runs: RunLedger, batch: Mapping[str, Any], sent: bytes | None = None) -> Run:
    """Accepts the run of a batch; `sent` is its JSON text if that differs from the default."""
    sent = sent or body(batch)
    run_request = request(sent, Operation(batch["operation"]), UUID(batch["concurrencyRequestId"]))
    return accepted_run(runs, sent, run_request)


def compressed_blocks(*blocks: bytes) -> list[bytes]:
    return [compress(block) for block in blocks]


def valid_item(external_id: str, **changes: Any) -> ValidItem:
    content = offer_data(**changes)
    return ValidItem(external_id, SentContent(Raw(json.dumps(content).encode()), digest(content)))


def plan(runs: RunLedger, run: Run, items: Sequence[SentItem]) -> Plan:
    assert isinstance(run.input, Batch)
    return reconcile(run.partner, run.input.operation, items, runs.known_offers(run))


@contextmanager
def open_ledger(database: Path, clock: Clock, known_offers: KnownOffersQuery = all_known) -> Iterator[OfferLedger]:
    """Opens a ledger with one partner, whose number of runs is not limited."""
    ledger = OfferLedger(
        DatabaseLocation(str(database)), clock, projector.Projector(), known_offers, partners.all_names, changed_offers
    )
    try:
        ledger.recorder.prepare_schema(projector.tables())
        ledger.handle(SetPartner(PARTNER, synchronize_per_day=0, insert_per_hour=0), OPERATOR)
        yield ledger
    finally:
        ledger.close()


# Stored data


def count_rows(ledger: OfferLedger, table: str) -> int:
    with ledger.recorder.read() as tx:
        return int(tx.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def row_counts(ledger: OfferLedger) -> dict[str, int]:
    """Returns the row counts of the tables that runs write to."""
    return {table: count_rows(ledger, table) for table in ("events", "commits", "inventory", "run_outcomes")}


def offer_versions(ledger: OfferLedger) -> dict[str, int]:
    """Returns the version of each offer in the inventory, by external id."""
    with ledger.recorder.read() as tx:
        return {row["external_id"]: row["version"] for row in tx.execute("SELECT external_id, version FROM inventory")}


def offer_topics(ledger: OfferLedger) -> list[str]:
    """Returns the topics of all offer events, in the order of the ledger."""
    with ledger.recorder.read() as tx:
        entries = [entry for page in ledger.entries(tx) for entry in page]
    return [entry.event.TOPIC for entry in entries if entry.event.TOPIC.startswith("Offer")]


def run_ids(runs: Iterable[Run]) -> list[UUID]:
    return [run.run_id for run in runs]
