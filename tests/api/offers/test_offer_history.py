"""Tests of single offers and their histories over HTTP (contract, section 6)."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from api.http.pagination import PageCursors
from api.http.problems import MEDIA_TYPE
from api.offers.schemas import HistoryList, OfferReply
from domain.ledgers.ledger import OfferLedger
from domain.values import Channel, OfferKey, Role
from tests.support.examples import EVERY_OFFER_EVENT, KEY, PARTNER, batch, body, created, item, offer_data
from tests.support.harness import Call, Caller, Clock, MakeToken, record

OFFER = f"/api/v1/offers/{KEY.offer_uid}"
HISTORY = f"{OFFER}/history"
OTHERS_UID = OfferKey("harbor", Channel.CUSTOM, None, "TP-1").offer_uid


def send(caller: Caller, operation: str, *items: Any) -> Any:
    return caller.send(body(batch(operation, items))).json()["data"]


def history(caller: Caller, **parameters: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = caller.get(HISTORY, **parameters).json()["items"]
    return items


def change(field: str, before: Any, after: Any) -> dict[str, Any]:
    return {"field": field, "before": before, "after": after}


@pytest.fixture
def partner_with_changes(partner: Caller) -> Caller:
    """A partner whose offer was created, updated, paused, and resumed with other content."""
    send(partner, "Insert", item())
    send(partner, "Insert", item(headline="Two"))
    send(partner, "Synchronize", item("TP-0"))
    send(partner, "Insert", item(headline="Three"))
    return partner


@pytest.fixture
def other_partner(call: Call, token: MakeToken) -> Caller:
    """Another partner with an offer that has the same externalId."""
    other = call(token(partner="harbor"))
    send(other, "Insert", item())
    return other


# One offer


def test_offer_is_found_by_its_uid(partner_with_changes: Caller) -> None:
    reply = partner_with_changes.get(OFFER)
    offer = OfferReply.model_validate(reply.json())
    assert (offer.offerUid, offer.externalId, offer.status, offer.version) == (KEY.offer_uid, "TP-1", "active", 5)
    assert offer.content == offer_data(headline="Three")
    assert reply.json() == partner_with_changes.get("/api/v1/offers", externalId="TP-1").json()["items"][0]


# Visibility


def test_unknown_offer_is_404(auditor: Caller, subtests: pytest.Subtests) -> None:
    for uid in (str(uuid4()), str(OTHERS_UID), "TP-1", "0", "%00", "%ff", "x" * 5000, f"{KEY.offer_uid}x"):
        for path in (f"/api/v1/offers/{uid}", f"/api/v1/offers/{uid}/history"):
            with subtests.test(path[-60:]):
                reply = auditor.get(path)
                assert (reply.status_code, reply.headers["content-type"]) == (404, MEDIA_TYPE)
                assert reply.json()["type"] == "not-found"


@pytest.mark.usefixtures("other_partner")
def test_other_partners_offer_looks_like_an_unknown_one(partner: Caller) -> None:
    for suffix in ("", "/history"):
        others_reply, unknown_reply = (partner.get(f"/api/v1/offers/{uid}{suffix}") for uid in (OTHERS_UID, uuid4()))
        assert others_reply.status_code == unknown_reply.status_code == 404
        ignored = {"instance": "", "traceId": ""}
        assert others_reply.json() | ignored == unknown_reply.json() | ignored


@pytest.mark.usefixtures("other_partner")
@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OPERATOR])
def test_auditor_and_operator_see_all_partners_offers(call: Call, token: MakeToken, role: Role) -> None:
    caller = call(token(role))
    assert caller.get(f"/api/v1/offers/{OTHERS_UID}").json()["partner"] == "harbor"
    assert len(caller.get(f"/api/v1/offers/{OTHERS_UID}/history").json()["items"]) == 1


# History


def test_history_lists_all_events_in_order(partner_with_changes: Caller) -> None:
    assert [(entry["version"], entry["type"]) for entry in history(partner_with_changes)] == [
        (1, "OfferCreated"),
        (2, "OfferUpdated"),
        (3, "OfferPaused"),
        (4, "OfferResumed"),
        (5, "OfferUpdated"),
    ]


def test_history_matches_the_published_schema(partner_with_changes: Caller) -> None:
    assert len(HistoryList.model_validate(partner_with_changes.get(HISTORY).json()).items) == 5


def test_history_lists_the_changed_fields(partner_with_changes: Caller) -> None:
    assert [entry["changes"] for entry in history(partner_with_changes)] == [
        [
            change("/status", None, "active"),
            change("/content", None, offer_data()),
        ],
        [change("/content/headline", "Open a jar", "Two")],
        [change("/status", "active", "paused")],
        [change("/status", "paused", "active")],
        [change("/content/headline", "Two", "Three")],
    ]


def test_history_has_time_actor_and_run(partner: Caller, clock: Clock) -> None:
    clock.move(days=1)
    run_id = send(partner, "Insert", item("TP-0"), item())["runId"]
    (entry,) = history(partner)
    assert entry["position"] == partner.get("/api/v1/offers").json()["position"]
    assert entry["recordedAt"] == "2026-11-23T12:30:00.000000Z"
    assert entry["offerUid"] == str(KEY.offer_uid)
    assert (entry["actor"], entry["source"]) == ("partner-tidepool", "custom")
    assert (entry["runId"], entry["traceId"]) == (run_id, None)


def test_positions_and_times_only_grow(partner_with_changes: Caller) -> None:
    entries = history(partner_with_changes)
    positions = [entry["position"] for entry in entries]
    times = [entry["recordedAt"] for entry in entries]
    assert positions == sorted(set(positions))
    assert times == sorted(times)
    assert times[3] == times[4]


def test_pause_has_its_cause(partner_with_changes: Caller) -> None:
    causes = {entry["type"]: entry["cause"] for entry in history(partner_with_changes)}
    assert causes.pop("OfferPaused") == "absent-from-synchronize"
    assert set(causes.values()) == {None}


CHANGES: list[tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]] = [
    (
        {},
        {"creatives": [{"order": 0, "url": "https://cdn.example/1.png"}]},
        [change("/content/creatives/0/url", "https://cdn.example/0.png", "https://cdn.example/1.png")],
    ),
    (
        {},
        {"creatives": [*offer_data()["creatives"], {"order": 1, "url": "https://a.example"}]},
        [change("/content/creatives/1", None, {"order": 1, "url": "https://a.example"})],
    ),
    ({}, {"dailyCap": None}, [change("/content/dailyCap", 50, None)]),
    (
        {},
        {"keyPoints": "Fast", "weeklyCap": 9},
        [change("/content/keyPoints", None, "Fast"), change("/content/weeklyCap", None, 9)],
    ),
    ({"a/b": {"~c": 1}}, {"a/b": {"~c": 2}}, [change("/content/a~1b/~0c", 1, 2)]),
    ({"": {"": 1}}, {"": {"": 2}}, [change("/content//", 1, 2)]),
    ({"~1": 1}, {"~1": 2}, [change("/content/~01", 1, 2)]),
    ({"x": 1}, {"x": True}, [change("/content/x", before=1, after=True)]),
    ({"x": [1]}, {"x": {"0": 1}}, [change("/content/x", [1], {"0": 1})]),
    ({"x": [1, 2]}, {"x": [2]}, [change("/content/x/0", 1, 2), change("/content/x/1", 2, None)]),
]


def test_changed_field_is_a_json_pointer(partner: Caller, subtests: pytest.Subtests) -> None:
    for before, after, changes in CHANGES:
        with subtests.test(str(after)):
            send(partner, "Insert", item(**before))
            send(partner, "Insert", item(**after))
            # As text, because 1 == True.
            assert str(history(partner)[-1]["changes"]) == str(changes)


def test_history_includes_deletion_and_restoration(partner: Caller, ledger: OfferLedger) -> None:
    record(ledger, KEY, *EVERY_OFFER_EVENT)
    entries = history(partner)
    assert [entry["type"] for entry in entries][4:] == ["OfferDeleted", "OfferRestored"]
    assert entries[4]["changes"] == [change("/status", "active", "deleted")]
    assert entries[5]["changes"][0] == change("/status", "deleted", "active")
    assert {(entry["actor"], entry["source"], entry["runId"]) for entry in entries} == {("olga", "cli", None)}


def test_history_excludes_same_external_id_of_other_channel(partner: Caller, ledger: OfferLedger) -> None:
    send(partner, "Insert", item())
    merchant = OfferKey(PARTNER, Channel.MERCHANT, "M-1", "TP-1")
    record(ledger, merchant, created(key=merchant))
    assert [entry["source"] for entry in history(partner)] == ["custom"]


# Pages


def test_history_pages_list_every_event_once(partner_with_changes: Caller) -> None:
    whole, shown = history(partner_with_changes), []
    path: str | None = f"{HISTORY}?limit=2"
    while path:
        reply = partner_with_changes.http.get(path)
        shown.append(reply.json()["items"])
        path = reply.headers["Link"][1:].partition(">")[0] if "Link" in reply.headers else None
    assert [len(items) for items in shown] == [2, 2, 1]
    assert [entry for items in shown for entry in items] == whole


def test_last_history_page_has_no_next_one(partner_with_changes: Caller) -> None:
    reply = partner_with_changes.get(HISTORY, limit=5)
    assert (reply.json()["nextCursor"], "Link" in reply.headers) == (None, False)


def test_cursor_belongs_to_one_history(partner_with_changes: Caller) -> None:
    cursor = partner_with_changes.get(HISTORY, limit=1).json()["nextCursor"]
    uid = partner_with_changes.get("/api/v1/offers", externalId="TP-0").json()["items"][0]["offerUid"]
    assert partner_with_changes.get(f"/api/v1/offers/{uid}/history", cursor=cursor).status_code == 422
    assert partner_with_changes.get("/api/v1/offers", cursor=cursor).status_code == 422


def test_cursor_beyond_the_end_is_no_server_error(
    partner_with_changes: Caller, ledger: OfferLedger, subtests: pytest.Subtests
) -> None:
    with ledger.read() as tx:
        cursors = PageCursors(ledger.name_in(tx), ("history", KEY.offer_uid))
    for after in (5, 6, 2**52, 2**53 - 1):
        with subtests.test(str(after)):
            reply = partner_with_changes.get(HISTORY, cursor=cursors.encode(after))
            assert reply.status_code in {200, 422}
            assert reply.json().get("items", []) == []


def test_malformed_history_parameter_is_422(partner_with_changes: Caller, subtests: pytest.Subtests) -> None:
    for name, value in (("limit", "0"), ("limit", "1001"), ("limit", "x"), ("cursor", "x"), ("page", "1")):
        with subtests.test(f"{name}={value}"):
            reply = partner_with_changes.get(HISTORY, None, **{name: value})
            assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, f"/query/{name}")


def test_uid_may_have_capital_letters(partner_with_changes: Caller) -> None:
    assert partner_with_changes.get(f"/api/v1/offers/{str(KEY.offer_uid).upper()}").json()["offerUid"] == str(
        UUID(str(KEY.offer_uid))
    )
