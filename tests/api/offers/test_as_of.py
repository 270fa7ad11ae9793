"""Tests of past states of offers over HTTP (contract, sections 1 and 6)."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from api.http.as_of import AsOf
from api.http.pagination import PageCursors
from api.offers.queries import AsOfCursor
from api.service import Service
from domain.ledgers.ledger import OfferLedger
from domain.values import Channel, OfferKey, Operation, Role, utc_text
from projections.offers.inventory import OfferFilter
from projections.redemption.windows_as_of import WindowFilter
from tests.support.calls.merchants import delete, limit, merchant_offer, position, put, uid_of
from tests.support.calls.paging import items_of, pages
from tests.support.calls.publishers import INSTANT, activate, problem
from tests.support.examples import PARTNER, item
from tests.support.harness import Call, Caller, Clock, MakeToken, run_batch

OFFERS = "/api/v1/offers"
INSIDE = "Ledger-Inside-Commit"


@pytest.fixture
def days(partner: Caller, service: Service, clock: Clock) -> list[datetime]:
    """Times at which an offer was created, renamed the next day, and deleted the day after."""
    limit(service)
    times = []
    for name in (None, "two", "gone"):
        clock.move(days=1)
        reply = delete(partner) if name == "gone" else put(partner, name and merchant_offer(offerName=name))
        assert reply.status_code == 202
        times.append(clock.now)
    clock.move(days=1)
    return times


def test_offer_as_of_time_has_that_versions_content_and_etag(auditor: Caller, days: list[datetime]) -> None:
    path = f"{OFFERS}/{uid_of()}"
    replies = [auditor.get(path, asOf=utc_text(time)) for time in days]
    etags = [reply.headers["ETag"] for reply in replies]
    assert [(r.json()["status"], r.json()["content"]["offerName"], r.headers["ETag"][:3]) for r in replies] == [
        ("active", merchant_offer()["offerName"], '"1.'),
        ("active", "two", '"2.'),
        ("deleted", "two", '"3.'),
    ]
    for number, status in ((0, 200), (1, 304), (2, 200)):
        reply = auditor.get(path, {"If-None-Match": etags[1]}, asOf=utc_text(days[number]))
        assert reply.status_code == status
    assert auditor.get(path, asOf=utc_text(days[2])).json() == auditor.get(path).json()


def test_offer_before_its_creation_is_404(auditor: Caller, days: list[datetime]) -> None:
    path = f"{OFFERS}/{uid_of()}"
    assert problem(auditor.get(path, asOf=utc_text(days[0] - INSTANT)))[:2] == (404, "not-found")
    assert problem(auditor.get(path, asOfPosition=0))[:2] == (404, "not-found")


def test_list_as_of_time_reports_position_and_commit_time(auditor: Caller, days: list[datetime]) -> None:
    body = auditor.get(OFFERS, asOf=utc_text(days[1] + timedelta(hours=1))).json()
    assert body["asOf"] == utc_text(days[1])
    assert body["position"] < position(auditor)
    assert auditor.get(OFFERS, asOfPosition=body["position"]).json() == body


def test_filters_match_the_state_as_of_the_time(auditor: Caller, days: list[datetime]) -> None:
    def names(time: datetime, **filters: Any) -> list[str]:
        return [o["externalId"] for o in items_of(auditor.get(OFFERS, asOf=utc_text(time), **filters))]

    assert [len(names(time, status="active")) for time in days] == [1, 1, 0]
    assert [len(names(time, status="deleted")) for time in days] == [0, 0, 1]
    assert [len(names(time, q="TWO")) for time in days] == [0, 1, 1]


def test_redeemable_filter_uses_windows_known_as_of_the_time(
    auditor: Caller, partner: Caller, publisher: Caller, service: Service, clock: Clock
) -> None:
    limit(service)
    put(partner)
    clock.move(days=1)
    activated = clock.now
    activate(publisher, str(uid_of()))
    clock.move(days=1)
    deleted = clock.now
    delete(partner)
    clock.move(days=100)
    put(partner, merchant_offer(), offer="OFR-LATER")
    end = activated + timedelta(days=45)
    times = (activated - INSTANT, activated, deleted, end - INSTANT, end)
    pages_at_times = [items_of(auditor.get(OFFERS, asOf=utc_text(time), redeemable="true")) for time in times]
    assert [[offer["honouredUntil"] for offer in page] for page in pages_at_times] == [
        [None],
        [utc_text(end)],
        [utc_text(end)],
        [utc_text(end)],
        [],
    ]


def test_pages_show_one_past_state_while_offers_change(
    auditor: Caller, partner: Caller, service: Service, clock: Clock
) -> None:
    limit(service)
    ids = ["OFR-1", "OFR-2", "OFR-3"]
    for offer in ids:
        assert put(partner, merchant_offer(offerId=offer), offer=offer).status_code == 202
    ahead = utc_text(clock.now + timedelta(minutes=5))
    pages_iterator = pages(auditor, OFFERS, asOf=ahead, limit=1)
    listed = next(pages_iterator)
    clock.move(seconds=1)
    for offer in ("OFR-2", "OFR-4"):
        put(partner, merchant_offer(offerId=offer, offerName="two"), offer=offer)
    listed += [offer for page in pages_iterator for offer in page]
    assert [(offer["externalId"], offer["version"]) for offer in listed] == [(offer, 1) for offer in ids]


def test_partner_sees_only_its_own_past_offers(days: list[datetime], call: Call, token: MakeToken) -> None:
    harbor = call(token(partner="harbor"))
    at = utc_text(days[0])
    assert items_of(harbor.get(OFFERS, asOf=at)) == []
    assert items_of(harbor.get(OFFERS, asOf=at, partner="tidepool")) == []
    assert harbor.get(f"{OFFERS}/{uid_of()}", asOf=at).status_code == 404


@pytest.mark.parametrize(
    ("parameters", "pointer"),
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
def test_invalid_as_of_is_422_with_parameter_pointer(
    auditor: Caller, days: list[datetime], parameters: dict[str, str], pointer: str
) -> None:
    assert days
    for path in (OFFERS, f"{OFFERS}/{uid_of()}"):
        assert problem(auditor.get(path, headers=None, **parameters)) == (422, "validation-error", [pointer])


def test_state_that_the_ledger_has_not_reached_is_422(auditor: Caller, days: list[datetime], clock: Clock) -> None:
    assert days
    ahead = clock.now + timedelta(minutes=5)
    newest = position(auditor)
    for path in (OFFERS, f"{OFFERS}/{uid_of()}", f"{OFFERS}/counts"):
        assert auditor.get(path, asOf=utc_text(ahead)).status_code == 200
        assert auditor.get(path, asOfPosition=newest).status_code == 200
        for parameters in ({"asOf": utc_text(ahead + INSTANT)}, {"asOfPosition": newest + 1}):
            refused = problem(auditor.get(path, None, **parameters))
            assert refused == (422, "validation-error", [f"/query/{name}" for name in parameters])


def test_reply_inside_a_commit_names_the_commit(auditor: Caller, service: Service, clock: Clock) -> None:
    run_batch(service.ledger, Operation.INSERT, [item("TP-1"), item("TP-2"), item("TP-3")])
    last = position(auditor)
    first = last - 2
    paths = [OFFERS, f"{OFFERS}/counts", f"{OFFERS}/{custom_uid('TP-1')}"]
    for path in paths:
        headers = [auditor.get(path, asOfPosition=at).headers.get(INSIDE) for at in (first, first + 1, last)]
        assert headers == [f"{first}-{last}", f"{first}-{last}", None], path
        for reply in (auditor.get(path), auditor.get(path, asOf=utc_text(clock.now))):
            assert INSIDE not in reply.headers
    missing = auditor.get(f"{OFFERS}/{custom_uid('TP-3')}", asOfPosition=first)
    assert (missing.status_code, missing.headers[INSIDE]) == (404, f"{first}-{last}")
    assert INSIDE not in auditor.get(OFFERS, asOfPosition=first - 1).headers


def custom_uid(external_id: str) -> UUID:
    return OfferKey(PARTNER, Channel.CUSTOM, None, external_id).offer_uid


def test_invalid_cursor_of_past_list_is_422(auditor: Caller, days: list[datetime]) -> None:
    at = utc_text(days[0])
    assert problem(auditor.get(OFFERS, asOf=at, cursor="x"))[2] == ["/query/cursor"]


def test_publisher_lists_past_offers(call: Call, token: MakeToken, days: list[datetime]) -> None:
    publisher = call(token(Role.PUBLISHER))
    assert len(items_of(publisher.get(OFFERS, asOf=utc_text(days[0])))) == 1


@pytest.mark.parametrize("microseconds", [2**61, 253_402_300_799_999_999])
def test_forged_cursor_with_any_time_is_no_server_error(
    auditor: Caller, ledger: OfferLedger, days: list[datetime], microseconds: int
) -> None:
    def forged(scope: Any, place: tuple[int, ...]) -> str | None:
        with ledger.read() as tx:
            return PageCursors(ledger.name_in(tx), scope).encode(place)

    cursor = forged((OfferFilter(), AsOf(position=5)), AsOfCursor(5, microseconds, 0))
    assert days
    assert auditor.get(OFFERS, asOfPosition=5, cursor=cursor).status_code in {200, 422}
    windows = forged((WindowFilter(), None), (microseconds, microseconds, 0, 0, 0))
    assert auditor.get("/api/v1/redemption-windows", cursor=windows).status_code in {200, 422}
    bounds = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
    changed = forged((None, *bounds), (microseconds, 0, 0, 0))
    parameters = {"from": bounds[0], "to": bounds[1], "cursor": changed}
    assert auditor.get("/api/v1/audit/changed-verdicts", None, **parameters).status_code in {200, 422}
