"""One offer, and all that has happened to it (contract, section 6)."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from api.http import pagination
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
def changed(partner: Caller) -> Caller:
    """A partner whose offer was created, updated, paused, and resumed with other content."""
    send(partner, "Insert", item())
    send(partner, "Insert", item(headline="Two"))
    send(partner, "Synchronize", item("TP-0"))
    send(partner, "Insert", item(headline="Three"))
    return partner


@pytest.fixture
def others(call: Call, token: MakeToken) -> Caller:
    """Another partner, with an offer of the same externalId."""
    other = call(token(partner="harbor"))
    send(other, "Insert", item())
    return other


# One offer


def test_an_offer_is_found_by_its_uid(changed: Caller) -> None:
    reply = changed.get(OFFER)
    offer = OfferReply.model_validate(reply.json())
    assert (offer.offerUid, offer.externalId, offer.status, offer.version) == (KEY.offer_uid, "TP-1", "active", 5)
    assert offer.content == offer_data(headline="Three")
    assert reply.json() == changed.get("/api/v1/offers", externalId="TP-1").json()["items"][0]


def test_the_etag_is_the_version(changed: Caller) -> None:
    assert changed.get(OFFER).headers["ETag"] == '"5"'


def test_an_offer_that_the_caller_has_is_not_sent_again(changed: Caller, subtests: pytest.Subtests) -> None:
    for sent in ('"5"', '"1", "5"', 'W/"5"', "*"):
        with subtests.test(sent):
            reply = changed.get(OFFER, {"If-None-Match": sent})
            assert (reply.status_code, reply.content, reply.headers["ETag"]) == (304, b"", '"5"')


def test_an_offer_that_has_changed_is_sent(changed: Caller) -> None:
    given = ('"4"', '"55"', "5", '""')
    assert {changed.get(OFFER, {"If-None-Match": sent}).status_code for sent in given} == {200}


def test_the_etag_changes_with_the_offer(changed: Caller) -> None:
    send(changed, "Synchronize", item("TP-0"))
    assert changed.get(OFFER, {"If-None-Match": '"5"'}).headers["ETag"] == '"6"'


# Who sees what


def test_an_offer_that_nobody_has_is_404(auditor: Caller, subtests: pytest.Subtests) -> None:
    for uid in (str(uuid4()), str(OTHERS_UID), "TP-1", "0", "%00", "%ff", "x" * 5000, f"{KEY.offer_uid}x"):
        for path in (f"/api/v1/offers/{uid}", f"/api/v1/offers/{uid}/history"):
            with subtests.test(path[-60:]):
                reply = auditor.get(path)
                assert (reply.status_code, reply.headers["content-type"]) == (404, MEDIA_TYPE)
                assert reply.json()["type"] == "not-found"


@pytest.mark.usefixtures("others")
def test_an_offer_of_another_partner_looks_like_one_that_nobody_has(partner: Caller) -> None:
    for suffix in ("", "/history"):
        theirs, nobodys = (partner.get(f"/api/v1/offers/{uid}{suffix}") for uid in (OTHERS_UID, uuid4()))
        assert theirs.status_code == nobodys.status_code == 404
        ignored = {"instance": "", "traceId": ""}
        assert theirs.json() | ignored == nobodys.json() | ignored


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OPERATOR])
def test_auditor_and_operator_see_every_partners_offers(call: Call, token: MakeToken, role: Role) -> None:
    caller = call(token(role))
    assert caller.get(f"/api/v1/offers/{OTHERS_UID}").json()["partner"] == "harbor"
    assert len(caller.get(f"/api/v1/offers/{OTHERS_UID}/history").json()["items"]) == 1


# History


def test_history_tells_every_event_in_order(changed: Caller) -> None:
    assert [(entry["version"], entry["type"]) for entry in history(changed)] == [
        (1, "OfferCreated"),
        (2, "OfferUpdated"),
        (3, "OfferPaused"),
        (4, "OfferResumed"),
        (5, "OfferUpdated"),
    ]


def test_history_is_of_the_published_schema(changed: Caller) -> None:
    assert len(HistoryList.model_validate(changed.get(HISTORY).json()).items) == 5


def test_history_tells_what_changed(changed: Caller) -> None:
    assert [entry["changes"] for entry in history(changed)] == [
        [
            change("/status", None, "active"),
            change("/content", None, offer_data()),
        ],
        [change("/content/headline", "Open a jar", "Two")],
        [change("/status", "active", "paused")],
        [change("/status", "paused", "active")],
        [change("/content/headline", "Two", "Three")],
    ]


def test_history_tells_when_by_whom_and_by_which_run(partner: Caller, clock: Clock) -> None:
    clock.move(days=1)
    run_id = send(partner, "Insert", item("TP-0"), item())["runId"]
    (entry,) = history(partner)
    assert entry["position"] == partner.get("/api/v1/offers").json()["position"]
    assert entry["recordedAt"] == "2026-11-23T12:30:00.000000Z"
    assert entry["offerUid"] == str(KEY.offer_uid)
    assert (entry["actor"], entry["source"]) == ("partner-tidepool", "custom")
    assert (entry["runId"], entry["traceId"]) == (run_id, None)


def test_positions_and_times_only_grow(changed: Caller) -> None:
    entries = history(changed)
    positions = [entry["position"] for entry in entries]
    times = [entry["recordedAt"] for entry in entries]
    assert positions == sorted(set(positions))
    assert times == sorted(times)
    assert times[3] == times[4]


def test_a_pause_tells_its_cause(changed: Caller) -> None:
    causes = {entry["type"]: entry["cause"] for entry in history(changed)}
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


def test_a_changed_field_is_told_by_its_json_pointer(partner: Caller, subtests: pytest.Subtests) -> None:
    for before, after, changes in CHANGES:
        with subtests.test(str(after)):
            send(partner, "Insert", item(**before))
            send(partner, "Insert", item(**after))
            # As text, because 1 == True.
            assert str(history(partner)[-1]["changes"]) == str(changes)


def test_history_of_a_deleted_and_restored_offer_is_told_too(partner: Caller, ledger: OfferLedger) -> None:
    record(ledger, KEY, *EVERY_OFFER_EVENT)
    entries = history(partner)
    assert [entry["type"] for entry in entries][4:] == ["OfferDeleted", "OfferRestored"]
    assert entries[4]["changes"] == [change("/status", "active", "deleted")]
    assert entries[5]["changes"][0] == change("/status", "deleted", "active")
    assert {(entry["actor"], entry["source"], entry["runId"]) for entry in entries} == {("olga", "cli", None)}


def test_a_history_of_another_channel_is_that_of_another_offer(partner: Caller, ledger: OfferLedger) -> None:
    send(partner, "Insert", item())
    merchant = OfferKey(PARTNER, Channel.MERCHANT, "M-1", "TP-1")
    record(ledger, merchant, created(key=merchant))
    assert [entry["source"] for entry in history(partner)] == ["custom"]


# Pages


def test_pages_of_history_tell_every_event_once(changed: Caller) -> None:
    whole, shown = history(changed), []
    path: str | None = f"{HISTORY}?limit=2"
    while path:
        reply = changed.http.get(path)
        shown.append(reply.json()["items"])
        path = reply.headers["Link"][1:].partition(">")[0] if "Link" in reply.headers else None
    assert [len(items) for items in shown] == [2, 2, 1]
    assert [entry for items in shown for entry in items] == whole


def test_history_without_further_events_has_no_next_page(changed: Caller) -> None:
    reply = changed.get(HISTORY, limit=5)
    assert (reply.json()["nextCursor"], "Link" in reply.headers) == (None, False)


def test_a_cursor_belongs_to_one_history(changed: Caller) -> None:
    cursor = changed.get(HISTORY, limit=1).json()["nextCursor"]
    uid = changed.get("/api/v1/offers", externalId="TP-0").json()["items"][0]["offerUid"]
    assert changed.get(f"/api/v1/offers/{uid}/history", cursor=cursor).status_code == 422
    assert changed.get("/api/v1/offers", cursor=cursor).status_code == 422


def test_a_cursor_beyond_the_end_is_no_failure(changed: Caller, subtests: pytest.Subtests) -> None:
    for after in (5, 6, 2**52, 2**53 - 1):
        with subtests.test(str(after)):
            reply = changed.get(HISTORY, cursor=pagination.encode_cursor(("history", KEY.offer_uid), after))
            assert reply.status_code in {200, 422}
            assert reply.json().get("items", []) == []


def test_a_malformed_parameter_of_history_is_422(changed: Caller, subtests: pytest.Subtests) -> None:
    for name, value in (("limit", "0"), ("limit", "1001"), ("limit", "x"), ("cursor", "x"), ("page", "1")):
        with subtests.test(f"{name}={value}"):
            reply = changed.get(HISTORY, None, **{name: value})
            assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, f"/query/{name}")


def test_a_uid_may_be_written_in_capitals(changed: Caller) -> None:
    assert changed.get(f"/api/v1/offers/{str(KEY.offer_uid).upper()}").json()["offerUid"] == str(
        UUID(str(KEY.offer_uid))
    )
