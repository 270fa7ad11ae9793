"""The member `offerStatus` of offers files in the body of a PUT (contract, section 4)."""

import json
from typing import Any

import pytest

from api.service import Service
from domain.single_requests.request import Put
from tests.support.calls.merchants import (
    delete,
    history_of,
    merchant_offer,
    offer_of,
    outcome_and_version,
    position,
    put,
    trace_of,
    uid_of,
    used_quota,
)
from tests.support.calls.publishers import problem
from tests.support.examples import sent_content
from tests.support.harness import Caller
from tests.support.histories.single_requests import merchant_key, single_request

pytestmark = pytest.mark.usefixtures("no_rate_limit")

WARNING = "offerStatus: ignored, a PUT always creates or replaces the offer"
IGNORED = ("NEW", "UPDATED", "UPSERT", "NO-CHANGE")
REJECTED: tuple[Any, ...] = ("DELETED", "deleted", "new", "NO_CHANGE", " NEW", "", "ACTIVE", 1, True, ["NEW"], {})


@pytest.mark.parametrize("first", [True, False])
def test_put_with_a_status_stores_the_offer_without_it(
    partner: Caller, subtests: pytest.Subtests, *, first: bool
) -> None:
    """`first`: the status is the first member of the body. All other members stay as sent."""
    for status in IGNORED:
        with subtests.test(status):
            sent = merchant_offer(offer=status, note=[1.0, {"offerStatus": "NEW"}])
            body = {"offerStatus": status, **sent} if first else {**sent, "offerStatus": status}
            trace = trace_of(partner, put(partner, body, offer=status))
            assert (trace["outcome"], trace["warnings"]) == ("created", [WARNING])
            assert offer_of(partner, offer=status)["content"] == sent


def test_status_does_not_change_an_offer(partner: Caller) -> None:
    put(partner)
    for status in (*IGNORED, None):
        reply = put(partner, merchant_offer(offerStatus=status))
        assert outcome_and_version(partner, reply) == ("unchanged", 1)
    assert len(history_of(partner)) == 1


def test_status_of_a_put_restores_a_deleted_offer(partner: Caller) -> None:
    put(partner)
    delete(partner)
    reply = put(partner, merchant_offer(offerStatus="NO-CHANGE"))
    assert outcome_and_version(partner, reply) == ("restored", 3)


def test_null_status_gives_no_warning(partner: Caller) -> None:
    assert trace_of(partner, put(partner, merchant_offer(offerStatus=None)))["warnings"] == []
    assert offer_of(partner)["content"] == merchant_offer()


def test_other_status_is_400_and_changes_nothing(partner: Caller, subtests: pytest.Subtests) -> None:
    put(partner)
    before = offer_of(partner), position(partner)
    for status in REJECTED:
        with subtests.test(repr(status)):
            used = used_quota(partner)
            reply = put(partner, merchant_offer(offerName="Other", offerStatus=status))
            assert problem(reply) == (400, "validation-error", ["/offerStatus"])
            assert "offerStatus" in reply.json()["message"]
            assert ("DELETE" in reply.json()["message"].split()) == (status == "DELETED")
            assert (offer_of(partner), position(partner), used_quota(partner)) == (*before, used + 1)


def test_stored_status_is_removed_by_the_next_put(partner: Caller, service: Service) -> None:
    """Earlier versions stored the status as a part of the content. Their events stay as they are."""
    stored = merchant_offer(image="short", offerStatus="UPSERT")
    key = merchant_key(stored["offerId"], stored["merchantId"])
    assert key.offer_uid == uid_of()
    service.single_requests.execute([single_request(key, Put(sent_content(stored)))])
    assert offer_of(partner)["content"] == stored
    replies = [put(partner, merchant_offer(image="short", **status)) for status in ({"offerStatus": "UPSERT"}, {})]
    assert [outcome_and_version(partner, reply) for reply in replies] == [("updated", 2), ("unchanged", 2)]
    assert history_of(partner)[-1]["changes"] == [{"field": "/content/offerStatus", "before": "UPSERT", "after": None}]
    assert "offerStatus" not in json.dumps(offer_of(partner)["content"])
