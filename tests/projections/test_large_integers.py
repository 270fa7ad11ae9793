"""Integers beyond 2^53 keep their digits in the database and in every reply, on both engines."""

from typing import Any

import pytest

from api.service import Service
from domain.values import Role
from projections.maintenance.verification import verify
from tests.support.calls.console_pages import ConsoleReader
from tests.support.calls.merchants import limit, merchant_offer, offer_of, put
from tests.support.examples import KEY, batch, body, item, offer_data
from tests.support.harness import Call, Caller, MakeToken

FIRST, SECOND = 2**63 + 1, -(10**40 - 1)
OFFER = f"/api/v1/offers/{KEY.offer_uid}"
EVENTS = "/api/v1/audit/events"


@pytest.fixture
def updated(partner: Caller) -> Caller:
    """A partner whose offer has had both numbers."""
    for number, outcome in ((FIRST, "created"), (FIRST, "unchanged"), (FIRST + 1, "updated"), (SECOND, "updated")):
        counts = partner.send(body(batch("Insert", [item(id=number)]))).json()["data"]["counts"]
        assert counts[outcome] == 1
    return partner


@pytest.mark.usefixtures("updated")
def test_digits_are_kept_in_every_read(auditor: Caller, service: Service, subtests: pytest.Subtests) -> None:
    first, last = (event["position"] for event in auditor.get(f"{OFFER}/history").json()["items"][:2])
    change = {"field": "/content/id", "before": FIRST + 1, "after": SECOND}
    reads: dict[str, Any] = {
        "offer": (auditor.get(OFFER).json()["content"], offer_data(id=SECOND)),
        "list": (auditor.get("/api/v1/offers").json()["items"][0]["content"], offer_data(id=SECOND)),
        "as of": (auditor.get(OFFER, asOfPosition=first).json()["content"], offer_data(id=FIRST)),
        "history": (auditor.get(f"{OFFER}/history").json()["items"][-1]["changes"], [change]),
        "events": (auditor.get(EVENTS, type="OfferUpdated").json()["items"][-1]["changes"], [change]),
        "diff": (auditor.get("/api/v1/audit/diff", fromPosition=last).json()["items"][0]["changes"], [change]),
    }
    for name, (actual, expected) in reads.items():
        with subtests.test(name):
            assert actual == expected
    for kind in ("text/csv", "application/x-ndjson", "application/cloudevents-batch+json"):
        with subtests.test(kind):
            assert str(SECOND) in auditor.get(EVENTS, {"Accept": kind}).text
    assert verify(service.ledger) == []


@pytest.mark.usefixtures("updated")
def test_digits_are_shown_in_the_console(call: Call, token: MakeToken) -> None:
    console = ConsoleReader(call, token(Role.OPERATOR))
    assert str(SECOND) in console.read(f"/offers/{KEY.offer_uid}")


def test_put_keeps_digits(partner: Caller, service: Service) -> None:
    limit(service)
    assert put(partner, merchant_offer(id=FIRST)).status_code == 202
    assert offer_of(partner)["content"]["id"] == FIRST
