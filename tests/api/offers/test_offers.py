"""Tests of the list of offers over HTTP: visibility, filters and pages (contract, section 6)."""

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
PAUSED_OFFER = OfferKey(PARTNER, Channel.CUSTOM, None, "TP-2")
MERCHANT = OfferKey(PARTNER, Channel.MERCHANT, "M-1", "TP-1")
OTHER_PARTNERS = OfferKey("harbor", Channel.CUSTOM, None, "TP-1")
ALL = [CUSTOM, PAUSED_OFFER, MERCHANT, OTHER_PARTNERS]


@pytest.fixture
def stored_keys(ledger: OfferLedger, token: MakeToken) -> list[OfferKey]:
    """The keys of two partners' offers, with both channels and every status."""
    token(partner="harbor")
    record(ledger, CUSTOM, created(offer_data(name="Jar", headline="Save"), CUSTOM))
    record(ledger, PAUSED_OFFER, created(offer_data(name="Box"), PAUSED_OFFER), PAUSED)
    record(ledger, MERCHANT, created({"offerName": "Coffee"}, MERCHANT), DELETED)
    record(ledger, OTHER_PARTNERS, created(offer_data(name="Boat"), OTHER_PARTNERS))
    return ALL


def listed_keys(caller: Caller, **filters: Any) -> list[OfferKey]:
    reply = caller.get(OFFERS, **filters)
    assert reply.status_code == 200
    return [
        OfferKey(offer["partner"], offer["channel"], offer["merchantId"], offer["externalId"])
        for offer in reply.json()["items"]
    ]


def insert(caller: Caller, *external_ids: str, operation: str = "Insert", **changes: Any) -> None:
    caller.send(body(batch(operation, [item(external_id, **changes) for external_id in external_ids])))


def pages(caller: Caller, **filters: Any) -> Iterator[dict[str, Any]]:
    """Yields all pages of a list, by following the cursors."""
    cursor: dict[str, Any] = {}
    while True:
        page = caller.get(OFFERS, **filters, **cursor).json()
        yield page
        if page["nextCursor"] is None:
            return
        cursor = {"cursor": page["nextCursor"]}


# Members of an offer


def test_offer_has_all_its_members(partner: Caller, clock: Clock) -> None:
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
        "hold": None,
    }


def test_list_matches_the_published_schema(auditor: Caller, stored_keys: list[OfferKey]) -> None:
    page = OfferList.model_validate(auditor.get(OFFERS).json())
    assert len(page.items) == len(stored_keys)


def test_content_is_returned_as_sent(partner: Caller) -> None:
    sent = {"unicode": 'ü\u2028😀\\"/', "numbers": [0.1, 1e-7, 2**53 - 1, -1.5], "empty": [{}, [], "", None, False]}
    insert(partner, "TP-1", extra=sent)
    assert partner.get(OFFERS).json()["items"][0]["content"]["extra"] == sent


def test_recorded_times_are_utc_with_microseconds(partner: Caller) -> None:
    insert(partner, "TP-1")
    page = partner.get(OFFERS).json()
    assert page["items"][0]["createdAt"] == page["asOf"]
    assert page["asOf"][:20] == "2026-11-22T12:30:00."
    assert (len(page["asOf"]), page["asOf"][-1]) == (27, "Z")


def test_position_counts_events_and_as_of_is_newest_commit_time(partner: Caller, clock: Clock) -> None:
    before = partner.get(OFFERS).json()["position"]
    clock.move(days=1)
    insert(partner, "TP-1", "TP-2")
    clock.move(days=1)
    page = partner.get(OFFERS).json()
    assert page["position"] == before + 2
    assert page["asOf"] == "2026-11-23T12:30:00.000000Z"


# Filters


@pytest.mark.usefixtures("stored_keys")
def test_list_has_offers_that_match_all_filters(auditor: Caller, subtests: pytest.Subtests) -> None:
    expected: list[tuple[dict[str, str], list[OfferKey]]] = [
        ({}, ALL),
        ({"partner": PARTNER}, [CUSTOM, PAUSED_OFFER, MERCHANT]),
        ({"partner": "harbor"}, [OTHER_PARTNERS]),
        ({"channel": "custom"}, [CUSTOM, PAUSED_OFFER, OTHER_PARTNERS]),
        ({"channel": "merchant"}, [MERCHANT]),
        ({"merchantId": "M-1"}, [MERCHANT]),
        ({"merchantId": "m-1"}, []),
        ({"externalId": "TP-1"}, [CUSTOM, MERCHANT, OTHER_PARTNERS]),
        ({"externalId": "tp-1"}, []),
        ({"status": "active"}, [CUSTOM, OTHER_PARTNERS]),
        ({"status": "paused"}, [PAUSED_OFFER]),
        ({"status": "deleted"}, [MERCHANT]),
        ({"redeemable": "true"}, [CUSTOM, OTHER_PARTNERS]),
        ({"redeemable": "false"}, [PAUSED_OFFER, MERCHANT]),
        ({"q": "TP-"}, ALL),
        ({"q": "m-1"}, [MERCHANT]),
        ({"q": "BOX"}, [PAUSED_OFFER]),
        ({"q": "ave"}, [CUSTOM]),
        ({"q": "coffee"}, [MERCHANT]),
        ({"externalId": "TP-1", "channel": "custom"}, [CUSTOM, OTHER_PARTNERS]),
        ({"partner": PARTNER, "externalId": "TP-1", "status": "active", "q": "jar"}, [CUSTOM]),
        ({"partner": "harbor", "merchantId": "M-1"}, []),
    ]
    for filters, keys in expected:
        with subtests.test(str(filters)):
            assert listed_keys(auditor, **filters) == keys


def test_q_has_no_wildcards(partner: Caller, subtests: pytest.Subtests) -> None:
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
            assert [key.external_id for key in listed_keys(partner, q=q)] == external_ids


@pytest.mark.parametrize("external_id", ["ÄPFEL", "Straße"])
def test_q_finds_external_ids_in_any_script(partner: Caller, external_id: str) -> None:
    insert(partner, external_id, "TP-1")
    assert [key.external_id for key in listed_keys(partner, q=external_id)] == [external_id]


def test_q_with_impossible_character_finds_nothing(partner: Caller) -> None:
    insert(partner, "TP-1")
    assert partner.get(OFFERS, q="\0").json().get("items", []) == []


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OPERATOR, Role.PUBLISHER])
def test_other_roles_see_all_partners(call: Call, token: MakeToken, stored_keys: list[OfferKey], role: Role) -> None:
    assert listed_keys(call(token(role))) == stored_keys


@pytest.mark.usefixtures("stored_keys")
def test_partner_sees_only_its_own_offers(partner: Caller) -> None:
    assert listed_keys(partner) == listed_keys(partner, partner=PARTNER) == [CUSTOM, PAUSED_OFFER, MERCHANT]


@pytest.mark.usefixtures("stored_keys")
def test_filter_by_another_partner_returns_an_empty_list(partner: Caller) -> None:
    reply = partner.get(OFFERS, partner="harbor")
    assert reply.status_code == 200
    assert (reply.json()["items"], reply.json()["nextCursor"]) == ([], None)
    assert "Link" not in reply.headers


# Parameters


def test_malformed_parameter_is_422_with_its_pointer(auditor: Caller, subtests: pytest.Subtests) -> None:
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


@pytest.mark.usefixtures("stored_keys")
def test_limit_is_1_to_1000(auditor: Caller) -> None:
    assert [len(listed_keys(auditor, limit=limit)) for limit in (1, 3, 1000)] == [1, 3, 4]


def test_default_limit_is_100(partner: Caller) -> None:
    insert(partner, *(f"TP-{n}" for n in range(101)))
    assert [len(page["items"]) for page in pages(partner)] == [100, 1]


# Pages


def test_pages_of_one_list_every_offer_once(auditor: Caller, stored_keys: list[OfferKey]) -> None:
    shown = [page["items"] for page in pages(auditor, limit=1)]
    assert [[offer["offerUid"] for offer in items] for items in shown] == [[str(key.offer_uid)] for key in stored_keys]


def test_last_page_has_no_next_one(auditor: Caller, stored_keys: list[OfferKey]) -> None:
    reply = auditor.get(OFFERS, limit=len(stored_keys))
    assert reply.json()["nextCursor"] is None
    assert "Link" not in reply.headers


def test_pages_stay_complete_while_offers_are_added_and_paused(partner: Caller) -> None:
    first = [f"TP-{n}" for n in range(5)]
    insert(partner, *first)
    shown = []
    for turn, page in enumerate(pages(partner, limit=1)):
        shown += [offer["externalId"] for offer in page["items"]]
        if turn < 3:
            insert(partner, f"X-{turn}", operation="Synchronize")
    assert shown == [*first, "X-0", "X-1", "X-2"]


def test_each_page_reports_its_own_position(partner: Caller) -> None:
    insert(partner, "TP-1", "TP-2")
    pages_iterator = pages(partner, limit=1)
    first = next(pages_iterator)["position"]
    insert(partner, "TP-3")
    assert next(pages_iterator)["position"] == first + 1


@pytest.mark.usefixtures("stored_keys")
def test_cursor_belongs_to_its_filters(auditor: Caller, partner: Caller, subtests: pytest.Subtests) -> None:
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


@pytest.mark.usefixtures("stored_keys")
def test_cursor_continues_with_another_limit(auditor: Caller) -> None:
    cursor = auditor.get(OFFERS, limit=1).json()["nextCursor"]
    assert listed_keys(auditor, cursor=cursor, limit=2) == [PAUSED_OFFER, MERCHANT]


def test_link_to_next_page_keeps_the_filters(partner: Caller) -> None:
    insert(partner, "5% a&b", "5% a&c")
    reply = partner.get(OFFERS, limit=1, q="5% a&", status="active")
    link = reply.headers["Link"]
    assert link.startswith(f"<{OFFERS}?")
    assert link.endswith('>; rel="next"')
    next_reply = partner.http.get(link[1:].partition(">")[0])
    assert [offer["externalId"] for offer in next_reply.json()["items"]] == ["5% a&c"]
    assert "Link" not in next_reply.headers
