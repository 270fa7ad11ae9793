"""The inventory as of any position or time equals a replay of the events up to it, and never changes."""

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from api.http.as_of import AsOf
from api.http.problems import Problem
from api.offers.queries import count_document, find_offer, offer_page
from api.service import Service
from domain.access.partner import SetPartner
from domain.redemption.activation import Activate
from domain.redemption.activation_group import PendingActivation
from domain.store.commit import current_head
from domain.values import Channel, Operation, Status, recorded_text, to_microseconds, utc_text
from projections.maintenance.verification import verify
from projections.offers import inventory_as_of
from projections.offers.inventory import OfferFilter
from projections.offers.inventory_as_of import LedgerState
from tests.support.engine import examples, only_sqlite
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Clock
from tests.support.histories.replayed_offers import replayed_offers
from tests.support.histories.traffic import MERCHANTS, Step, activating, empty_service, history, putting, sending, steps
from tests.support.query_plans import ExplainedCursor

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


def matching(offers: list[dict[str, Any]], offer_filter: OfferFilter) -> list[dict[str, Any]]:
    def matches(offer: dict[str, Any]) -> bool:
        content = offer["content"]
        names = [offer["externalId"], offer["merchantId"] or ""]
        names += [content.get(name, "") for name in ("name", "headline", "offerName")]
        is_live = offer["status"] == "active" and offer["hold"] is None
        redeemable = is_live or offer["honouredUntil"] is not None
        return (
            offer_filter.partner in {None, offer["partner"]}
            and offer_filter.channel in {None, offer["channel"]}
            and offer_filter.merchant_id in {None, offer["merchantId"]}
            and offer_filter.external_id in {None, offer["externalId"]}
            and offer_filter.status in {None, offer["status"]}
            and offer_filter.redeemable in {None, redeemable}
            and (offer_filter.q is None or any(offer_filter.q.casefold() in name.casefold() for name in names))
        )

    return [offer for offer in offers if matches(offer)]


# The state that the service returns


def shown(
    service: Service, as_of: AsOf, offer_filter: OfferFilter = EVERYTHING, limit: int = 100
) -> list[dict[str, Any]]:
    """Returns the offers of all pages."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        document = offer_page(service.ledger, offer_filter, as_of, cursor, limit)
        items += map(as_json, document["items"])
        cursor = document["nextCursor"]
        if cursor is None:
            return items


def as_json(view: Any) -> dict[str, Any]:
    members = {name: getattr(view, name) for name in view.__struct_fields__}
    names = {name: "".join(p.capitalize() if i else p for i, p in enumerate(name.split("_"))) for name in members}
    offer = {names[name]: str(value) if isinstance(value, UUID) else value for name, value in members.items()}
    return offer | {"content": json.loads(bytes(view.content)), "hold": msgspec.to_builtins(view.hold)}


@settings(max_examples=examples(30))
@given(st.lists(steps, min_size=3, max_size=14))
def test_state_as_of_any_position_equals_a_replay(steps_taken: list[Step]) -> None:
    with empty_service() as (service, clock):
        for step in steps_taken:
            step(service, clock)
        events = history(service)
        for position in range(events[-1].position + 1):
            time = next((e.recorded_at for e in reversed(events) if e.position <= position), 0)
            expected = replayed_offers(events, position, datetime.fromisoformat(recorded_text(time)))
            for offer_filter in FILTERS:
                assert shown(service, AsOf(position=position), offer_filter) == matching(expected, offer_filter), (
                    offer_filter
                )
            for offer_filter in COUNTED:
                document = count_document(
                    service.ledger, offer_filter.partner, offer_filter.channel, AsOf(position=position)
                )
                statuses = Counter(offer["status"] for offer in matching(expected, offer_filter))
                assert document["counts"] == {status: statuses[status] for status in document["counts"]}, offer_filter
        assert verify(service.ledger) == []


@settings(max_examples=examples(20))
@given(st.lists(steps, min_size=3, max_size=10))
def test_answer_pinned_to_a_position_never_changes(steps_taken: list[Step]) -> None:
    with empty_service() as (service, clock):
        pinned: list[tuple[AsOf, list[dict[str, Any]]]] = []
        for step in steps_taken:
            step(service, clock)
            now = shown(service, AsOf())
            as_of = AsOf(position=offer_page(service.ledger, OfferFilter(), AsOf(), None, 1)["position"])
            past = shown(service, as_of)
            in_time: dict[str, None] = {"honouredUntil": None, "hold": None}
            assert [offer | in_time for offer in past] == [offer | in_time for offer in now]
            pinned.append((as_of, past))
            clock.move(seconds=1)
        for as_of, past in pinned:
            assert [shown(service, as_of, limit=limit) for limit in (1, 2, 100)] == [past] * 3


@settings(max_examples=examples(20))
@given(st.lists(steps, min_size=3, max_size=10))
def test_state_as_of_time_is_that_of_its_last_position(steps_taken: list[Step]) -> None:
    with empty_service() as (service, clock):
        for step in steps_taken:
            clock.move(seconds=1)
            step(service, clock)
        events = history(service)
        for recorded in events:
            recorded_at = datetime.fromisoformat(recorded_text(recorded.recorded_at))
            for time in (recorded_at - INSTANT, recorded_at, recorded_at + timedelta(milliseconds=500)):
                last = max((e.position for e in events if e.recorded_at <= to_microseconds(time)), default=0)
                assert shown(service, AsOf(time=time)) == replayed_offers(events, last, time)


# Windows


def test_past_offer_is_honoured_until_the_last_known_end(service: Service, clock: Clock) -> None:
    putting(MERCHANTS[0], "one")(service, clock)
    positions = [history(service)[-1].position]
    ends: list[str | None] = [None]
    for customer in ("C-1", "C-2", "C-3"):
        clock.move(days=1)
        activating(MERCHANTS[0], customer)(service, clock)
        positions.append(history(service)[-1].position)
        ends.append(utc_text(clock.now + timedelta(days=45)))
    found = [shown(service, AsOf(position=position))[0]["honouredUntil"] for position in positions]
    assert found == ends


def test_past_offer_counts_a_window_that_starts_five_minutes_ahead(service: Service, clock: Clock) -> None:
    """It is the longest window that the newest commit can have recorded."""
    putting(MERCHANTS[0], "one")(service, clock)
    clock.move(seconds=1)
    start = clock.now + timedelta(minutes=5)
    service.activations.execute(
        [PendingActivation(OPERATOR, Activate("C-1", MERCHANTS[0].offer_uid, start), MERCHANTS[1].offer_uid)]
    )
    (offer,) = shown(service, AsOf(position=history(service)[-1].position))
    assert offer["honouredUntil"] == utc_text(start + timedelta(days=45))


def test_deleted_offer_is_redeemable_until_its_last_window_ends(service: Service, clock: Clock) -> None:
    putting(MERCHANTS[0], "one")(service, clock)
    activating(MERCHANTS[0], "C-1")(service, clock)
    end = clock.now + timedelta(days=45)
    clock.move(days=1)
    putting(MERCHANTS[0], None)(service, clock)
    clock.move(days=100)
    for time, is_redeemable in ((end - INSTANT, True), (end, False)):
        found = [len(shown(service, AsOf(time=time), OfferFilter(redeemable=value))) for value in (True, False)]
        assert found == [is_redeemable, not is_redeemable]


def test_state_evaluated_before_its_newest_commit_has_all_windows(service: Service, clock: Clock) -> None:
    putting(MERCHANTS[0], "one")(service, clock)
    before = clock.now
    clock.move(days=90)
    activating(MERCHANTS[0], "C-1")(service, clock)
    with service.ledger.recorder.read() as tx:
        (offer,) = inventory_as_of.page(tx, EVERYTHING, LedgerState(current_head(tx), before), 0, 10).items
    assert offer.honoured_until == utc_text(clock.now + timedelta(days=45))


# Rare statuses, and few offers

FEW = [
    *(OfferFilter(partner=partner) for partner in (PARTNER, "harbor")),
    OfferFilter(merchant_id="M-1"),
    OfferFilter(external_id="TP-2"),
]


def test_past_filters_by_ids_and_status_apply_together(service: Service, clock: Clock) -> None:
    for key, name in zip(
        [*MERCHANTS, *MERCHANTS[:2], MERCHANTS[0]], ["one", "two", "three", None, None, "four"], strict=True
    ):
        putting(key, name)(service, clock)
    activating(MERCHANTS[0], "C-1")(service, clock)
    putting(MERCHANTS[0], None)(service, clock)
    for ids in (["TP-1", "TP-2", "TP-3"], ["TP-2", "TP-3"], ["TP-1", "TP-3"]):
        sending(Operation.SYNCHRONIZE, ids, "one")(service, clock)
    events = history(service)
    for position in range(events[-1].position + 1):
        expected = replayed_offers(events, position, clock.now)
        for offer_filter in (
            replace(ids, status=status, redeemable=redeemable)
            for ids in (EVERYTHING, *FEW)
            for status in (None, Status.PAUSED, Status.DELETED)
            for redeemable in (None, True, False)
        ):
            assert shown(service, AsOf(position=position), offer_filter) == matching(expected, offer_filter)


def query_plan(service: Service, offer_filter: OfferFilter) -> list[str]:
    with service.ledger.recorder.read() as tx:
        explained: Any = ExplainedCursor(tx, "offer_periods p")
        inventory_as_of.page(explained, offer_filter, LedgerState(current_head(tx), service.ledger.now(tx)), 0, 10)
    return list(explained.steps)


@only_sqlite
@pytest.mark.parametrize("few", FEW, ids=str)
def test_few_past_offers_read_their_own_rare_periods(service: Service, few: OfferFilter) -> None:
    steps = query_plan(service, replace(few, status=Status.PAUSED))
    assert "SEARCH e USING COVERING INDEX offer_periods_rare (status=? AND offer_id=?)" in steps


@only_sqlite
@pytest.mark.parametrize(
    ("offer_filter", "step"),
    [
        (EVERYTHING, "SEARCH i USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        (OfferFilter(status=Status.ACTIVE), "SEARCH i USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        (OfferFilter(status=Status.DELETED), "SEARCH p USING INDEX offer_periods_rare (status=?"),
        (OfferFilter(status=Status.DELETED, partner=PARTNER), "SEARCH i USING INDEX inventory_by_partner (partner=?"),
    ],
)
def test_past_list_starts_with_the_smallest_index(service: Service, offer_filter: OfferFilter, step: str) -> None:
    assert next(found for found in query_plan(service, offer_filter) if "SEARCH" in found).startswith(step)


# One offer


@pytest.fixture
def changed(service: Service, clock: Clock) -> list[datetime]:
    """Creates, renames, deletes and restores an offer, a day apart. Returns the recorded times."""
    service.ledger.handle(SetPartner(PARTNER, daily_quota=0), OPERATOR)
    times = []
    for name in ("one", "two", None, "three"):
        clock.move(days=1)
        putting(MERCHANTS[0], name)(service, clock)
        times.append(clock.now)
    return times


def offer_summary(service: Service, as_of: AsOf) -> tuple[str, int, str] | None:
    with service.ledger.recorder.read() as tx:
        view = find_offer(service.ledger, tx, MERCHANTS[0].offer_uid, as_of)
    return (view.status, view.version, json.loads(bytes(view.content))["offerName"]) if view else None


def test_past_offer_shows_a_change_from_its_recorded_time(service: Service, changed: list[datetime]) -> None:
    states = [None, ("active", 1, "one"), ("active", 2, "two"), ("deleted", 3, "two"), ("active", 4, "three")]
    for time, before, after in zip(changed, states[:-1], states[1:], strict=True):
        assert [offer_summary(service, AsOf(time=at)) for at in (time - INSTANT, time)] == [before, after]


def test_time_up_to_five_minutes_ahead_means_the_newest_commit(
    service: Service, changed: list[datetime], clock: Clock
) -> None:
    newest, five_minutes = ("active", 4, "three"), timedelta(minutes=5)
    for now in (changed[-1] - timedelta(days=1), changed[-1], changed[-1] + timedelta(days=9)):
        clock.now = now
        ahead = max(now, changed[-1]) + five_minutes
        assert offer_summary(service, AsOf(time=ahead)) == newest
        document = offer_page(service.ledger, OfferFilter(), AsOf(time=ahead), None, 10)
        assert (document["position"], document["asOf"]) == (history(service)[-1].position, utc_text(changed[-1]))
        with pytest.raises(Problem):
            offer_summary(service, AsOf(time=ahead + INSTANT))


def test_position_after_the_newest_one_is_refused(service: Service, changed: list[datetime]) -> None:
    newest = history(service)[-1].position
    assert changed
    assert offer_summary(service, AsOf(position=newest)) == ("active", 4, "three")
    with pytest.raises(Problem):
        offer_summary(service, AsOf(position=newest + 1))


def test_ledger_is_empty_before_its_first_event(service: Service, changed: list[datetime]) -> None:
    for as_of in (AsOf(position=0), AsOf(time=changed[0] - timedelta(days=400))):
        assert offer_summary(service, as_of) is None
        document = offer_page(service.ledger, OfferFilter(), as_of, None, 10)
        assert (document["items"], document["position"], document["asOf"]) == ([], 0, None)
