"""Offers as they were, over the wire. (Contract, sections 1 and 6.)"""

from datetime import datetime, timedelta
from typing import Any

import pytest

from api.http import pagination
from api.http.as_of import AsOf
from api.offers.queries import AsOfCursor
from api.service import Service
from domain.values import Role, utc_text
from projections.offers.inventory import OfferFilter
from projections.redemption.windows_as_of import WindowFilter
from tests.support.calls.merchants import delete, limit, merchant_offer, position, put, uid_of
from tests.support.calls.paging import items_of, pages
from tests.support.calls.publishers import INSTANT, activate, problem
from tests.support.harness import Call, Caller, Clock, MakeToken

OFFERS = "/api/v1/offers"


@pytest.fixture
def days(partner: Caller, service: Service, clock: Clock) -> list[datetime]:
    """An offer is created, renamed the next day, and deleted the day after."""
    limit(service)
    moments = []
    for name in (None, "two", "gone"):
        clock.move(days=1)
        reply = delete(partner) if name == "gone" else put(partner, name and merchant_offer(offerName=name))
        assert reply.status_code == 202
        moments.append(clock.now)
    clock.move(days=1)
    return moments


def test_one_offer_is_shown_as_it_was_and_its_etag_is_that_version(auditor: Caller, days: list[datetime]) -> None:
    path = f"{OFFERS}/{uid_of()}"
    replies = [auditor.get(path, asOf=utc_text(moment)) for moment in days]
    assert [(r.json()["status"], r.json()["content"]["offerName"], r.headers["ETag"]) for r in replies] == [
        ("active", merchant_offer()["offerName"], '"1"'),
        ("active", "two", '"2"'),
        ("deleted", "two", '"3"'),
    ]
    assert auditor.get(path, {"If-None-Match": '"2"'}, asOf=utc_text(days[1])).status_code == 304
    assert auditor.get(path, asOf=utc_text(days[2])).json() == auditor.get(path).json()


def test_one_offer_that_was_not_there_yet_is_404(auditor: Caller, days: list[datetime]) -> None:
    path = f"{OFFERS}/{uid_of()}"
    assert problem(auditor.get(path, asOf=utc_text(days[0] - INSTANT)))[:2] == (404, "not-found")
    assert problem(auditor.get(path, asOfPosition=0))[:2] == (404, "not-found")


def test_the_reply_tells_the_position_that_pins_it(auditor: Caller, days: list[datetime]) -> None:
    told = auditor.get(OFFERS, asOf=utc_text(days[1] + timedelta(hours=1))).json()
    assert told["asOf"] == utc_text(days[1])
    assert told["position"] < position(auditor)
    assert auditor.get(OFFERS, asOfPosition=told["position"]).json() == told


def test_the_filters_are_those_of_that_time(auditor: Caller, days: list[datetime]) -> None:
    def names(moment: datetime, **wanted: Any) -> list[str]:
        return [o["externalId"] for o in items_of(auditor.get(OFFERS, asOf=utc_text(moment), **wanted))]

    assert [len(names(moment, status="active")) for moment in days] == [1, 1, 0]
    assert [len(names(moment, status="deleted")) for moment in days] == [0, 0, 1]
    assert [len(names(moment, q="TWO")) for moment in days] == [0, 1, 1]


def test_redeemable_is_judged_at_the_time_by_what_was_known(
    auditor: Caller, partner: Caller, publisher: Caller, service: Service, clock: Clock
) -> None:
    limit(service)
    put(partner)
    clock.move(days=1)
    begun = clock.now
    activate(publisher, str(uid_of()))
    clock.move(days=1)
    deleted = clock.now
    delete(partner)
    clock.move(days=100)
    put(partner, merchant_offer(), offer="OFR-LATER")
    end = begun + timedelta(days=45)
    moments = (begun - INSTANT, begun, deleted, end - INSTANT, end)
    told = [items_of(auditor.get(OFFERS, asOf=utc_text(moment), redeemable="true")) for moment in moments]
    assert [[offer["honouredUntil"] for offer in page] for page in told] == [
        [None],
        [utc_text(end)],
        [utc_text(end)],
        [utc_text(end)],
        [],
    ]


def test_pages_of_a_past_state_stay_of_that_state_while_offers_change(
    auditor: Caller, partner: Caller, service: Service, clock: Clock
) -> None:
    limit(service)
    ids = ["OFR-1", "OFR-2", "OFR-3"]
    for offer in ids:
        assert put(partner, merchant_offer(offerId=offer), offer=offer).status_code == 202
    ahead = utc_text(clock.now + timedelta(days=1))
    following = pages(auditor, OFFERS, asOf=ahead, limit=1)
    found = next(following)
    clock.move(seconds=1)
    for offer in ("OFR-2", "OFR-4"):
        put(partner, merchant_offer(offerId=offer, offerName="two"), offer=offer)
    found += [offer for page in following for offer in page]
    assert [(offer["externalId"], offer["version"]) for offer in found] == [(offer, 1) for offer in ids]


def test_a_partner_sees_its_own_past_only(days: list[datetime], call: Call, token: MakeToken) -> None:
    harbor = call(token(partner="harbor"))
    at = utc_text(days[0])
    assert items_of(harbor.get(OFFERS, asOf=at)) == []
    assert items_of(harbor.get(OFFERS, asOf=at, partner="tidepool")) == []
    assert harbor.get(f"{OFFERS}/{uid_of()}", asOf=at).status_code == 404


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({"asOf": "yesterday"}, "/query/asOf"),
        ({"asOf": "2026-11-22T12:00:00"}, "/query/asOf"),
        ({"asOfPosition": "-1"}, "/query/asOfPosition"),
        ({"asOfPosition": "1.5"}, "/query/asOfPosition"),
        ({"asOfPosition": "9" * 16}, "/query/asOfPosition"),
        ({"asOf": "2026-11-24T12:30:00+02:99"}, "/query/asOf"),
        ({"asOf": "1969-12-31T23:59:59Z"}, "/query/asOf"),
        ({"asOf": "2026-11-22T12:00:00Z", "asOfPosition": "1"}, "/query/asOfPosition"),
    ],
)
def test_what_is_not_in_order_is_422_and_names_the_parameter(
    auditor: Caller, days: list[datetime], asked: dict[str, str], place: str
) -> None:
    assert days
    for path in (OFFERS, f"{OFFERS}/{uid_of()}"):
        assert problem(auditor.get(path, headers=None, **asked)) == (422, "validation-error", [place])


def test_a_cursor_of_the_present_is_none_of_the_past(auditor: Caller, days: list[datetime]) -> None:
    at = utc_text(days[0])
    assert problem(auditor.get(OFFERS, asOf=at, cursor="x"))[2] == ["/query/cursor"]


def test_publishers_may_list_past_offers_too(call: Call, token: MakeToken, days: list[datetime]) -> None:
    publisher = call(token(Role.PUBLISHER))
    assert len(items_of(publisher.get(OFFERS, asOf=utc_text(days[0])))) == 1


@pytest.mark.parametrize("moment", [2**61, 253_402_300_799_999_999])
def test_a_cursor_that_was_made_by_hand_is_no_failure_of_the_service(
    auditor: Caller, days: list[datetime], moment: int
) -> None:
    """Whatever time it tells."""
    asked = AsOf(position=5)
    cursor = pagination.encode_cursor((OfferFilter(), asked), AsOfCursor(5, moment, 0))
    assert days
    assert auditor.get(OFFERS, asOfPosition=5, cursor=cursor).status_code in {200, 422}
    windows = pagination.encode_cursor((WindowFilter(), None), (moment, moment, 0, 0, 0))
    assert auditor.get("/api/v1/redemption-windows", cursor=windows).status_code in {200, 422}
    told = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
    changed = pagination.encode_cursor((None, *told), (moment, 0, 0, 0))
    asked_for = {"from": told[0], "to": told[1], "cursor": changed}
    assert auditor.get("/api/v1/audit/changed-verdicts", None, **asked_for).status_code in {200, 422}
