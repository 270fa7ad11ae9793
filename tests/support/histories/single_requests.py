"""Single requests for merchant offers, and a simple model of their expected effects."""

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
from domain.single_requests.group import CountedRefusal, RequestDecision
from domain.single_requests.request import Delete, Put, SingleRequest, Trace, TraceOutcome
from domain.store.records.traces import find_trace
from domain.values import Channel, OfferKey, Origin, Source, Status
from projections.offers import inventory
from tests.support.examples import PARTNER, body, sent_content
from tests.support.harness import OPERATOR, Caller, Clock
from tests.support.histories.runs import count_rows

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
    """Returns a valid offer, as a partner sends it; `logo` is the value of the member `large`."""
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
    """Returns a request that puts an offer with this name; `more` are members of the request."""
    return single_request(key, Put(sent_content(merchant_offer(key, name))), **more)


def path_of(key: OfferKey) -> str:
    """Returns the path of the offer's PUT and DELETE."""
    merchant, offer = (quote(part, safe="") for part in (key.merchant_id or "", key.external_id))
    return f"{MERCHANTS_PATH}/{merchant}/offers/{offer}"


def send(caller: Caller, key: OfferKey, name: str | None) -> httpx2.Response:
    """Sends a PUT with this name, or a DELETE if it is None."""
    if name is None:
        return caller.http.delete(path_of(key))
    headers = {"Content-Type": "application/json"}
    return caller.http.put(path_of(key), content=body(merchant_offer(key, name)), headers=headers)


def delete(key: OfferKey, **more: Any) -> SingleRequest:
    return single_request(key, Delete(), **more)


def single_request(key: OfferKey, action: Put | Delete, **more: Any) -> SingleRequest:
    """Returns a request with new ids."""
    members = {"trace_id": f"req-{uuid4().hex}", "traceparent": f"00-{uuid4().hex}-{uuid4().hex[:16]}-01", **more}
    origin = SHOP._replace(traceparent=members.pop("traceparent"))
    return SingleRequest(key=key, origin=origin, action=action, **members)


# Stored data


def outcomes_of(results: Sequence[SingleRequestResult | Busy | Trace | None]) -> list[Any]:
    """Returns outcome and version of each executed request, and the type of every other result."""
    traces = [result.trace if isinstance(result, RequestDecision) else result for result in results]
    return [(trace.outcome, trace.version) if isinstance(trace, Trace) else type(trace) for trace in traces]


def quota_used(traces: SingleRequestLedger, partner: str = PARTNER) -> int:
    return traces.terms(partner)[1].used


def stored_rows(ledger: OfferLedger) -> dict[str, int]:
    """Returns the row counts of the tables that requests write to, without the quota."""
    tables = ("events", "commits", "inventory", "traces", "images", "streams")
    return {table: count_rows(ledger, table) for table in tables}


def trace_of(ledger: OfferLedger, trace_id: str) -> Trace | None:
    with ledger.read() as tx:
        return find_trace(tx, trace_id)


def status_and_name(ledger: OfferLedger, key: OfferKey) -> tuple[str, str] | None:
    """Returns an offer's status and name."""
    with ledger.recorder.read() as tx:
        view = inventory.find(tx, key.offer_uid, Clock().now)
    return (view.status, json.loads(bytes(view.content))["offerName"]) if view else None


def set_quota(ledger: OfferLedger, limit: int, partner: str = PARTNER) -> None:
    ledger.handle(SetPartner(partner, daily_quota=limit), OPERATOR)


# Expected data


class OfferState(NamedTuple):
    """State of an offer in the model."""

    status: Status
    name: str
    version: int


class SingleRequestModel:
    """Simple model of single requests: a name puts an offer, None deletes it."""

    def __init__(self) -> None:
        self.offers: dict[OfferKey, OfferState] = {}

    def execute(self, key: OfferKey, name: str | None) -> tuple[TraceOutcome, int] | type[CountedRefusal]:
        """Returns the outcome, and the offer's version after it. A deletion under a wrong merchant is refused."""
        same_id = {(known.partner, known.external_id) for known in self.offers}
        if name is None and key not in self.offers and (key.partner, key.external_id) in same_id:
            return CountedRefusal
        return self.change(key, name)

    def change(self, key: OfferKey, name: str | None) -> tuple[TraceOutcome, int]:
        """Changes one offer, as `execute` does, whatever merchants other offers have."""
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
            self.offers[key] = OfferState(status, name or (known.name if known else ""), version)
        return outcome, version

    @staticmethod
    def _deletion(known: OfferState | None) -> TraceOutcome:
        if known is None:
            return TraceOutcome.UNKNOWN
        return TraceOutcome.DELETED if known.status is Status.ACTIVE else TraceOutcome.UNCHANGED
