"""The inventory as of any position or time is what a replay of the events up to there gives, and stays so."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.audit.diff_routes import DiffRequest, diff_document
from api.http.as_of import AsOf
from api.offers.queries import count_document, find_offer, offer_page
from api.service import Service
from domain.access.partner import SetPartner
from domain.events import OfferActivated, OfferCreated, OfferEvent, OfferRestored, OfferUpdated
from domain.offers.offer import STATUS_AFTER
from domain.values import Channel, OfferKey, Status, recorded_text, to_microseconds, utc_text
from projections.audit.diff import ChangeKind, NetChangeView
from projections.audit.event_item import changes_between
from projections.maintenance.verification import verify
from projections.offers.inventory import OfferFilter
from tests.support.engine import examples
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Clock
from tests.support.histories.traffic import MERCHANTS, Step, Told, a_service, history, putting, steps

INSTANT = timedelta(microseconds=1)
EVERYTHING = OfferFilter()
FILTERS = [
    EVERYTHING,
    *(OfferFilter(partner=partner) for partner in (PARTNER, "harbor", "nobody")),
    *(OfferFilter(channel=channel) for channel in Channel),
    OfferFilter(merchant_id="M-1"),
    OfferFilter(external_id="MO-1"),
    *(OfferFilter(status=status) for status in (Status.ACTIVE, Status.PAUSED, Status.DELETED)),
    *(OfferFilter(q=q) for q in ("one", "TP-", "m-2")),
    *(OfferFilter(redeemable=redeemable) for redeemable in (True, False)),
    OfferFilter(partner=PARTNER, channel=Channel.CUSTOM, status=Status.PAUSED, q="one"),
]

COUNTED = [
    OfferFilter(partner, channel) for partner in (None, PARTNER, "harbor", "nobody") for channel in (None, *Channel)
]

# What a replay gives


def replayed(events: Sequence[Told], position: int, moment: datetime) -> list[dict[str, Any]]:
    """Offers as the service shows them, in the order of their streams."""
    offers: dict[int, dict[str, Any]] = {}
    ends: dict[str, list[int]] = {}
    for told in events:
        if told.position > position:
            break
        if isinstance(told.event, OfferActivated):
            ends.setdefault(told.event.offer_uid, []).append(told.event.redeemable_until)
        elif isinstance(told.event, OfferEvent):
            _follow(offers, told)
    for offer in offers.values():
        last = max(ends.get(offer["offerUid"], [0]))
        offer["honouredUntil"] = recorded_text(last) if last > to_microseconds(moment) else None
    return [offers[stream_id] for stream_id in sorted(offers)]


def _follow(offers: dict[int, dict[str, Any]], told: Told) -> None:
    event, when = told.event, recorded_text(told.recorded_at)
    if isinstance(event, OfferCreated):
        key = OfferKey(event.partner, event.channel, event.merchant_id, event.external_id)
        offers[told.stream_id] = {
            "offerUid": str(key.offer_uid),
            "partner": key.partner,
            "channel": str(key.channel),
            "merchantId": key.merchant_id,
            "externalId": key.external_id,
            "version": 0,
            "createdAt": when,
        }
    offer = offers[told.stream_id]
    offer |= {"version": offer["version"] + 1, "updatedAt": when}
    if status := STATUS_AFTER[type(event)]:
        since = {f"{name}At": when if status == name else None for name in ("paused", "deleted")}
        offer |= {"status": str(status), **since}
    if isinstance(event, OfferCreated | OfferUpdated | OfferRestored):
        offer |= {"content": json.loads(bytes(event.content)), "contentDigest": event.content_digest}


def matching(offers: list[dict[str, Any]], wanted: OfferFilter) -> list[dict[str, Any]]:
    def matches(offer: dict[str, Any]) -> bool:
        content = offer["content"]
        names = [offer["externalId"], offer["merchantId"] or ""]
        names += [content.get(name, "") for name in ("name", "headline", "offerName")]
        redeemable = offer["status"] == "active" or offer["honouredUntil"] is not None
        return (
            wanted.partner in {None, offer["partner"]}
            and wanted.channel in {None, offer["channel"]}
            and wanted.merchant_id in {None, offer["merchantId"]}
            and wanted.external_id in {None, offer["externalId"]}
            and wanted.status in {None, offer["status"]}
            and wanted.redeemable in {None, redeemable}
            and (wanted.q is None or any(wanted.q.casefold() in name.casefold() for name in names))
        )

    return [offer for offer in offers if matches(offer)]


# What the service says


def shown(service: Service, asked: AsOf, wanted: OfferFilter = EVERYTHING, limit: int = 100) -> list[dict[str, Any]]:
    """All pages of it."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        document = offer_page(service.ledger, wanted, asked, cursor, limit)
        items += map(as_json, document["items"])
        cursor = document["nextCursor"]
        if cursor is None:
            return items


def as_json(view: Any) -> dict[str, Any]:
    members = {name: getattr(view, name) for name in view.__struct_fields__}
    names = {name: "".join(p.capitalize() if i else p for i, p in enumerate(name.split("_"))) for name in members}
    told = {names[name]: str(value) if isinstance(value, UUID) else value for name, value in members.items()}
    return told | {"content": json.loads(bytes(view.content))}


@settings(max_examples=examples(30))
@given(st.lists(steps, min_size=3, max_size=14))
def test_as_of_any_position_is_what_a_replay_gives(done: list[Step]) -> None:
    with a_service() as (service, clock):
        for step in done:
            step(service, clock)
        events = history(service)
        for position in range(events[-1].position + 1):
            moment = next((e.recorded_at for e in reversed(events) if e.position <= position), 0)
            expected = replayed(events, position, datetime.fromisoformat(recorded_text(moment)))
            for wanted in FILTERS:
                assert shown(service, AsOf(position=position), wanted) == matching(expected, wanted), wanted
            for wanted in COUNTED:
                told = count_document(service.ledger, wanted.partner, wanted.channel, AsOf(position=position))
                statuses = Counter(offer["status"] for offer in matching(expected, wanted))
                assert told["counts"] == {status: statuses[status] for status in told["counts"]}, wanted
        assert verify(service.ledger) == []


@settings(max_examples=examples(20))
@given(st.lists(steps, min_size=3, max_size=10))
def test_a_pinned_answer_never_changes_whatever_is_written_later(done: list[Step]) -> None:
    with a_service() as (service, clock):
        pinned: list[tuple[AsOf, list[dict[str, Any]]]] = []
        for step in done:
            step(service, clock)
            now = shown(service, AsOf())
            asked = AsOf(position=offer_page(service.ledger, OfferFilter(), AsOf(), None, 1)["position"])
            then = shown(service, asked)
            assert [dict(offer, honouredUntil=None) for offer in then] == [dict(o, honouredUntil=None) for o in now]
            pinned.append((asked, then))
            clock.move(seconds=1)
        for asked, then in pinned:
            assert [shown(service, asked, limit=limit) for limit in (1, 2, 100)] == [then] * 3


@settings(max_examples=examples(20))
@given(st.lists(steps, min_size=3, max_size=10))
def test_as_of_a_time_is_as_of_the_last_position_by_then_judged_at_that_time(done: list[Step]) -> None:
    with a_service() as (service, clock):
        for step in done:
            clock.move(seconds=1)
            step(service, clock)
        events = history(service)
        for told in events:
            at = datetime.fromisoformat(recorded_text(told.recorded_at))
            for moment in (at - INSTANT, at, at + timedelta(milliseconds=500)):
                last = max((e.position for e in events if e.recorded_at <= to_microseconds(moment)), default=0)
                assert shown(service, AsOf(time=moment)) == replayed(events, last, moment)


def kinds_of(before: dict[str, Any] | None, after: dict[str, Any]) -> set[str]:
    """What an offer has become, by its two states."""
    now = after["status"]
    if before is None:
        return {"transient" if now == "deleted" else "created"}
    was = before["status"]
    found = {"updated"} if before["contentDigest"] != after["contentDigest"] else set()
    if was != now:
        by_states = {("active", "paused"): "paused", ("paused", "active"): "resumed"}
        found.add(by_states.get((was, now), "deleted" if now == "deleted" else "restored"))
    return found


@settings(max_examples=examples(30))
@given(st.lists(steps, min_size=3, max_size=12), st.data())
def test_the_difference_of_two_positions_is_that_of_the_two_states(done: list[Step], data: st.DataObject) -> None:
    with a_service() as (service, clock):
        for step in done:
            step(service, clock)
        last = history(service)[-1].position
        since, until = sorted(data.draw(st.tuples(st.integers(0, last), st.integers(0, last)), "positions"))
        partner = data.draw(st.sampled_from([None, PARTNER, "harbor", "nobody"]), "partner")
        wanted = OfferFilter(partner=partner)
        earlier, later = (shown(service, AsOf(position=at), wanted) for at in (since, until))
        was = {offer["offerUid"]: offer for offer in earlier}
        kinds = {offer["offerUid"]: kinds_of(was.get(offer["offerUid"]), offer) for offer in later}
        found, counts = differences(service, DiffRequest(AsOf(position=since), AsOf(position=until), partner))
        listed = {uid: told for uid, told in kinds.items() if told - {"transient"}}
        assert {str(change.offer_uid): set(change.kinds) for change in found} == listed
        assert counts == {kind: sum(kind in told for told in kinds.values()) for kind in ChangeKind}
        for change in found:
            before, after = (
                was.get(str(change.offer_uid)),
                next(o for o in later if o["offerUid"] == str(change.offer_uid)),
            )
            expected = changes_between(_state(before), _state(after), _contents(before, after))
            assert change.changes == [told._asdict() for told in expected]
            assert all(since < cause.position <= until for cause in change.causes)
            assert change.causes


def differences(service: Service, asking: DiffRequest) -> tuple[list[NetChangeView], dict[str, int]]:
    """All pages of two."""
    items: list[NetChangeView] = []
    cursor: str | None = None
    while True:
        document = diff_document(service.ledger, asking, cursor, 2)
        items += document["items"]
        cursor = document["nextCursor"]
        if cursor is None:
            return items, document["counts"]


def _state(offer: dict[str, Any] | None) -> Status:
    return Status(offer["status"]) if offer else Status.ABSENT


def _contents(before: dict[str, Any] | None, after: dict[str, Any]) -> list[bytes]:
    if before and before["contentDigest"] == after["contentDigest"]:
        return []
    return [json.dumps(offer and offer["content"]).encode() for offer in (before, after)]


# One offer


@pytest.fixture
def changed(service: Service, clock: Clock) -> list[datetime]:
    """An offer was created, renamed, deleted and restored; each time, a day after the one before."""
    service.ledger.handle(SetPartner(PARTNER, daily_quota=0), OPERATOR)
    moments = []
    for name in ("one", "two", None, "three"):
        clock.move(days=1)
        putting(MERCHANTS[0], name)(service, clock)
        moments.append(clock.now)
    return moments


def told(service: Service, asked: AsOf) -> tuple[str, int, str] | None:
    with service.ledger.recorder.read() as tx:
        view = find_offer(service.ledger, tx, MERCHANTS[0].offer_uid, asked)
    return (view.status, view.version, json.loads(bytes(view.content))["offerName"]) if view else None


def test_an_offer_is_told_as_it_was_from_the_instant_of_a_change_on(service: Service, changed: list[datetime]) -> None:
    states = [None, ("active", 1, "one"), ("active", 2, "two"), ("deleted", 3, "two"), ("active", 4, "three")]
    for moment, before, after in zip(changed, states[:-1], states[1:], strict=True):
        assert [told(service, AsOf(time=at)) for at in (moment - INSTANT, moment)] == [before, after]


def test_a_time_or_a_position_beyond_the_newest_commit_means_that_one(
    service: Service, changed: list[datetime]
) -> None:
    newest = ("active", 4, "three")
    assert told(service, AsOf(time=changed[-1] + timedelta(days=9))) == newest
    assert told(service, AsOf(position=10**12)) == newest
    document = offer_page(service.ledger, OfferFilter(), AsOf(position=10**12), None, 10)
    assert (document["position"], document["asOf"]) == (history(service)[-1].position, utc_text(changed[-1]))


def test_before_the_first_event_there_is_nothing(service: Service, changed: list[datetime]) -> None:
    for asked in (AsOf(position=0), AsOf(time=changed[0] - timedelta(days=400))):
        assert told(service, asked) is None
        document = offer_page(service.ledger, OfferFilter(), asked, None, 10)
        assert (document["items"], document["position"], document["asOf"]) == ([], 0, None)
