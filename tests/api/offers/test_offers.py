"""Which offers a caller is shown, filtered and page by page (contract, section 6)."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.offers.schemas import OfferList
from domain.ledgers.ledger import OfferLedger
from domain.values import Channel, OfferKey, Role
from tests.support.examples import DELETED, PARTNER, PAUSED, batch, body, created, item, offer_data
from tests.support.harness import Call, Caller, Clock, MakeToken, record

OFFERS = "/api/v1/offers"
CUSTOM = OfferKey(PARTNER, Channel.CUSTOM, None, "TP-1")
PAUSED_ONE = OfferKey(PARTNER, Channel.CUSTOM, None, "TP-2")
MERCHANT = OfferKey(PARTNER, Channel.MERCHANT, "M-1", "TP-1")
OTHERS = OfferKey("harbor", Channel.CUSTOM, None, "TP-1")
ALL = [CUSTOM, PAUSED_ONE, MERCHANT, OTHERS]


@pytest.fixture
def stock(ledger: OfferLedger, token: MakeToken) -> list[OfferKey]:
    """Two partners' offers, of both channels and every status."""
    token(partner="harbor")
    record(ledger, CUSTOM, created(offer_data(name="Jar", headline="Save"), CUSTOM))
    record(ledger, PAUSED_ONE, created(offer_data(name="Box"), PAUSED_ONE), PAUSED)
    record(ledger, MERCHANT, created({"offerName": "Coffee"}, MERCHANT), DELETED)
    record(ledger, OTHERS, created(offer_data(name="Boat"), OTHERS))
    return ALL


def found(caller: Caller, **filters: Any) -> list[OfferKey]:
    reply = caller.get(OFFERS, **filters)
    assert reply.status_code == 200
    return [
        OfferKey(offer["partner"], offer["channel"], offer["merchantId"], offer["externalId"])
        for offer in reply.json()["items"]
    ]


def insert(caller: Caller, *external_ids: str, operation: str = "Insert", **changes: Any) -> None:
    caller.send(body(batch(operation, [item(external_id, **changes) for external_id in external_ids])))


def pages(caller: Caller, **filters: Any) -> Iterator[dict[str, Any]]:
    """Every page of a list, by its cursors."""
    cursor: dict[str, Any] = {}
    while True:
        page = caller.get(OFFERS, **filters, **cursor).json()
        yield page
        if page["nextCursor"] is None:
            return
        cursor = {"cursor": page["nextCursor"]}


# What an offer looks like


def test_an_offer_is_shown_with_everything_known_of_it(partner: Caller, clock: Clock) -> None:
    insert(partner, "TP-1")
    clock.move(hours=1)
    insert(partner, "TP-2", operation="Synchronize")
    offer = partner.get(OFFERS, externalId="TP-1").json()["items"][0]
    assert len(offer.pop("contentDigest")) == 64
    assert offer.pop("createdAt").startswith("2026-11-22T12:30:00.")
    assert offer["pausedAt"].startswith("2026-11-22T13:30:00.")
    assert offer.pop("pausedAt") == offer.pop("updatedAt")
    assert offer == {
        "offerUid": str(CUSTOM.offer_uid),
        "partner": PARTNER,
        "channel": "custom",
        "merchantId": None,
        "externalId": "TP-1",
        "status": "paused",
        "version": 2,
        "content": offer_data(),
        "deletedAt": None,
        "honouredUntil": None,
    }


def test_a_list_is_of_the_published_schema(auditor: Caller, stock: list[OfferKey]) -> None:
    page = OfferList.model_validate(auditor.get(OFFERS).json())
    assert len(page.items) == len(stock)


def test_content_comes_back_with_the_values_that_were_sent(partner: Caller) -> None:
    sent = {"unicode": 'ü\u2028😀\\"/', "numbers": [0.1, 1e-7, 2**53 - 1, -1.5], "empty": [{}, [], "", None, False]}
    insert(partner, "TP-1", extra=sent)
    assert partner.get(OFFERS).json()["items"][0]["content"]["extra"] == sent


def test_recorded_times_are_utc_with_six_digits(partner: Caller) -> None:
    insert(partner, "TP-1")
    page = partner.get(OFFERS).json()
    assert page["items"][0]["createdAt"] == page["asOf"]
    assert page["asOf"][:20] == "2026-11-22T12:30:00."
    assert (len(page["asOf"]), page["asOf"][-1]) == (27, "Z")


def test_position_counts_events_and_as_of_is_the_newest_commit(partner: Caller, clock: Clock) -> None:
    before = partner.get(OFFERS).json()["position"]
    clock.move(days=1)
    insert(partner, "TP-1", "TP-2")
    clock.move(days=1)
    page = partner.get(OFFERS).json()
    assert page["position"] == before + 2
    assert page["asOf"] == "2026-11-23T12:30:00.000000Z"


# Filters


@pytest.mark.usefixtures("stock")
def test_filters_show_what_matches_all_of_them(auditor: Caller, subtests: pytest.Subtests) -> None:
    expected: list[tuple[dict[str, str], list[OfferKey]]] = [
        ({}, ALL),
        ({"partner": PARTNER}, [CUSTOM, PAUSED_ONE, MERCHANT]),
        ({"partner": "harbor"}, [OTHERS]),
        ({"partner": "nobody"}, []),
        ({"channel": "custom"}, [CUSTOM, PAUSED_ONE, OTHERS]),
        ({"channel": "merchant"}, [MERCHANT]),
        ({"merchantId": "M-1"}, [MERCHANT]),
        ({"merchantId": "m-1"}, []),
        ({"externalId": "TP-1"}, [CUSTOM, MERCHANT, OTHERS]),
        ({"externalId": "tp-1"}, []),
        ({"status": "active"}, [CUSTOM, OTHERS]),
        ({"status": "paused"}, [PAUSED_ONE]),
        ({"status": "deleted"}, [MERCHANT]),
        ({"redeemable": "true"}, [CUSTOM, OTHERS]),
        ({"redeemable": "false"}, [PAUSED_ONE, MERCHANT]),
        ({"q": "TP-"}, ALL),
        ({"q": "m-1"}, [MERCHANT]),
        ({"q": "BOX"}, [PAUSED_ONE]),
        ({"q": "ave"}, [CUSTOM]),
        ({"q": "coffee"}, [MERCHANT]),
        ({"externalId": "TP-1", "channel": "custom"}, [CUSTOM, OTHERS]),
        ({"partner": PARTNER, "externalId": "TP-1", "status": "active", "q": "jar"}, [CUSTOM]),
        ({"partner": "harbor", "merchantId": "M-1"}, []),
    ]
    for filters, keys in expected:
        with subtests.test(str(filters)):
            assert found(auditor, **filters) == keys


def test_q_takes_every_character_at_its_word(partner: Caller, subtests: pytest.Subtests) -> None:
    insert(partner, "100%", "100x", "a_b", "axb", "w!w", "wxw", "b\\s", "it's", name="Name")
    insert(partner, "named", name="ÖL 5% _!")
    expected = {
        "%": ["100%", "named"],
        "_": ["a_b", "named"],
        "!": ["w!w", "named"],
        "0%": ["100%"],
        "_!": ["named"],
        "!%": [],
        "\\": ["b\\s"],
        "'": ["it's"],
        "öl": ["named"],
        "W!W": ["w!w"],
    }
    for q, external_ids in expected.items():
        with subtests.test(repr(q)):
            assert [key.external_id for key in found(partner, q=q)] == external_ids


@pytest.mark.parametrize("external_id", ["ÄPFEL", "Straße"])
def test_q_finds_an_external_id_of_any_script(partner: Caller, external_id: str) -> None:
    insert(partner, external_id, "TP-1")
    assert [key.external_id for key in found(partner, q=external_id)] == [external_id]


def test_q_with_a_character_that_no_offer_can_have_finds_nothing(partner: Caller) -> None:
    insert(partner, "TP-1")
    assert partner.get(OFFERS, q="\0").json().get("items", []) == []


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OPERATOR, Role.PUBLISHER])
def test_other_roles_see_all_partners(call: Call, token: MakeToken, stock: list[OfferKey], role: Role) -> None:
    assert found(call(token(role))) == stock


@pytest.mark.usefixtures("stock")
def test_a_partner_sees_its_own_offers_only(partner: Caller) -> None:
    assert found(partner) == found(partner, partner=PARTNER) == [CUSTOM, PAUSED_ONE, MERCHANT]


@pytest.mark.usefixtures("stock")
def test_another_partner_as_filter_is_an_empty_list(partner: Caller) -> None:
    reply = partner.get(OFFERS, partner="harbor")
    assert reply.status_code == 200
    assert (reply.json()["items"], reply.json()["nextCursor"]) == ([], None)
    assert "Link" not in reply.headers


# Parameters


def test_a_malformed_parameter_is_422_and_named(auditor: Caller, subtests: pytest.Subtests) -> None:
    malformed = {
        "limit": ["0", "-1", "1001", "1.5", "ten", "", "1e2", "9" * 5000],
        "status": ["absent", "Active", ""],
        "channel": ["Custom", "file", ""],
        "redeemable": ["maybe", "", "2"],
        "q": ["", "x" * 257],
        "partner": [""],
        "externalId": ["", "x" * 257],
        "cursor": ["", "x", "x" * 257, "%%%", "====", "é", "kAA"],
        "Status": ["active"],
        "offerUid": [str(CUSTOM.offer_uid)],
    }
    for name, values in malformed.items():
        for value in values:
            with subtests.test(f"{name}={value[:20]}"):
                reply = auditor.get(OFFERS, None, **{name: value})
                assert reply.status_code == 422
                assert [error["pointer"] for error in reply.json()["errors"]] == [f"/query/{name}"]


@pytest.mark.usefixtures("stock")
def test_limit_may_be_1_to_1000(auditor: Caller) -> None:
    assert [len(found(auditor, limit=limit)) for limit in (1, 3, 1000)] == [1, 3, 4]


def test_a_page_has_100_offers_unless_told_otherwise(partner: Caller) -> None:
    insert(partner, *(f"TP-{n}" for n in range(101)))
    assert [len(page["items"]) for page in pages(partner)] == [100, 1]


# Pages


def test_pages_of_one_show_every_offer_once(auditor: Caller, stock: list[OfferKey]) -> None:
    shown = [page["items"] for page in pages(auditor, limit=1)]
    assert [[offer["offerUid"] for offer in items] for items in shown] == [[str(key.offer_uid)] for key in stock]


def test_the_last_page_has_no_next_one(auditor: Caller, stock: list[OfferKey]) -> None:
    reply = auditor.get(OFFERS, limit=len(stock))
    assert reply.json()["nextCursor"] is None
    assert "Link" not in reply.headers


def test_pages_stay_complete_while_offers_come_and_are_paused(partner: Caller) -> None:
    first = [f"TP-{n}" for n in range(5)]
    insert(partner, *first)
    shown = []
    for turn, page in enumerate(pages(partner, limit=1)):
        shown += [offer["externalId"] for offer in page["items"]]
        if turn < 3:
            insert(partner, f"X-{turn}", operation="Synchronize")
    assert shown == [*first, "X-0", "X-1", "X-2"]


def test_every_page_tells_its_own_position(partner: Caller) -> None:
    insert(partner, "TP-1", "TP-2")
    following = pages(partner, limit=1)
    first = next(following)["position"]
    insert(partner, "TP-3")
    assert next(following)["position"] == first + 1


@pytest.mark.usefixtures("stock")
def test_a_cursor_belongs_to_its_filters(auditor: Caller, partner: Caller, subtests: pytest.Subtests) -> None:
    cursor = auditor.get(OFFERS, limit=1, channel="custom").json()["nextCursor"]
    for filters in (
        {},
        {"channel": "merchant"},
        {"channel": "custom", "q": "x"},
        {"channel": "custom", "partner": "harbor"},
    ):
        with subtests.test(str(filters)):
            assert auditor.get(OFFERS, None, cursor=cursor, **filters).status_code == 422
    with subtests.test("another caller"):
        assert partner.get(OFFERS, cursor=cursor, channel="custom").status_code == 422


@pytest.mark.usefixtures("stock")
def test_a_cursor_may_go_on_with_another_limit(auditor: Caller) -> None:
    cursor = auditor.get(OFFERS, limit=1).json()["nextCursor"]
    assert found(auditor, cursor=cursor, limit=2) == [PAUSED_ONE, MERCHANT]


def test_the_next_page_is_linked_with_its_filters(partner: Caller) -> None:
    insert(partner, "5% a&b", "5% a&c")
    reply = partner.get(OFFERS, limit=1, q="5% a&", status="active")
    link = reply.headers["Link"]
    assert link.startswith(f"<{OFFERS}?")
    assert link.endswith('>; rel="next"')
    following = partner.http.get(link[1:].partition(">")[0])
    assert [offer["externalId"] for offer in following.json()["items"]] == ["5% a&c"]
    assert "Link" not in following.headers
