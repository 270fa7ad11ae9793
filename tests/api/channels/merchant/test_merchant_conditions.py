"""Conditional PUT and DELETE (`If-Match`, `If-None-Match`), and deletions under a wrong merchant (contract, section 4)."""

from typing import Any

import httpx2
import pytest

from api.service import Service
from tests.support.calls.merchants import (
    MERCHANT,
    delete,
    limit,
    merchant_offer,
    offer_of,
    offer_path,
    outcome_and_version,
    position,
    put,
    quota_of,
    uid_of,
    used_quota,
)
from tests.support.calls.publishers import activate, problem
from tests.support.harness import Call, Caller, Clock, MakeToken

pytestmark = pytest.mark.usefixtures("no_rate_limit")

RENAMED = merchant_offer(offerName="Juniper Dumpling House")


def etag_of(caller: Caller) -> str:
    return caller.get(f"/api/v1/offers/{uid_of()}").headers["ETag"]


def put_with(caller: Caller, *lines: tuple[str, str]) -> httpx2.Response:
    """Sends other content for the offer, with these header lines."""
    return caller.http.put(offer_path(), json=RENAMED, headers=[*lines])


# Conditions


CONDITIONS: list[tuple[dict[str, str], bool]] = [
    ({"If_Match": '"2"'}, True),
    ({"If_Match": '"2.0123456789abcdef"'}, True),
    ({"If_Match": '"1.x", ,"2.y" ,'}, True),
    ({"If_Match": "*"}, True),
    ({"If_Match": '"1"'}, False),
    ({"If_Match": '"02"'}, False),
    ({"If_Match": '"2x"'}, False),
    ({"If_Match": '"22", "abc", "", "1,2"'}, False),
    ({"If_Match": 'W/"2"'}, False),
    ({"If_None_Match": "*"}, False),
    ({"If_None_Match": '"2.y"'}, False),
    ({"If_None_Match": '"1", W/"2.y"'}, False),
    ({"If_None_Match": '"1", W/"3"'}, True),
    ({"If_Match": '"2"', "If_None_Match": "*"}, False),
    ({"If_Match": '"1"', "If_None_Match": '"1"'}, False),
    ({"If_Match": '"2"', "If_None_Match": '"1"'}, True),
    ({"If_Unmodified_Since": "Sat, 29 Oct 1994 19:43:31 GMT"}, True),
]
"""Conditions on an offer of version 2, and whether they hold."""


@pytest.mark.parametrize("send", [put, delete])
def test_condition_is_compared_with_the_version(partner: Caller, subtests: pytest.Subtests, send: Any) -> None:
    for number, (condition, holds) in enumerate(CONDITIONS):
        offer = f"OFR-{number}"
        for name in ("one", "two"):
            put(partner, merchant_offer(offer=offer, offerName=name), offer=offer)
        before = offer_of(partner, offer=offer), position(partner), used_quota(partner)
        reply = send(partner, offer=offer, **condition)
        with subtests.test(str(condition)):
            if holds:
                outcome = "deleted" if send is delete else "updated"
                assert outcome_and_version(partner, reply) == (outcome, 3)
            else:
                assert problem(reply) == (412, "precondition-failed", [])
                assert {"message", "trace_id"} <= reply.json().keys()
                assert "Location" not in reply.headers
                after = offer_of(partner, offer=offer), position(partner), used_quota(partner)
                assert after == (*before[:2], before[2] + 1)


def test_unknown_offer_has_no_version(partner: Caller) -> None:
    for value in ("*", '"0"', '"1"'):
        assert [send(partner, If_Match=value).status_code for send in (put, delete)] == [412, 412]
    for value in ("*", '"0"'):
        assert outcome_and_version(partner, delete(partner, If_None_Match=value)) == ("unknown", 0)
    assert outcome_and_version(partner, put(partner, If_None_Match="*")) == ("created", 1)


def test_deleted_offer_exists_for_conditions(partner: Caller) -> None:
    put(partner)
    delete(partner)
    assert put(partner, If_None_Match="*").status_code == 412
    assert outcome_and_version(partner, delete(partner, If_Match="*")) == ("unchanged", 2)
    assert outcome_and_version(partner, put(partner, If_Match=etag_of(partner))) == ("restored", 3)


def test_header_lines_are_one_list(partner: Caller) -> None:
    put(partner)
    assert put_with(partner, ("If-Match", '"7"'), ("if-match", '"1"')).status_code == 202
    assert put_with(partner, ("If-None-Match", '"7"'), ("if-none-match", '"2"')).status_code == 412


def test_activation_does_not_fail_a_condition(partner: Caller, publisher: Caller, clock: Clock) -> None:
    put(partner)
    before = etag_of(partner)
    clock.move(seconds=1)
    assert activate(publisher, str(uid_of())).status_code == 201
    assert etag_of(partner) != before
    assert outcome_and_version(partner, put(partner, RENAMED, If_Match=before)) == ("updated", 2)


def test_second_client_with_the_same_tag_is_refused(partner: Caller) -> None:
    put(partner)
    tag = etag_of(partner)
    assert put(partner, RENAMED, If_Match=tag).status_code == 202
    assert put(partner, merchant_offer(offerName="lost"), If_Match=tag).status_code == 412
    assert offer_of(partner)["content"] == RENAMED


def test_reply_to_a_put_has_no_etag(partner: Caller) -> None:
    """RFC 9110, section 9.3.4: only a reply whose resource is exactly the body may have one."""
    assert [name for name in put(partner).headers if name.lower() == "etag"] == []


MALFORMED = ("1", "", ",", '"1', '"a" "b"', '*, "1"', 'w/"1"', '"a b"', "'1'")


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_malformed_condition_is_400_and_names_the_header(
    partner: Caller, subtests: pytest.Subtests, header: str
) -> None:
    put(partner)
    before = position(partner), used_quota(partner)
    for value in MALFORMED:
        for reply in (put_with(partner, (header, value)), delete(partner, content=None, **{header: value})):
            with subtests.test(value):
                assert problem(reply) == (400, "validation-error", [f"/header/{header}"])
                assert header in reply.json()["message"]
    assert (position(partner), used_quota(partner)) == (before[0], before[1] + 2 * len(MALFORMED))


# Order of checks


def test_condition_is_checked_after_the_body(partner: Caller) -> None:
    put(partner)
    stale: dict[str, str] = {"If_Match": '"9"'}
    assert put(partner, merchant_offer(offerName=""), **stale).status_code == 400
    assert put(partner, b"{", **stale).status_code == 400
    assert put(partner, content_type="text/plain", **stale).status_code == 415
    assert put(partner, **stale).status_code == 412


def test_quota_is_checked_before_the_condition(partner: Caller, service: Service) -> None:
    limit(service, daily_quota=1)
    reply = put(partner, If_Match="*")
    assert (reply.status_code, quota_of(partner)["remaining"]) == (412, 0)
    assert '"daily";r=0;' in reply.headers["RateLimit"]
    assert put(partner, If_Match="*").status_code == 429


# Merchants


def test_delete_under_another_merchant_is_400(partner: Caller) -> None:
    put(partner)
    before = offer_of(partner), position(partner), used_quota(partner)
    reply = delete(partner, merchant="MER-311")
    assert problem(reply) == (400, "validation-error", ["/path/external_merchant_id"])
    assert "ID mismatch" in reply.json()["message"]
    assert "MER-3" not in reply.text.replace(offer_path("MER-311"), "")
    assert (offer_of(partner), position(partner), used_quota(partner)) == (*before[:2], before[2] + 1)


def test_delete_under_another_merchant_is_400_after_the_deletion(partner: Caller) -> None:
    put(partner)
    delete(partner)
    assert delete(partner, merchant="MER-311").status_code == 400
    assert outcome_and_version(partner, delete(partner)) == ("unchanged", 2)


def test_wrong_merchant_precedes_a_failed_condition(partner: Caller) -> None:
    put(partner)
    assert delete(partner, merchant="MER-311", If_Match="*").status_code == 400


def test_offer_of_two_merchants_is_deleted_under_each(partner: Caller) -> None:
    for merchant in (MERCHANT, "MER-311"):
        put(partner, merchant=merchant)
    for merchant in (MERCHANT, "MER-311"):
        assert outcome_and_version(partner, delete(partner, merchant=merchant)) == ("deleted", 2)


def test_other_partners_offer_does_not_affect_a_delete(partner: Caller, call: Call, token: MakeToken) -> None:
    put(call(token(partner="harbor")))
    assert outcome_and_version(partner, delete(partner, merchant="MER-311")) == ("unknown", 0)
