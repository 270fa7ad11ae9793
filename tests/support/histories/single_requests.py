"""Requests about single offers of a merchant, and a plain model of what becomes of them."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import httpx2

from api.http.paths import MERCHANTS_PATH
from domain.access.partner import SetPartner
from domain.events import OfferCreated, OfferDeleted, OfferRestored, OfferUpdated
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.single_request_ledger import Busy, SingleRequestLedger, SingleRequestResult
from domain.offers.content import Content
from domain.single_requests.group import Decided
from domain.single_requests.request import Delete, Put, SingleRequest, Trace, TraceOutcome
from domain.store.records.traces import find_trace
from domain.values import Channel, OfferKey, Origin, Source, Status
from projections.offers import inventory
from tests.support.examples import PARTNER, body, sent_content
from tests.support.harness import OPERATOR, Caller, Clock
from tests.support.histories.runs import rows

SHOP = Origin("tide-shop", Source.MERCHANT)
URL = "https://cdn.example/logo.png"

EVENT_OF = {
    TraceOutcome.CREATED: OfferCreated.TOPIC,
    TraceOutcome.UPDATED: OfferUpdated.TOPIC,
    TraceOutcome.DELETED: OfferDeleted.TOPIC,
    TraceOutcome.RESTORED: OfferRestored.TOPIC,
}
"""The others leave no event."""


def merchant_key(external_id: str = "MO-1", merchant_id: str = "M-1", partner: str = PARTNER) -> OfferKey:
    return OfferKey(partner, Channel.MERCHANT, merchant_id, external_id)


def merchant_offer(key: OfferKey, name: str, logo: Any = None) -> Content:
    """A valid offer, as a partner sends it; `logo` is what `large` says of it."""
    url = {"url": URL}
    return {
        "offerId": key.external_id,
        "merchantId": key.merchant_id,
        "offerName": name,
        "assets": {
            "logo": {"type": "IMAGE", "value": {"large": logo or url}},
            "largeRectangle": {"type": "IMAGE", "value": {"large": url}},
        },
    }


def put(key: OfferKey, name: str = "Open a jar", **more: Any) -> SingleRequest:
    """The offer shall say this name; `more` are members of the request."""
    return asking(key, Put(sent_content(merchant_offer(key, name))), **more)


def path_of(key: OfferKey) -> str:
    """Where the offer is put and taken down."""
    merchant, offer = (quote(told, safe="") for told in (key.merchant_id or "", key.external_id))
    return f"{MERCHANTS_PATH}/{merchant}/offers/{offer}"


def send(caller: Caller, key: OfferKey, name: str | None) -> httpx2.Response:
    """Over the wire: a name puts the offer with it, None takes it down."""
    if name is None:
        return caller.http.delete(path_of(key))
    headers = {"Content-Type": "application/json"}
    return caller.http.put(path_of(key), content=body(merchant_offer(key, name)), headers=headers)


def delete(key: OfferKey, **more: Any) -> SingleRequest:
    return asking(key, Delete(), takes_down=True, **more)


def asking(key: OfferKey, action: Put | Delete | None, **more: Any) -> SingleRequest:
    """A request with ids of its own; without an action it only counts."""
    given = {"trace_id": f"req-{uuid4().hex}", "traceparent": f"00-{uuid4().hex}-{uuid4().hex[:16]}-01", **more}
    return SingleRequest(key=key, origin=SHOP, action=action, **given)


# What is there


def told(results: Sequence[SingleRequestResult | Busy | Trace | None]) -> list[Any]:
    """Outcome and version of what was carried out; the type of a refusal, or that of None for what only counts."""
    traces = [result.trace if isinstance(result, Decided) else result for result in results]
    return [(trace.outcome, trace.version) if isinstance(trace, Trace) else type(trace) for trace in traces]


def used(traces: SingleRequestLedger, partner: str = PARTNER) -> int:
    return traces.terms(partner)[1].used


def left(ledger: OfferLedger) -> dict[str, int]:
    """How much requests have left in the ledger, beside their count."""
    tables = ("events", "commits", "inventory", "traces", "images", "streams")
    return {table: rows(ledger, table) for table in tables}


def trace_of(ledger: OfferLedger, trace_id: str) -> Trace | None:
    with ledger.read() as tx:
        return find_trace(tx, trace_id)


def status(ledger: OfferLedger, key: OfferKey) -> tuple[str, str] | None:
    """Of an offer: its status, and what it says."""
    with ledger.recorder.read() as tx:
        view = inventory.find(tx, key.offer_uid, Clock().now)
    return (view.status, json.loads(bytes(view.content))["offerName"]) if view else None


def set_quota(ledger: OfferLedger, limit: int, partner: str = PARTNER) -> None:
    ledger.handle(SetPartner(partner, daily_quota=limit), OPERATOR)


# What should be there


class Known(NamedTuple):
    """What the model knows of an offer."""

    status: Status
    name: str
    version: int


class Model:
    """What should become of requests, in the plainest words: a name puts an offer, None takes it down."""

    def __init__(self) -> None:
        self.offers: dict[OfferKey, Known] = {}

    def execute(self, key: OfferKey, name: str | None) -> tuple[TraceOutcome, int]:
        """The outcome, and the offer's version after it."""
        known = self.offers.get(key)
        if name is None:
            outcome = self._deletion(known)
        elif known is None:
            outcome = TraceOutcome.CREATED
        elif known.status is Status.DELETED:
            outcome = TraceOutcome.RESTORED
        else:
            outcome = TraceOutcome.UNCHANGED if known.name == name else TraceOutcome.UPDATED
        version = (known.version if known else 0) + (outcome in EVENT_OF)
        if outcome in EVENT_OF:
            status = Status.DELETED if name is None else Status.ACTIVE
            self.offers[key] = Known(status, name or (known.name if known else ""), version)
        return outcome, version

    @staticmethod
    def _deletion(known: Known | None) -> TraceOutcome:
        if known is None:
            return TraceOutcome.UNKNOWN
        return TraceOutcome.DELETED if known.status is Status.ACTIVE else TraceOutcome.UNCHANGED
