"""Offers files that tests speak of: what stands in them, how they come into the ledger, and what is told of them."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from api.intake.merchant_offer import read_offer
from domain.access.partner import SetPartner
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.run_ledger import Accepted, RunLedger
from domain.offers.content import Content
from domain.runs.run import OUTCOMES, Outcome, Run
from domain.single_requests.request import SingleRequest
from domain.values import MissingFromFile, OfferKey, Origin, ProgressCallback, Source, no_progress
from projections.audit import offer_history
from projections.audit.event_item import EventView
from projections.offers import inventory
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Clock, carry_out
from tests.support.histories.runs import file_request, in_chunks
from tests.support.histories.single_requests import asking, merchant_key, merchant_offer

DUMP = Origin("tide-dump", Source.FILE)
TODAY = date(2026, 11, 22)
PNG = f"data:image/png;base64,{'iVBORw0KGgoAAAANSUhEUgAA' * 20}"
PICTURE = "picture"
"""The name of an offer whose logo is inline."""


# What stands in them


def content(key: OfferKey, name: str) -> Content:
    """An offer of that name, as a partner sends it."""
    return merchant_offer(key, name, {"content": PNG} if name == PICTURE else None)


def record(key: OfferKey, offer_status: str = "UPSERT", name: str = "a") -> dict[str, Any]:
    if offer_status == "DELETED":
        return {"offerStatus": offer_status, "merchantId": key.merchant_id, "offerId": key.external_id}
    return {"offerStatus": offer_status, **content(key, name)}


def document(records: Sequence[Any], indent: int | None = None) -> bytes:
    """A whole file."""
    header = {"fileDescription": "Daily dump", "fileCreationDate": "2026-11-22", "offerRecordCount": len(records)}
    return json.dumps({"header": header, "offers": list(records)}, indent=indent).encode()


def says(name: str, *keys: OfferKey) -> bytes:
    """A whole file in which these offers have the same name; none: only the first one."""
    return document([record(key, name=name) for key in keys or (merchant_key(),)])


# How they come into the ledger


def accept(runs: RunLedger, sent: bytes, dated: date = TODAY, partner: str = PARTNER) -> Accepted:
    return runs.accept(file_request(sent, dated, partner), DUMP, in_chunks(sent))


def process(
    runs: RunLedger, sent: bytes, dated: date = TODAY, partner: str = PARTNER, watch: ProgressCallback = no_progress
) -> Run:
    """The run of a file, as it ended; one that has ended before is not begun again."""
    run = accept(runs, sent, dated, partner).run
    return run if run.is_finished else carry_out(runs, run, watch)


def once_judged(do: Callable[[], object]) -> ProgressCallback:
    """Does something when all records have been judged, and nothing has been decided."""

    def watch(done: int, total: int) -> None:
        if done == total:
            do()

    return watch


def put(key: OfferKey, name: str) -> SingleRequest:
    """The same offer as in a record, as it comes by itself."""
    return asking(key, read_offer(json.dumps(content(key, name)).encode(), key, sys.maxsize))


def set_missing(ledger: OfferLedger, missing: MissingFromFile) -> None:
    ledger.handle(SetPartner(PARTNER, missing_from_file=missing), OPERATOR)


# What is told of them


def placed(outcome: Outcome) -> Mapping[str, list[tuple[str | None, str | None]]]:
    """By what became of them: the ids of the records, and of offers that are missing."""
    return {
        kind: [(item.merchant_id, item.external_id) for item in getattr(outcome, kind)]
        for kind in OUTCOMES
        if getattr(outcome, kind)
    }


def history_of(ledger: OfferLedger, key: OfferKey) -> list[EventView]:
    with ledger.recorder.read() as tx:
        return offer_history.page(tx, key.offer_uid, 0, 1000).items


def content_of(ledger: OfferLedger, key: OfferKey) -> Content | None:
    """An offer as it is shown, with its images in their places."""
    with ledger.recorder.read() as tx:
        view = inventory.find(tx, key.offer_uid, Clock().now)
    return json.loads(bytes(view.content)) if view else None
