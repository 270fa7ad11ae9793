"""Redemption windows over the wire: who sees which of them, as of when, and under which names. (Contract, section 5.)"""

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
    """Three of the partner's, and one of the other partner's with the same ids as the first."""
    for name in (PARTNER, "harbor"):
        limit(service, name)
    for offer in OFFERS:
        assert put(partner, offer=offer).status_code == 202
    assert put(harbor, offer=OFFERS[0]).status_code == 202
    clock.move(seconds=1)
    return [*(str(uid_of(offer=offer)) for offer in OFFERS), str(uid_of(offer=OFFERS[0], partner="harbor"))]


def post(caller: Caller, path: str, **sent: Any) -> dict[str, Any]:
    reply = caller.http.post(path, content=body(sent), headers={"Content-Type": "application/json"})
    assert reply.status_code == 201, reply.text
    told: dict[str, Any] = reply.json()
    return told


def activate(caller: Caller, offer: str, customer: str = "C-1", **more: Any) -> dict[str, Any]:
    return post(caller, ACTIVATIONS_PATH, customerId=customer, offerUid=offer, **more)


def buy(caller: Caller, offer: str, at: datetime, amount: str = "10.00", currency: str = "USD") -> str:
    """What C-1 buys; answers where it is taken back."""
    told = {"customerId": "C-1", "offerUid": offer, "transactedAt": utc_text(at), "transactionId": str(uuid4())}
    redeemed = post(caller, REDEMPTIONS_PATH, amount=amount, currency=currency, **told)
    return f"{REDEMPTIONS_PATH}/{redeemed['redemptionId']}/reversals"


def listed(caller: Caller, **params: Any) -> list[Any]:
    return items_of(caller.get(PATH, **params))


def customers(caller: Caller, **params: Any) -> list[str]:
    return [window["customerId"] for window in listed(caller, **params)]


def states(caller: Caller, **params: Any) -> list[str]:
    return [window["state"] for window in listed(caller, **params)]


# The reply


def test_a_window_is_told_with_its_terms_its_state_and_what_was_redeemed(
    publisher: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    made = activate(publisher, offer)
    reversals = buy(publisher, offer, clock.now, "10.00")
    buy(publisher, offer, clock.now, "4.00", "EUR")
    post(publisher, reversals, reversalId="R-1", amount="2.50")
    clock.move(days=1)
    events = position(auditor)
    reply = publisher.get(PATH)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    told = reply.json()
    assert told == {
        "items": [
            {
                "activationId": made["activationId"],
                "offerUid": offer,
                "customerId": "C-1",
                "offerVersion": 1,
                "activatedAt": made["activatedAt"],
                "redeemableUntil": made["redeemableUntil"],
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
        "asOf": told["asOf"],
    }
    assert made["activatedAt"] < told["asOf"] < told["at"]
    assert "Link" not in reply.headers


def test_a_ledger_without_windows_has_an_empty_list(publisher: Caller, clock: Clock) -> None:
    reply = publisher.get(PATH, at=utc_text(clock.now))
    assert items_of(reply) == []
    assert (reply.json()["nextCursor"], reply.json()["at"]) == (None, utc_text(clock.now))


def test_what_has_been_answered_is_seen_at_once(publisher: Caller, partner: Caller, service: Service) -> None:
    """Recorded times go on though the clock stands still."""
    limit(service)
    put(partner)
    offer = str(uid_of())
    made = activate(publisher, offer)
    assert [window["activationId"] for window in listed(publisher)] == [made["activationId"]]
    delete(partner)
    assert states(publisher) == ["winding_down"]


def test_an_activation_by_itself_is_in_the_state_that_the_list_shows(
    publisher: Caller, partner: Caller, service: Service, clock: Clock
) -> None:
    """Even if the clock stands still, or is set back: every read sees what was answered before."""
    limit(service)
    put(partner)
    offer = str(uid_of())
    path = f"{ACTIVATIONS_PATH}/{activate(publisher, offer)['activationId']}"
    assert [publisher.get(path).json()["state"], *states(publisher)] == ["open", "open"]
    clock.move(hours=-1)
    delete(partner)
    assert [publisher.get(path).json()["state"], *states(publisher)] == ["winding_down", "winding_down"]


def test_windows_are_shown_as_they_were_and_will_be(
    publisher: Caller, partner: Caller, offer: str, clock: Clock
) -> None:
    begins = clock.now
    ends = begins + timedelta(days=45)
    activate(publisher, offer)
    clock.move(days=1)
    gone = clock.now
    delete(partner)
    clock.move(days=1)
    moments = (begins - INSTANT, begins, gone - INSTANT, gone, ends - INSTANT, ends)
    found = [states(publisher, at=utc_text(at)) for at in moments]
    assert found == [[], ["open"], ["open"], ["winding_down"], ["winding_down"], ["expired"]]


@pytest.mark.parametrize("told", ["2026-11-23T14:30:00.5+02:00", "2026-11-23t12:30:00.500000z"])
def test_the_moment_may_be_told_in_any_offset(publisher: Caller, told: str) -> None:
    assert publisher.get(PATH, at=told).json()["at"] == "2026-11-23T12:30:00.500000Z"


def test_windows_are_found_by_what_is_asked(
    publisher: Caller, partner: Caller, offers: list[str], clock: Clock
) -> None:
    for offer, customer in ((offers[0], "C-1"), (offers[1], "C-2"), (offers[3], "C-1")):
        activate(publisher, offer, customer)
    delete(partner, offer=OFFERS[1])
    clock.move(seconds=1)
    asked: list[tuple[dict[str, str], list[int]]] = [
        ({}, [0, 1, 3]),
        ({"offerUid": offers[0]}, [0]),
        ({"offerUid": offers[0].upper()}, [0]),
        ({"offerUid": str(uuid4())}, []),
        ({"customerId": "C-1"}, [0, 3]),
        ({"customerId": "c-1"}, []),
        ({"partner": PARTNER}, [0, 1]),
        ({"partner": "nobody"}, []),
        ({"state": "open"}, [0, 3]),
        ({"state": "winding_down"}, [1]),
        ({"state": "expired"}, []),
        ({"state": "expired", "at": "2027-06-01T00:00:00Z"}, [0, 1, 3]),
        ({"state": "open", "partner": PARTNER, "customerId": "C-1", "offerUid": offers[0]}, [0]),
    ]
    for params, found in asked:
        assert [window["offerUid"] for window in listed(publisher, **params)] == [offers[n] for n in found], params


# Pages


@pytest.fixture
def stocked(publisher: Caller, partner: Caller, offers: list[str], clock: Clock) -> Caller:
    """Two customers have activated every offer; one offer has gone since."""
    for offer in offers:
        for customer in ("C-1", "C-2"):
            activate(publisher, offer, customer)
            clock.move(seconds=1)
    delete(partner, offer=OFFERS[1])
    clock.move(seconds=1)
    return publisher


def test_pages_lead_through_the_whole_list(stocked: Caller, subtests: pytest.Subtests) -> None:
    asked: list[dict[str, Any]] = [
        {},
        {"state": "open"},
        {"customerId": "C-2"},
        {"partner": PARTNER},
        {"at": "2027-06-01T00:00:00Z"},
    ]
    for filters in asked:
        everything = listed(stocked, **filters)
        for size in (1, 3):
            with subtests.test(f"{filters}, {size} to a page"):
                found = list(pages(stocked, PATH, **filters, limit=size))
                assert [item for page in found for item in page] == everything
                assert [len(page) for page in found[:-1]] == [size] * (len(found) - 1)
                assert len(everything) >= 4


def test_a_page_has_100_windows_unless_something_else_is_asked(publisher: Caller, offer: str, clock: Clock) -> None:
    lines = b"\n".join(body({"customerId": f"C-{n:03}", "offerUid": offer}) for n in range(101))
    headers = {"Content-Type": "application/x-ndjson"}
    assert publisher.http.post(f"{ACTIVATIONS_PATH}/batch", content=lines, headers=headers).status_code == 200
    clock.move(seconds=1)
    assert [len(page) for page in pages(publisher, PATH)] == [100, 1]
    assert len(listed(publisher, limit=1000)) == 101


def later_pages(caller: Caller, first: httpx2.Response) -> list[dict[str, Any]]:
    """What follows a page, by its links."""
    found = []
    reply = first
    while link := reply.links.get("next"):
        reply = caller.http.get(link["url"])
        assert reply.status_code == 200, reply.text
        found.append(reply.json())
    return found


def pinned(page: dict[str, Any]) -> tuple[str, int, str]:
    return page["at"], page["position"], page["asOf"]


@pytest.mark.parametrize("moved", [timedelta(days=50), timedelta(), timedelta(hours=-1)])
def test_later_pages_tell_of_the_moment_of_the_first_whatever_is_recorded_meanwhile(
    stocked: Caller, partner: Caller, offers: list[str], clock: Clock, moved: timedelta
) -> None:
    """Even if the clock stands still meanwhile, or is set back."""
    expected = listed(stocked)
    clock.move(seconds=1)
    first = stocked.get(PATH, limit=1)
    began = datetime.fromisoformat(expected[-1]["activatedAt"])
    clock.now += moved
    delete(partner, offer=OFFERS[2])
    activate(stocked, offers[3], "C-3")
    buy(stocked, offers[3], began)
    following = later_pages(stocked, first)
    assert [window for page in (first.json(), *following) for window in page["items"]] == expected
    assert {pinned(page) for page in following} == {pinned(first.json())}


def test_a_list_of_the_far_future_has_pages_too(stocked: Caller) -> None:
    for at in ("2262-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
        found = list(pages(stocked, PATH, at=at, limit=3))
        assert [window["state"] for page in found for window in page] == ["expired"] * 8


def test_a_cursor_belongs_to_its_question(stocked: Caller, offers: list[str], subtests: pytest.Subtests) -> None:
    cursor = stocked.get(PATH, limit=1).json()["nextCursor"]
    changed: list[dict[str, Any]] = [
        {"state": "open"},
        {"state": "expired"},
        {"customerId": "C-2"},
        {"partner": PARTNER},
        {"offerUid": offers[0]},
        {"at": "2026-12-01T00:00:00Z"},
    ]
    for other in changed:
        with subtests.test(str(other)):
            assert problem(stocked.get(PATH, cursor=cursor, **other)) == (422, "validation-error", ["/query/cursor"])


def test_a_cursor_goes_on_with_another_limit(stocked: Caller) -> None:
    cursor = stocked.get(PATH, limit=2).json()["nextCursor"]
    assert listed(stocked, cursor=cursor, limit=5) == listed(stocked)[2:7]


def test_what_is_no_cursor_of_this_list_is_422(stocked: Caller) -> None:
    of_offers = stocked.get("/api/v1/offers", limit=1).json()["nextCursor"]
    for cursor in ("x", "", "AAAA", "é", of_offers, "x" * 257):
        reply = stocked.get(PATH, cursor=cursor)
        assert problem(reply) == (422, "validation-error", ["/query/cursor"]), cursor


# What can't be asked


NOT_IN_ORDER = [
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


def test_what_is_not_in_order_is_422_and_names_the_parameter(publisher: Caller, subtests: pytest.Subtests) -> None:
    for name, value in NOT_IN_ORDER:
        with subtests.test(f"{name}={value}"):
            reply = publisher.http.get(PATH, params={name: value})
            assert problem(reply) == (422, "validation-error", [f"/query/{name}"])


def test_a_parameter_that_is_given_twice_is_422(publisher: Caller, subtests: pytest.Subtests) -> None:
    for query in ("state=open&state=open", "customerId=C-1&customerId=C-2", "limit=1&limit=2"):
        with subtests.test(query):
            name = query.partition("=")[0]
            assert problem(publisher.http.get(f"{PATH}?{query}")) == (422, "validation-error", [f"/query/{name}"])


# Who sees what


def test_every_role_may_look_and_nobody_without_a_token(
    publisher: Caller, partner: Caller, auditor: Caller, call: Call, token: MakeToken
) -> None:
    operator = call(token(Role.OPERATOR))
    assert [one.get(PATH).status_code for one in (publisher, partner, auditor, operator)] == [200] * 4
    assert [call(secret).get(PATH).status_code for secret in (None, "unknown")] == [401] * 2


def test_there_is_nothing_to_write(publisher: Caller) -> None:
    assert [publisher.http.request(method, PATH).status_code for method in ("POST", "PUT", "DELETE")] == [405] * 3


def test_a_partner_sees_its_own_windows_only(
    stocked: Caller, partner: Caller, harbor: Caller, offers: list[str]
) -> None:
    assert [window["offerUid"] for window in listed(partner)] == [offer for offer in offers[:3] for _ in range(2)]
    assert [window["offerUid"] for window in listed(harbor)] == [offers[3]] * 2
    assert len(listed(stocked)) == 8


def test_another_partners_windows_are_an_empty_list(stocked: Caller, harbor: Caller, offers: list[str]) -> None:
    own = customers(harbor)[0]
    asked: list[dict[str, Any]] = [
        {"partner": PARTNER},
        {"offerUid": offers[0]},
        {"partner": PARTNER, "offerUid": offers[0]},
        {"partner": PARTNER, "customerId": own},
        {"offerUid": offers[0], "customerId": own},
        {"partner": PARTNER, "at": "2027-06-01T00:00:00Z"},
    ]
    for params in asked:
        reply = harbor.get(PATH, **params)
        assert (items_of(reply), reply.json()["nextCursor"]) == ([], None), params
        assert listed(stocked, **{name: value for name, value in params.items() if name != "customerId"}) != []


def test_a_partner_may_name_itself(stocked: Caller, partner: Caller) -> None:
    assert len(listed(stocked)) == 8
    assert listed(partner, partner=PARTNER) == listed(partner)


def unlike(names: Sequence[str], others: Sequence[str]) -> bool:
    return not set(names) & set(others)


def test_a_partner_sees_pseudonyms_each_partner_others(
    stocked: Caller, partner: Caller, harbor: Caller, auditor: Caller
) -> None:
    own, others = customers(partner), customers(harbor)
    assert own == own[:2] * 3, "the same customer has the same one everywhere"
    assert len(set(own)) == len(set(others)) == 2
    assert unlike(own, others)
    assert unlike([*own, *others], ["C-1", "C-2"])
    assert "C-1" not in partner.get(PATH).text
    assert customers(stocked) == customers(auditor) == ["C-1", "C-2"] * 4


def test_besides_the_names_a_partner_sees_what_others_see(stocked: Caller, partner: Caller) -> None:
    assert [{**window, "customerId": "x"} for window in listed(partner)] == [
        {**window, "customerId": "x"} for window in listed(stocked, partner=PARTNER)
    ]


def test_a_partner_asks_by_its_own_pseudonyms_only(stocked: Caller, partner: Caller, harbor: Caller) -> None:
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


def test_a_partners_pages_by_a_pseudonym_go_on(stocked: Caller, partner: Caller) -> None:
    assert len(listed(stocked)) == 8
    own = customers(partner)[0]
    found = [item for page in pages(partner, PATH, customerId=own, limit=1) for item in page]
    assert found == listed(partner, customerId=own)
    assert len(found) == 3


def test_whatever_a_customers_id_is_its_pseudonym_finds_it(
    publisher: Caller, partner: Caller, offer: str, subtests: pytest.Subtests
) -> None:
    known: set[str] = set()
    for customer in ("x", "C-1\n", "ü", "顧客", "🦀", "x" * 200, "y" * 256, "ü" * 256, "🦀" * 256):
        activate(publisher, offer, customer)
        (pseudonym,) = set(customers(partner)) - known
        known.add(pseudonym)
        with subtests.test(f"{customer[:5]!r}, {len(customer)} characters"):
            assert customers(publisher, customerId=customer) == [customer]
            assert customers(partner, customerId=pseudonym) == [pseudonym]


def test_a_cursor_shows_a_partner_nothing_of_another_one(stocked: Caller, partner: Caller, harbor: Caller) -> None:
    cursors = [caller.get(PATH, limit=1).json()["nextCursor"] for caller in (stocked, partner)]
    for cursor in cursors:
        assert problem(harbor.get(PATH, cursor=cursor)) == (422, "validation-error", ["/query/cursor"])
