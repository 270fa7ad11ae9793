"""The list of all events has each event of the ledger once, whatever is asked and however it is read."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, get_args
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.audit.event_reader import read_events
from api.audit.event_routes import writer
from api.audit.event_schemas import EventItem as EventItemModel
from api.audit.event_schemas import EventType
from api.http.row_formats import CLOUD_EVENTS, CSV, LINES, as_lines, columns
from api.service import Service
from domain.access.token import CreateToken, RevokeToken
from domain.events import EVENT_TYPES, OfferEvent
from domain.ledgers.ledger import OfferLedger
from domain.store.cursor import Cursor
from domain.store.records.events import SMALL_STATE_BYTES
from domain.values import Operation, Role, recorded_text, redemption_uid
from projections.audit import diff, event_list, offer_history
from projections.audit.event_item import EventView
from projections.audit.event_list import EventFilter
from tests.support.engine import examples, only_postgres, only_sqlite
from tests.support.examples import PARTNER, item
from tests.support.harness import OPERATOR, Clock, run_batch
from tests.support.histories.traffic import (
    KEYS,
    MERCHANTS,
    Step,
    a_service,
    activating,
    buying,
    putting,
    setting,
    steps,
    taking_back,
)

INSTANT = timedelta(microseconds=1)
ALL = EventFilter()


def everything(ledger: OfferLedger, wanted: EventFilter = ALL, after: int = 0) -> list[EventView]:
    return [item for items in read_events(ledger, wanted, after) for item in items]


def in_pages(ledger: OfferLedger, wanted: EventFilter, limit: int) -> list[EventView]:
    items: list[EventView] = []
    after: int | None = 0
    while after is not None:
        with ledger.recorder.read() as tx:
            page = event_list.page(tx, wanted, after, limit)
        assert len(page.items) <= limit
        items += page.items
        after = page.next_after
    return items


# What should be in it, by the plainest means


class Raw(NamedTuple):
    position: int
    recorded_at: int
    partner: str | None
    actor: str
    run_id: str | None
    trace_id: str | None
    topic: str
    version: int
    stream_uid: UUID
    state: dict[str, Any]


def raw(service: Service) -> list[Raw]:
    with service.ledger.recorder.read() as tx:
        rows = tx.execute(
            "SELECT c.first_position + e.ordinal, c.recorded_at, c.partner, c.actor, c.run_id, c.trace_id, e.topic,"
            " e.version, s.stream_uid, e.state FROM commits c JOIN events e USING (commit_id) JOIN streams s USING (stream_id)"
        ).fetchall()
    told = [Raw(*row[:8], UUID(bytes=row[8]), json.loads(row[9])) for row in rows]  # type: ignore[call-arg]
    return sorted(told, key=lambda one: one.position)


def offer_of(one: Raw, all_of_them: Sequence[Raw]) -> UUID | None:
    if "offerUid" in one.state:
        return UUID(one.state["offerUid"])
    if one.topic == "RedemptionReversed":
        redeemed = (told for told in all_of_them if told.topic == "OfferRedeemed" and told.stream_uid == one.stream_uid)
        return offer_of(next(redeemed), ())
    return one.stream_uid if one.topic in {event.TOPIC for event in get_args(OfferEvent)} else None


def matches(one: Raw, wanted: EventFilter, offer: UUID | None) -> bool:
    return (
        wanted.partner in {None, one.partner}
        and wanted.offer_uid in {None, offer}
        and wanted.type in {None, one.topic}
        and (wanted.run_id is None or str(wanted.run_id) == one.run_id)
        and wanted.trace_id in {None, one.trace_id}
        and wanted.actor in {None, one.actor}
        and (wanted.since is None or recorded(one) >= wanted.since)
        and (wanted.before is None or recorded(one) < wanted.before)
    )


def recorded(one: Raw) -> datetime:
    return datetime.fromisoformat(recorded_text(one.recorded_at))


def filters(told: Sequence[Raw], data: st.DataObject) -> Iterator[EventFilter]:
    """Each thing alone, and all kinds of them together."""
    values: dict[str, list[Any]] = {
        "partner": [PARTNER, "harbor", "nobody"],
        "offer_uid": [key.offer_uid for key in KEYS],
        "type": [event.TOPIC for event in EVENT_TYPES],
        "run_id": [UUID(one.run_id) for one in told if one.run_id] or [UUID(int=0)],
        "trace_id": [one.trace_id for one in told if one.trace_id] or ["none"],
        "actor": sorted({one.actor for one in told}),
        "since": [recorded(one) + by for one in told for by in (-INSTANT, 0 * INSTANT, INSTANT)],
        "before": [recorded(one) + by for one in told for by in (-INSTANT, 0 * INSTANT, INSTANT)],
    }
    yield EventFilter()
    for name, some in values.items():
        yield EventFilter(**{name: data.draw(st.sampled_from(some), name)})
    for _ in range(6):
        names = data.draw(st.sets(st.sampled_from(sorted(values)), min_size=2, max_size=4))
        yield EventFilter(**{name: data.draw(st.sampled_from(values[name]), name) for name in sorted(names)})


@settings(max_examples=examples(40))
@given(st.lists(steps, min_size=3, max_size=14), st.data())
def test_every_filter_gives_the_events_that_match_in_the_order_of_the_ledger(
    done: list[Step], data: st.DataObject
) -> None:
    with a_service() as (service, clock):
        for step in done:
            step(service, clock)
        told = raw(service)
        for wanted in filters(told, data):
            expected = [one.position for one in told if matches(one, wanted, offer_of(one, told))]
            for near in (0, event_list.NEAR):
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(event_list, "NEAR", near)
                    found = everything(service.ledger, wanted)
                    assert [item.position for item in found] == expected, wanted
                    for limit in (1, 2, 100):
                        assert in_pages(service.ledger, wanted, limit) == found


@settings(max_examples=examples(30))
@given(st.lists(steps, min_size=3, max_size=14), st.data())
def test_pages_streams_and_histories_tell_the_same_of_each_event(done: list[Step], data: st.DataObject) -> None:
    with a_service() as (service, clock):
        for step in done:
            step(service, clock)
        told = everything(service.ledger)
        after = data.draw(st.integers(0, len(told)), "after")
        resumed = [as_json(item) for item in told[after:]]
        assert list(as_sent(service, LINES, after)) == resumed
        assert [event["data"] for event in as_sent(service, CLOUD_EVENTS, after)] == resumed
        assert list(as_sent(service, CSV, after)) == [as_cells(item) for item in resumed]
        for item in told:
            EventItemModel.model_validate_json(json.dumps(as_json(item)))
        with service.ledger.recorder.read() as tx:
            for key in KEYS:
                items = offer_history.page(tx, key.offer_uid, 0, 1000).items
                assert items == [i for i in told if i.offer_uid == key.offer_uid and i.type in OFFER_EVENTS]


OFFER_EVENTS = {event.TOPIC for event in get_args(OfferEvent)}


def as_json(item: EventView) -> dict[str, Any]:
    (line,) = as_lines([[item]])
    told: dict[str, Any] = json.loads(line)
    return told


def as_cells(item: dict[str, Any]) -> dict[str, str]:
    cells = {name: "" if value is None else str(value) for name, value in item.items()}
    return cells | {"changes": item["changes"]}


def as_sent(service: Service, form: str, after: int) -> Iterator[Any]:
    """What a reader of the stream makes of it."""
    text = b"".join(writer(service.ledger, form)(read_events(service.ledger, ALL, after))).decode()
    if form == CSV:
        for row in csv.DictReader(io.StringIO(text, newline="")):
            yield row | {"changes": json.loads(row["changes"])}
    else:
        yield from map(json.loads, text.splitlines())


# What is told of each


def test_the_types_that_can_be_asked_for_are_those_that_there_are() -> None:
    assert list(get_args(EventType)) == [event.TOPIC for event in EVENT_TYPES]


@pytest.fixture
def offered(service: Service, clock: Clock) -> Service:
    setting(daily_quota=0)(service, clock)
    putting(MERCHANTS[0], "one")(service, clock)
    clock.move(days=1)
    return service


def last(service: Service) -> EventView:
    return everything(service.ledger)[-1]


def fields(item: EventView) -> dict[str, Any]:
    assert all(change["before"] is None for change in item.changes)
    return {change["field"]: change["after"] for change in item.changes}


def test_a_change_of_settings_tells_what_they_were(service: Service, clock: Clock) -> None:
    setting(rps=3)(service, clock)
    assert last(service).changes == [{"field": "/rps", "before": 10, "after": 3}]
    setting(rps=4)(service, clock)
    assert last(service).changes == [{"field": "/rps", "before": 3, "after": 4}]


def test_a_large_content_is_told_like_a_small_one(offered: Service, clock: Clock) -> None:
    large = "x" * SMALL_STATE_BYTES
    for name in (large, "three", large):
        putting(MERCHANTS[0], name)(offered, clock)
    told = [item.changes[-1] for item in everything(offered.ledger)[-3:]]
    assert [(change["before"], change["after"]) for change in told] == [
        ("one", large),
        (large, "three"),
        ("three", large),
    ]


def test_an_activation_tells_its_terms(offered: Service, clock: Clock) -> None:
    activating(MERCHANTS[0], "C-1")(offered, clock)
    told = last(offered)
    assert (told.type, told.offer_uid, told.partner) == ("OfferActivated", MERCHANTS[0].offer_uid, PARTNER)
    assert {"/customerId": "C-1", "/offerVersion": 1, "/redemptionWindowDays": 45}.items() <= fields(told).items()
    assert fields(told)["/activatedAt"] == "2026-11-23T12:30:00.000000Z"
    assert str(UUID(fields(told)["/activationId"])) == fields(told)["/activationId"]


def test_what_is_taken_back_is_told_of_the_offer_of_its_purchase(offered: Service, clock: Clock) -> None:
    activating(MERCHANTS[0], "C-1")(offered, clock)
    clock.move(days=1)
    buying("T-1", MERCHANTS[0], "C-1")(offered, clock)
    assert fields(last(offered))["/redemptionId"] == str(redemption_uid("T-1"))
    taking_back("T-1", "5")(offered, clock)
    told = last(offered)
    assert (told.type, told.offer_uid) == ("RedemptionReversed", MERCHANTS[0].offer_uid)
    assert fields(told) == {"/redemptionId": str(redemption_uid("T-1")), "/reversalId": "5", "/amount": "5"}


def test_each_event_of_a_purchase_is_of_the_offer_that_it_was_tried_on(offered: Service, clock: Clock) -> None:
    other = MERCHANTS[1]
    for step in (putting(other, "one"), activating(MERCHANTS[0], "C-1")):
        step(offered, clock)
        clock.move(days=1)
    for step in (buying("T-1", other, "C-1"), buying("T-1", MERCHANTS[0], "C-1"), taking_back("T-1", "5")):
        step(offered, clock)
    refused, redeemed, reversed_ = everything(offered.ledger)[-3:]
    offers = [event.offer_uid for event in (refused, redeemed, reversed_)]
    assert offers == [other.offer_uid, MERCHANTS[0].offer_uid, MERCHANTS[0].offer_uid]
    for near in (0, event_list.NEAR):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(event_list, "NEAR", near)
            of_other = everything(offered.ledger, EventFilter(offer_uid=other.offer_uid))
        assert [event.type for event in of_other] == ["OfferCreated", "RedemptionRefused"]


def test_a_token_is_told_without_its_secret(service: Service, clock: Clock) -> None:
    service.ledger.handle(CreateToken("books", Role.AUDITOR, None, "5ec3e7", 0, None), OPERATOR)
    assert fields(last(service)) == {"/name": "books", "/role": "auditor", "/requestsPerMinute": 0}
    assert "5ec3e7" not in json.dumps([as_json(item) for item in everything(service.ledger)])
    clock.move(days=1)
    service.ledger.handle(RevokeToken("books"), OPERATOR)
    assert fields(last(service)) == {"/revokedAt": "2026-11-23T12:30:00.000000Z"}


def test_a_stream_ends_at_what_was_the_newest_event_when_it_began(offered: Service, clock: Clock) -> None:
    some = read_events(offered.ledger, ALL, 0)
    newest = offered.ledger.recorder.max_notification_id()
    told = list(next(some))
    putting(MERCHANTS[0], "two")(offered, clock)
    assert [item.position for items in (told, *some) for item in items][-1] == newest


def test_the_columns_are_the_members_of_an_item() -> None:
    assert tuple(EventItemModel.model_fields) == tuple(columns(EventView))


# By which way


class Explained:
    """A cursor that tells how SQLite goes about the query of the list."""

    def __init__(self, tx: Cursor) -> None:
        self._tx, self.steps = tx, list[str]()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Cursor:
        if "status_before" in sql:
            self.steps = [row[3] for row in self._tx.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()]
        return self._tx.execute(sql, parameters)


@only_sqlite
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (EventFilter(), "autoindex_commits_1"),
        (EventFilter(partner="p"), "commits_by_partner"),
        (EventFilter(actor="a"), "commits_by_actor"),
        (EventFilter(partner="p", actor="a"), "commits_by_partner"),
        (EventFilter(run_id=UUID(int=1), partner="p"), "commits_by_run"),
        (EventFilter(trace_id="t", partner="p"), "commits_by_trace"),
        (EventFilter(type="TokenCreated", actor="a"), "event_types_by_position"),
        (EventFilter(type="TokenCreated", partner="p"), "event_types_by_partner"),
    ],
)
def test_each_filter_leads_to_its_events_in_their_order(ledger: OfferLedger, wanted: EventFilter, index: str) -> None:
    with ledger.recorder.read() as tx:
        explained: Any = Explained(tx)
        event_list.page(explained, wanted, 5, 10)
    _, first, *others = explained.steps
    assert index in first
    # Sorted is only the page itself.
    assert [step for step in others if step.startswith("USE TEMP")] == ["USE TEMP B-TREE FOR ORDER BY"]


class Measured:
    """A cursor that tells how many rows PostgreSQL has come upon at most, at one step of a query about events."""

    def __init__(self, tx: Cursor) -> None:
        self._tx, self.dialect, self.most = tx, tx.dialect, 0.0

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Cursor:
        if " JOIN events " in sql:
            (told,) = self._tx.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters).fetchone()
            self.most = max(self.most, *rows_in(told[0]["Plan"]))
        return self._tx.execute(sql, parameters)


def rows_in(plan: dict[str, Any]) -> Iterator[float]:
    yield plan["Actual Rows"] * plan["Actual Loops"]
    for step in plan.get("Plans", ()):
        yield from rows_in(step)


Look = Callable[[OfferLedger, Cursor, int], object]
LARGE = 1_000


@only_postgres
@pytest.mark.parametrize(
    "look",
    [
        lambda _, tx, after: event_list.page(tx, EventFilter(), after, 10),
        lambda _, tx, after: event_list.page(tx, EventFilter(partner=PARTNER), after, 10),
        lambda _, tx, after: event_list.page(tx, EventFilter(type="OfferCreated", partner=PARTNER), after, 10),
        lambda ledger, tx, after: ledger.recorder.select_entries(tx, after, 10),
        lambda _, tx, after: diff.page(tx, diff.PositionRange(0, LARGE), None, after, 10),
    ],
    ids=["all", "a partner's", "of a type", "entries", "a difference"],
)
def test_of_a_large_commit_no_more_is_looked_at_than_is_told(
    ledger: OfferLedger, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff, "EVENTS_PER_LOOK", 20)
    run_batch(ledger, Operation.INSERT, [item(f"TP-{number}") for number in range(LARGE)])
    with ledger.recorder.read() as tx:
        measured: Any = Measured(tx)
        look(ledger, measured, LARGE // 2)
    assert 10 <= measured.most < LARGE // 10
