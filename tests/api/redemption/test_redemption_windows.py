"""Tests of the list of redemption windows over HTTP: visibility, times and pseudonyms (contract, section 5)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from api.redemption.activation_routes import ACTIVATIONS_PATH
from api.redemption.redemption_routes import REDEMPTIONS_PATH
from api.service import Service
from domain.values import Role, utc_text
from tests.support.calls.merchants import delete, limit, position, put, uid_of
from tests.support.calls.paging import items_of, pages
from tests.support.calls.publishers import INSTANT, problem
from tests.support.examples import PARTNER, body
from tests.support.harness import Call, Caller, Clock, MakeToken

PATH = "/api/v1/redemption-windows"
OFFERS = ["OFR-1", "OFR-2", "OFR-3"]


@pytest.fixture
def harbor(call: Call, token: MakeToken) -> Caller:
    """Another partner."""
    return call(token(partner="harbor"))


@pytest.fixture
def offers(partner: Caller, harbor: Caller, service: Service, clock: Clock) -> list[str]:
    """The ids of three offers of the partner, and of one offer of the other partner with the same ids as the first."""
    for name in (PARTNER, "harbor"):
        limit(service, name)
    for offer in OFFERS:
        assert put(partner, offer=offer).status_code == 202
    assert put(harbor, offer=OFFERS[0]).status_code == 202
    clock.move(seconds=1)
    return [*(str(uid_of(offer=offer)) for offer in OFFERS), str(uid_of(offer=OFFERS[0], partner="harbor"))]


def post(caller: Caller, path: str, **members: Any) -> dict[str, Any]:
    reply = caller.http.post(path, content=body(members), headers={"Content-Type": "application/json"})
    assert reply.status_code == 201, reply.text
    document: dict[str, Any] = reply.json()
    return document


def activate(caller: Caller, offer: str, customer: str = "C-1", **members: Any) -> dict[str, Any]:
    return post(caller, ACTIVATIONS_PATH, customerId=customer, offerUid=offer, **members)


def buy(caller: Caller, offer: str, at: datetime, amount: str = "10.00", currency: str = "USD") -> str:
    """Redeems a purchase of C-1. Returns the path of its reversals."""
    members = {"customerId": "C-1", "offerUid": offer, "transactedAt": utc_text(at), "transactionId": str(uuid4())}
    redeemed = post(caller, REDEMPTIONS_PATH, amount=amount, currency=currency, **members)
    return f"{REDEMPTIONS_PATH}/{redeemed['redemptionId']}/reversals"


def listed(caller: Caller, **params: Any) -> list[Any]:
    return items_of(caller.get(PATH, **params))


def customers(caller: Caller, **params: Any) -> list[str]:
    return [window["customerId"] for window in listed(caller, **params)]


def states(caller: Caller, **params: Any) -> list[str]:
    return [window["state"] for window in listed(caller, **params)]


# The reply


def test_window_has_terms_state_and_redeemed_amounts(
    publisher: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    activation = activate(publisher, offer)
    reversals = buy(publisher, offer, clock.now, "10.00")
    buy(publisher, offer, clock.now, "4.00", "EUR")
    post(publisher, reversals, reversalId="R-1", amount="2.50")
    clock.move(days=1)
    events = position(auditor)
    reply = publisher.get(PATH)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    document = reply.json()
    assert document == {
        "items": [
            {
                "activationId": activation["activationId"],
                "offerUid": offer,
                "customerId": "C-1",
                "offerVersion": 1,
                "activatedAt": activation["activatedAt"],
                "redeemableUntil": activation["redeemableUntil"],
                "state": "open",
                "redeemed": [
                    {"currency": "EUR", "amount": "4.00", "redemptions": 1},
                    {"currency": "USD", "amount": "7.50", "redemptions": 1},
                ],
            }
        ],
        "nextCursor": None,
        "at": utc_text(clock.now),
        "position": events,
        "asOf": document["asOf"],
    }
    assert activation["activatedAt"] < document["asOf"] < document["at"]
    assert "Link" not in reply.headers


def test_ledger_without_windows_has_an_empty_list(publisher: Caller, clock: Clock) -> None:
    reply = publisher.get(PATH, at=utc_text(clock.now))
    assert items_of(reply) == []
    assert (reply.json()["nextCursor"], reply.json()["at"]) == (None, utc_text(clock.now))


def test_list_shows_acknowledged_writes_at_once(publisher: Caller, partner: Caller, service: Service) -> None:
    """Recorded times increase even if the clock does not advance."""
    limit(service)
    put(partner)
    offer = str(uid_of())
    activation = activate(publisher, offer)
    assert [window["activationId"] for window in listed(publisher)] == [activation["activationId"]]
    delete(partner)
    assert states(publisher) == ["winding_down"]


def test_single_activation_and_list_show_the_same_state(
    publisher: Caller, partner: Caller, service: Service, clock: Clock
) -> None:
    """Also if the clock does not advance, or is set back. By the clock, a later window has not started then."""
    limit(service)
    put(partner)
    offer = str(uid_of())
    path = f"{ACTIVATIONS_PATH}/{activate(publisher, offer)['activationId']}"
    assert [publisher.get(path).json()["state"], *states(publisher)] == ["open", "open"]
    clock.move(hours=-1)
    delete(partner)
    assert (publisher.get(path).json()["state"], states(publisher)) == (None, [])
    clock.move(hours=1)
    assert [publisher.get(path).json()["state"], *states(publisher)] == ["winding_down", "winding_down"]


def test_windows_are_listed_as_of_past_and_future_times(
    publisher: Caller, partner: Caller, offer: str, clock: Clock
) -> None:
    start = clock.now
    end = start + timedelta(days=45)
    activate(publisher, offer)
    clock.move(days=1)
    deleted = clock.now
    delete(partner)
    clock.move(days=1)
    times = (start - INSTANT, start, deleted - INSTANT, deleted, end - INSTANT, end)
    states_at_times = [states(publisher, at=utc_text(at)) for at in times]
    assert states_at_times == [[], ["open"], ["open"], ["winding_down"], ["winding_down"], ["expired"]]


@pytest.mark.parametrize("time", ["2026-11-23T14:30:00.5+02:00", "2026-11-23t12:30:00.500000z"])
def test_time_parameter_has_any_utc_offset(publisher: Caller, time: str) -> None:
    assert publisher.get(PATH, at=time).json()["at"] == "2026-11-23T12:30:00.500000Z"


def test_list_has_windows_that_match_all_filters(
    publisher: Caller, partner: Caller, offers: list[str], clock: Clock
) -> None:
    for offer, customer in ((offers[0], "C-1"), (offers[1], "C-2"), (offers[3], "C-1")):
        activate(publisher, offer, customer)
    delete(partner, offer=OFFERS[1])
    clock.move(seconds=1)
    expected: list[tuple[dict[str, str], list[int]]] = [
        ({}, [0, 1, 3]),
        ({"offerUid": offers[0]}, [0]),
        ({"offerUid": offers[0].upper()}, [0]),
        ({"offerUid": str(uuid4())}, []),
        ({"customerId": "C-1"}, [0, 3]),
        ({"customerId": "c-1"}, []),
        ({"partner": PARTNER}, [0, 1]),
        ({"state": "open"}, [0, 3]),
        ({"state": "winding_down"}, [1]),
        ({"state": "expired"}, []),
        ({"state": "expired", "at": "2027-06-01T00:00:00Z"}, [0, 1, 3]),
        ({"state": "open", "partner": PARTNER, "customerId": "C-1", "offerUid": offers[0]}, [0]),
    ]
    for params, numbers in expected:
        assert [window["offerUid"] for window in listed(publisher, **params)] == [offers[n] for n in numbers], params


# Pages


@pytest.fixture
def stocked(publisher: Caller, partner: Caller, offers: list[str], clock: Clock) -> Caller:
    """The publisher. Two customers have activated every offer; one offer has been deleted since."""
    for offer in offers:
        for customer in ("C-1", "C-2"):
            activate(publisher, offer, customer)
            clock.move(seconds=1)
    delete(partner, offer=OFFERS[1])
    clock.move(seconds=1)
    return publisher


def test_pages_cover_the_whole_list(stocked: Caller, subtests: pytest.Subtests) -> None:
    filter_sets: list[dict[str, Any]] = [
        {},
        {"state": "open"},
        {"customerId": "C-2"},
        {"partner": PARTNER},
        {"at": "2027-06-01T00:00:00Z"},
    ]
    for filters in filter_sets:
        everything = listed(stocked, **filters)
        for size in (1, 3):
            with subtests.test(f"{filters}, limit {size}"):
                found_pages = list(pages(stocked, PATH, **filters, limit=size))
                assert [item for page in found_pages for item in page] == everything
                assert [len(page) for page in found_pages[:-1]] == [size] * (len(found_pages) - 1)
                assert len(everything) >= 4


def test_default_limit_of_windows_is_100(publisher: Caller, offer: str, clock: Clock) -> None:
    lines = b"\n".join(body({"customerId": f"C-{n:03}", "offerUid": offer}) for n in range(101))
    headers = {"Content-Type": "application/x-ndjson"}
    assert publisher.http.post(f"{ACTIVATIONS_PATH}/batch", content=lines, headers=headers).status_code == 200
    clock.move(seconds=1)
    assert [len(page) for page in pages(publisher, PATH)] == [100, 1]
    assert len(listed(publisher, limit=1000)) == 101


def later_pages(caller: Caller, first: httpx2.Response) -> list[dict[str, Any]]:
    """Returns the pages after `first`, by following the links."""
    documents = []
    reply = first
    while link := reply.links.get("next"):
        reply = caller.http.get(link["url"])
        assert reply.status_code == 200, reply.text
        documents.append(reply.json())
    return documents


def viewpoint(page: dict[str, Any]) -> tuple[str, int, str]:
    return page["at"], page["position"], page["asOf"]


@pytest.mark.parametrize("clock_step", [timedelta(days=50), timedelta(), timedelta(minutes=-4)])
def test_later_pages_keep_the_viewpoint_of_the_first(
    stocked: Caller, partner: Caller, offers: list[str], clock: Clock, clock_step: timedelta
) -> None:
    """Also if the clock does not advance in the meantime, or is set back."""
    expected = listed(stocked)
    clock.move(seconds=1)
    first = stocked.get(PATH, limit=1)
    purchased_at = datetime.fromisoformat(expected[-1]["activatedAt"])
    clock.now += clock_step
    delete(partner, offer=OFFERS[2])
    activate(stocked, offers[3], "C-3")
    buy(stocked, offers[3], purchased_at)
    next_pages = later_pages(stocked, first)
    assert [window for page in (first.json(), *next_pages) for window in page["items"]] == expected
    assert {viewpoint(page) for page in next_pages} == {viewpoint(first.json())}


def test_list_in_the_far_future_has_pages(stocked: Caller) -> None:
    for at in ("2262-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
        found_pages = list(pages(stocked, PATH, at=at, limit=3))
        assert [window["state"] for page in found_pages for window in page] == ["expired"] * 8


def test_cursor_of_windows_belongs_to_its_filters(
    stocked: Caller, offers: list[str], subtests: pytest.Subtests
) -> None:
    cursor = stocked.get(PATH, limit=1).json()["nextCursor"]
    other_filters: list[dict[str, Any]] = [
        {"state": "open"},
        {"state": "expired"},
        {"customerId": "C-2"},
        {"partner": PARTNER},
        {"offerUid": offers[0]},
        {"at": "2026-12-01T00:00:00Z"},
    ]
    for other in other_filters:
        with subtests.test(str(other)):
            assert problem(stocked.get(PATH, cursor=cursor, **other)) == (422, "validation-error", ["/query/cursor"])


def test_cursor_of_windows_continues_with_another_limit(stocked: Caller) -> None:
    cursor = stocked.get(PATH, limit=2).json()["nextCursor"]
    assert listed(stocked, cursor=cursor, limit=5) == listed(stocked)[2:7]


def test_foreign_or_invalid_cursor_of_windows_is_422(stocked: Caller) -> None:
    of_offers = stocked.get("/api/v1/offers", limit=1).json()["nextCursor"]
    for cursor in ("x", "", "AAAA", "é", of_offers, "x" * 257):
        reply = stocked.get(PATH, cursor=cursor)
        assert problem(reply) == (422, "validation-error", ["/query/cursor"]), cursor


# Invalid parameters


INVALID_PARAMETERS = [
    ("offerUid", ""),
    ("offerUid", "x"),
    ("offerUid", "0" * 32),
    ("offerUid", f"{{{uid_of()}}}"),
    ("customerId", ""),
    ("partner", ""),
    ("partner", "x" * 257),
    ("state", ""),
    ("state", "OPEN"),
    ("state", "closed"),
    ("at", ""),
    ("at", "yesterday"),
    ("at", "2026-11-22"),
    ("at", "2026-11-22T12:00:00"),
    ("at", "2026-02-30T12:00:00Z"),
    ("at", "1969-12-31T23:59:59Z"),
    ("at", "1795350660"),
    ("limit", ""),
    ("limit", "0"),
    ("limit", "-1"),
    ("limit", "1001"),
    ("limit", "1.5"),
    ("limit", "ten"),
    ("customer", "C-1"),
    ("asOf", "2026-11-22T12:00:00Z"),
]


def test_invalid_window_parameter_is_422_with_its_pointer(publisher: Caller, subtests: pytest.Subtests) -> None:
    for name, value in INVALID_PARAMETERS:
        with subtests.test(f"{name}={value}"):
            reply = publisher.http.get(PATH, params={name: value})
            assert problem(reply) == (422, "validation-error", [f"/query/{name}"])


def test_repeated_window_parameter_is_422(publisher: Caller, subtests: pytest.Subtests) -> None:
    for query in ("state=open&state=open", "customerId=C-1&customerId=C-2", "limit=1&limit=2"):
        with subtests.test(query):
            name = query.partition("=")[0]
            assert problem(publisher.http.get(f"{PATH}?{query}")) == (422, "validation-error", [f"/query/{name}"])


# Visibility


def test_all_roles_may_list_windows_with_a_token(
    publisher: Caller, partner: Caller, auditor: Caller, call: Call, token: MakeToken
) -> None:
    operator = call(token(Role.OPERATOR))
    assert [caller.get(PATH).status_code for caller in (publisher, partner, auditor, operator)] == [200] * 4
    assert [call(secret).get(PATH).status_code for secret in (None, "unknown")] == [401] * 2


def test_windows_allow_no_write_methods(publisher: Caller) -> None:
    assert [publisher.http.request(method, PATH).status_code for method in ("POST", "PUT", "DELETE")] == [405] * 3


def test_partner_sees_only_its_own_windows(stocked: Caller, partner: Caller, harbor: Caller, offers: list[str]) -> None:
    assert [window["offerUid"] for window in listed(partner)] == [offer for offer in offers[:3] for _ in range(2)]
    assert [window["offerUid"] for window in listed(harbor)] == [offers[3]] * 2
    assert len(listed(stocked)) == 8


def test_other_partners_windows_are_an_empty_list(stocked: Caller, harbor: Caller, offers: list[str]) -> None:
    own = customers(harbor)[0]
    filter_sets: list[dict[str, Any]] = [
        {"partner": PARTNER},
        {"offerUid": offers[0]},
        {"partner": PARTNER, "offerUid": offers[0]},
        {"partner": PARTNER, "customerId": own},
        {"offerUid": offers[0], "customerId": own},
        {"partner": PARTNER, "at": "2027-06-01T00:00:00Z"},
    ]
    for params in filter_sets:
        reply = harbor.get(PATH, **params)
        assert (items_of(reply), reply.json()["nextCursor"]) == ([], None), params
        assert listed(stocked, **{name: value for name, value in params.items() if name != "customerId"}) != []


def test_partner_may_filter_by_itself(stocked: Caller, partner: Caller) -> None:
    assert len(listed(stocked)) == 8
    assert listed(partner, partner=PARTNER) == listed(partner)


def are_disjoint(names: Sequence[str], others: Sequence[str]) -> bool:
    return not set(names) & set(others)


def test_each_partner_sees_different_pseudonyms(
    stocked: Caller, partner: Caller, harbor: Caller, auditor: Caller
) -> None:
    own, others = customers(partner), customers(harbor)
    assert own == own[:2] * 3, "a customer has the same pseudonym in all windows"
    assert len(set(own)) == len(set(others)) == 2
    assert are_disjoint(own, others)
    assert are_disjoint([*own, *others], ["C-1", "C-2"])
    assert "C-1" not in partner.get(PATH).text
    assert customers(stocked) == customers(auditor) == ["C-1", "C-2"] * 4


def test_partner_sees_windows_unchanged_except_for_pseudonyms(stocked: Caller, partner: Caller) -> None:
    assert [{**window, "customerId": "x"} for window in listed(partner)] == [
        {**window, "customerId": "x"} for window in listed(stocked, partner=PARTNER)
    ]


def test_partner_filters_only_by_its_own_pseudonyms(stocked: Caller, partner: Caller, harbor: Caller) -> None:
    own, others = customers(partner)[0], customers(harbor)[0]
    assert customers(partner, customerId=own) == [own] * 3
    assert customers(harbor, customerId=others) == [others]
    for name in (
        "C-1",
        others,
        own.lower(),
        own[:-1],
        f"{own}=",
        f" {own}",
        f"{own}A",
        "x",
        "é",
        "=",
        "A" * 22,
        "_" * 99,
    ):
        assert customers(partner, customerId=name) == [], name
    for name in (own, others):
        assert customers(stocked, customerId=name) == []


def test_pages_filtered_by_pseudonym_are_complete(stocked: Caller, partner: Caller) -> None:
    assert len(listed(stocked)) == 8
    own = customers(partner)[0]
    windows = [item for page in pages(partner, PATH, customerId=own, limit=1) for item in page]
    assert windows == listed(partner, customerId=own)
    assert len(windows) == 3


def test_pseudonym_filter_finds_every_kind_of_customer_id(
    publisher: Caller, partner: Caller, offer: str, subtests: pytest.Subtests
) -> None:
    known_pseudonyms: set[str] = set()
    for customer in ("x", "C-1\n", "ü", "顧客", "🦀", "x" * 200, "y" * 256, "ü" * 256, "🦀" * 256):
        activate(publisher, offer, customer)
        (pseudonym,) = set(customers(partner)) - known_pseudonyms
        known_pseudonyms.add(pseudonym)
        with subtests.test(f"{customer[:5]!r}, {len(customer)} characters"):
            assert customers(publisher, customerId=customer) == [customer]
            assert customers(partner, customerId=pseudonym) == [pseudonym]


def test_cursor_of_another_caller_is_422(stocked: Caller, partner: Caller, harbor: Caller) -> None:
    cursors = [caller.get(PATH, limit=1).json()["nextCursor"] for caller in (stocked, partner)]
    for cursor in cursors:
        assert problem(harbor.get(PATH, cursor=cursor)) == (422, "validation-error", ["/query/cursor"])
