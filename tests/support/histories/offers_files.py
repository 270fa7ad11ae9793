"""Example offers files: their content, their processing, and their outcomes."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from api.bounds.body import BodyBounds
from api.intake.merchant_offer import read_offer
from domain.access.partner import SetPartner
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.run_ledger import AcceptedRun, RunLedger
from domain.offers.content import Content
from domain.runs.run import OUTCOMES, Outcome, Run
from domain.single_requests.request import SingleRequest
from domain.values import MissingFromFile, OfferKey, Origin, ProgressCallback, Source, no_progress
from projections.audit import offer_history
from projections.audit.event_item import EventView
from projections.offers import inventory
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Clock, execute_run
from tests.support.histories.runs import file_request, in_chunks
from tests.support.histories.single_requests import merchant_key, merchant_offer, single_request

DUMP = Origin("tide-dump", Source.FILE)
TODAY = date(2026, 11, 22)
PNG = f"data:image/png;base64,{'iVBORw0KGgoAAAANSUhEUgAA' * 20}"
PICTURE = "picture"
"""The name of an offer whose logo is inline."""


# Content


def content(key: OfferKey, name: str) -> Content:
    """Returns an offer with this name, as a partner sends it."""
    return merchant_offer(key, name, {"content": PNG} if name == PICTURE else None)


def record(key: OfferKey, offer_status: str = "UPSERT", name: str = "a") -> dict[str, Any]:
    if offer_status == "DELETED":
        return {"offerStatus": offer_status, "merchantId": key.merchant_id, "offerId": key.external_id}
    return {"offerStatus": offer_status, **content(key, name)}


def document(records: Sequence[Any], indent: int | None = None) -> bytes:
    """Returns a complete file with these records."""
    header = {"fileDescription": "Daily dump", "fileCreationDate": "2026-11-22", "offerRecordCount": len(records)}
    return json.dumps({"header": header, "offers": list(records)}, indent=indent).encode()


def file_with(name: str, *keys: OfferKey) -> bytes:
    """Returns a complete file in which these offers, or the first merchant offer, have this name."""
    return document([record(key, name=name) for key in keys or (merchant_key(),)])


# Processing


def accept(runs: RunLedger, sent: bytes, dated: date = TODAY, partner: str = PARTNER) -> AcceptedRun:
    return runs.accept(file_request(sent, dated, partner), DUMP, in_chunks(sent))


def process(
    runs: RunLedger, sent: bytes, dated: date = TODAY, partner: str = PARTNER, watch: ProgressCallback = no_progress
) -> Run:
    """Accepts and executes a file, and returns its finished run; a finished run is not executed again."""
    run = accept(runs, sent, dated, partner).run
    return run if run.is_finished else execute_run(runs, run, watch)


def after_validation(do: Callable[[], object]) -> ProgressCallback:
    """Returns a callback that calls `do` after the validation of all records, before any decision."""

    def watch(done: int, total: int) -> None:
        if done == total:
            do()

    return watch


def put(key: OfferKey, name: str) -> SingleRequest:
    """Returns a single request with the same offer as a record."""
    return single_request(
        key, read_offer(json.dumps(content(key, name)).encode(), key, BodyBounds(max_image_bytes=sys.maxsize))
    )


def set_missing(ledger: OfferLedger, missing: MissingFromFile) -> None:
    ledger.handle(SetPartner(PARTNER, missing_from_file=missing), OPERATOR)


# Outcomes


def ids_by_outcome(outcome: Outcome) -> Mapping[str, list[tuple[str | None, str | None]]]:
    """Returns merchant and offer ids by outcome, of records and of missing offers."""
    return {
        kind: [(item.merchant_id, item.external_id) for item in getattr(outcome, kind)]
        for kind in OUTCOMES
        if getattr(outcome, kind)
    }


def history_of(ledger: OfferLedger, key: OfferKey) -> list[EventView]:
    with ledger.recorder.read() as tx:
        return offer_history.page(tx, key.offer_uid, 0, 1000).items


def content_of(ledger: OfferLedger, key: OfferKey) -> Content | None:
    """Returns an offer's content in the inventory, with its inline images."""
    with ledger.recorder.read() as tx:
        view = inventory.find(tx, key.offer_uid, Clock().now)
    return json.loads(bytes(view.content)) if view else None
