"""Tests of the event list: every filter, page and export format returns each matching event exactly once."""

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
from api.audit.event_schemas import EventItem as EventItemModel
from api.audit.event_schemas import EventType, SourceName
from api.audit.event_streams import row_format
from api.audit.row_formats import CLOUD_EVENTS, CSV, LINES, as_lines, column_names
from api.service import Service
from domain.access.token import CreateToken, RevokeToken
from domain.events import EVENT_TYPES, OfferEvent
from domain.ledgers.ledger import OfferLedger
from domain.store.cursor import Cursor
from domain.store.records.events import SMALL_STATE_BYTES
from domain.store.stored_events import select_entries
from domain.values import EventOrder, Operation, Role, Source, recorded_text, redemption_uid
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
    activating,
    buying,
    empty_service,
    putting,
    reversing,
    setting,
    steps,
)
from tests.support.query_plans import ExplainedCursor

INSTANT = timedelta(microseconds=1)
ALL = EventFilter()


def everything(
    ledger: OfferLedger, event_filter: EventFilter = ALL, after: int = 0, order: EventOrder = EventOrder.ASC
) -> list[EventView]:
    return [item for items in read_events(ledger, event_filter, after, order=order) for item in items]


def in_pages(
    ledger: OfferLedger, event_filter: EventFilter, limit: int, after: int = 0, order: EventOrder = EventOrder.ASC
) -> list[EventView]:
    items: list[EventView] = []
    place: int | None = 0
    while place is not None:
        rest = event_list.rest_of(order, place, event_list.Span(after, None))
        with ledger.recorder.read() as tx:
            page = event_list.page(tx, event_filter, rest.after, limit, rest.until, order)
        assert len(page.items) <= limit
        items += page.items
        place = page.next_after
    return items


# The expected events, from a plain query


class Raw(NamedTuple):
    position: int
    recorded_at: int
    partner: str | None
    actor: str
    source: str
    run_id: str | None
    trace_id: str | None
    topic: str
    version: int
    stream_uid: UUID
    state: dict[str, Any]


def raw(service: Service) -> list[Raw]:
    with service.ledger.recorder.read() as tx:
        rows = tx.execute(
            "SELECT c.first_position + e.ordinal, c.recorded_at, c.partner, c.actor, c.source, c.run_id, c.trace_id,"
            " e.topic, e.version, s.stream_uid, e.state FROM commits c JOIN events e USING (commit_id)"
            " JOIN streams s USING (stream_id)"
        ).fetchall()
    events = [Raw(*row[:9], UUID(bytes=row[9]), json.loads(row[10])) for row in rows]  # type: ignore[call-arg]
    return sorted(events, key=lambda event: event.position)


def offer_of(event: Raw, events: Sequence[Raw]) -> UUID | None:
    if "offerUid" in event.state:
        return UUID(event.state["offerUid"])
    if event.topic == "RedemptionReversed":
        redeemed = (e for e in events if e.topic == "OfferRedeemed" and e.stream_uid == event.stream_uid)
        return offer_of(next(redeemed), ())
    return event.stream_uid if event.topic in {kind.TOPIC for kind in get_args(OfferEvent)} else None


def matches(event: Raw, event_filter: EventFilter, offer: UUID | None) -> bool:
    return (
        event_filter.partner in {None, event.partner}
        and event_filter.offer_uid in {None, offer}
        and event_filter.type in {None, event.topic}
        and (event_filter.run_id is None or str(event_filter.run_id) == event.run_id)
        and event_filter.trace_id in {None, event.trace_id}
        and event_filter.actor in {None, event.actor}
        and event_filter.source in {None, event.source}
        and (event_filter.since is None or recorded_time(event) >= event_filter.since)
        and (event_filter.before is None or recorded_time(event) < event_filter.before)
    )


def recorded_time(event: Raw) -> datetime:
    return datetime.fromisoformat(recorded_text(event.recorded_at))


def filters(events: Sequence[Raw], data: st.DataObject) -> Iterator[EventFilter]:
    """Yields filters with one member each, and filters with several."""
    values: dict[str, list[Any]] = {
        "partner": [PARTNER, "harbor", "nobody"],
        "offer_uid": [key.offer_uid for key in KEYS],
        "type": [event.TOPIC for event in EVENT_TYPES],
        "run_id": [UUID(event.run_id) for event in events if event.run_id] or [UUID(int=0)],
        "trace_id": [event.trace_id for event in events if event.trace_id] or ["none"],
        "actor": sorted({event.actor for event in events}),
        "source": list(Source),
        "since": [recorded_time(event) + by for event in events for by in (-INSTANT, 0 * INSTANT, INSTANT)],
        "before": [recorded_time(event) + by for event in events for by in (-INSTANT, 0 * INSTANT, INSTANT)],
    }
    yield EventFilter()
    for name, choices in values.items():
        yield EventFilter(**{name: data.draw(st.sampled_from(choices), name)})
    for _ in range(6):
        names = data.draw(st.sets(st.sampled_from(sorted(values)), min_size=2, max_size=4))
        yield EventFilter(**{name: data.draw(st.sampled_from(values[name]), name) for name in sorted(names)})


@settings(max_examples=examples(40))
@given(st.lists(steps, min_size=3, max_size=14), st.data())
def test_filters_return_the_matching_events_in_ledger_order(history: list[Step], data: st.DataObject) -> None:
    with empty_service() as (service, clock):
        for step in history:
            step(service, clock)
        events = raw(service)
        for event_filter in filters(events, data):
            expected = [event.position for event in events if matches(event, event_filter, offer_of(event, events))]
            for scan_limit in (0, event_list.SCAN_LIMIT):
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(event_list, "SCAN_LIMIT", scan_limit)
                    listed = everything(service.ledger, event_filter)
                    assert [item.position for item in listed] == expected, event_filter
                    for limit in (1, 2, 100):
                        assert in_pages(service.ledger, event_filter, limit) == listed


@settings(max_examples=examples(30))
@given(st.lists(steps, min_size=3, max_size=14), st.data())
def test_newest_first_is_the_reverse_of_oldest_first(history: list[Step], data: st.DataObject) -> None:
    with empty_service() as (service, clock):
        for step in history:
            step(service, clock)
        events = raw(service)
        for event_filter in filters(events, data):
            after = data.draw(st.integers(0, len(events)), "after")
            oldest_first = everything(service.ledger, event_filter, after)
            for scan_limit in (0, event_list.SCAN_LIMIT):
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(event_list, "SCAN_LIMIT", scan_limit)
                    newest_first = everything(service.ledger, event_filter, after, EventOrder.DESC)
                    assert newest_first == oldest_first[::-1], event_filter
                    for limit in (1, 2, 100):
                        assert in_pages(service.ledger, event_filter, limit, after, EventOrder.DESC) == newest_first


@settings(max_examples=examples(30))
@given(st.lists(steps, min_size=3, max_size=14), st.data())
def test_pages_streams_and_histories_agree_on_each_event(history: list[Step], data: st.DataObject) -> None:
    with empty_service() as (service, clock):
        for step in history:
            step(service, clock)
        events = everything(service.ledger)
        after = data.draw(st.integers(0, len(events)), "after")
        resumed = [as_json(item) for item in events[after:]]
        assert list(as_sent(service, LINES, after)) == resumed
        assert [event["data"] for event in as_sent(service, CLOUD_EVENTS, after)] == resumed
        assert list(as_sent(service, CSV, after)) == [as_cells(item) for item in resumed]
        for item in events:
            EventItemModel.model_validate_json(json.dumps(as_json(item)))
        with service.ledger.recorder.read() as tx:
            for key in KEYS:
                items = offer_history.page(tx, key.offer_uid, 0, 1000).items
                assert items == [i for i in events if i.offer_uid == key.offer_uid and i.type in OFFER_EVENTS]


OFFER_EVENTS = {event.TOPIC for event in get_args(OfferEvent)}


def as_json(item: EventView) -> dict[str, Any]:
    (line,) = as_lines([[item]])
    members: dict[str, Any] = json.loads(line)
    return members


def as_cells(item: dict[str, Any]) -> dict[str, str]:
    cells = {name: "" if value is None else str(value) for name, value in item.items()}
    return cells | {"changes": item["changes"]}


def as_sent(service: Service, form: str, after: int) -> Iterator[Any]:
    """Yields the rows that a client parses from the streamed answer."""
    file_format = row_format(service.ledger, form)
    text = (file_format.header + b"".join(map(file_format.encode, read_events(service.ledger, ALL, after)))).decode()
    if form == CSV:
        for row in csv.DictReader(io.StringIO(text, newline="")):
            yield row | {"changes": json.loads(row["changes"])}
    else:
        yield from map(json.loads, text.splitlines())


# The content of each event


def test_event_type_parameter_lists_every_event_type() -> None:
    assert list(get_args(EventType)) == [event.TOPIC for event in EVENT_TYPES]


def test_source_parameter_lists_every_source() -> None:
    assert get_args(SourceName) == tuple(Source)


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


def test_settings_change_shows_the_previous_values(service: Service, clock: Clock) -> None:
    setting(rps=3)(service, clock)
    assert last(service).changes == [{"field": "/rps", "before": 10, "after": 3}]
    setting(rps=4)(service, clock)
    assert last(service).changes == [{"field": "/rps", "before": 3, "after": 4}]


def test_large_contents_show_changes_like_small_ones(offered: Service, clock: Clock) -> None:
    large = "x" * SMALL_STATE_BYTES
    for name in (large, "three", large):
        putting(MERCHANTS[0], name)(offered, clock)
    changes = [item.changes[-1] for item in everything(offered.ledger)[-3:]]
    assert [(change["before"], change["after"]) for change in changes] == [
        ("one", large),
        (large, "three"),
        ("three", large),
    ]


def test_activation_event_shows_its_terms(offered: Service, clock: Clock) -> None:
    activating(MERCHANTS[0], "C-1")(offered, clock)
    event = last(offered)
    assert (event.type, event.offer_uid, event.partner) == ("OfferActivated", MERCHANTS[0].offer_uid, PARTNER)
    assert {"/customerId": "C-1", "/offerVersion": 1, "/redemptionWindowDays": 45}.items() <= fields(event).items()
    assert fields(event)["/activatedAt"] == "2026-11-23T12:30:00.000000Z"
    assert str(UUID(fields(event)["/activationId"])) == fields(event)["/activationId"]


def test_reversal_event_names_the_offer_of_its_purchase(offered: Service, clock: Clock) -> None:
    activating(MERCHANTS[0], "C-1")(offered, clock)
    clock.move(days=1)
    buying("T-1", MERCHANTS[0], "C-1")(offered, clock)
    assert fields(last(offered))["/redemptionId"] == str(redemption_uid("T-1"))
    reversing("T-1", "5")(offered, clock)
    event = last(offered)
    assert (event.type, event.offer_uid) == ("RedemptionReversed", MERCHANTS[0].offer_uid)
    assert fields(event) == {"/redemptionId": str(redemption_uid("T-1")), "/reversalId": "5", "/amount": "5"}


def test_each_event_of_a_purchase_names_its_own_offer(offered: Service, clock: Clock) -> None:
    other = MERCHANTS[1]
    for step in (putting(other, "one"), activating(MERCHANTS[0], "C-1")):
        step(offered, clock)
        clock.move(days=1)
    for step in (buying("T-1", other, "C-1"), buying("T-1", MERCHANTS[0], "C-1"), reversing("T-1", "5")):
        step(offered, clock)
    refused, redeemed, reversed_ = everything(offered.ledger)[-3:]
    offers = [event.offer_uid for event in (refused, redeemed, reversed_)]
    assert offers == [other.offer_uid, MERCHANTS[0].offer_uid, MERCHANTS[0].offer_uid]
    for scan_limit in (0, event_list.SCAN_LIMIT):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(event_list, "SCAN_LIMIT", scan_limit)
            of_other = everything(offered.ledger, EventFilter(offer_uid=other.offer_uid))
        assert [event.type for event in of_other] == ["OfferCreated", "RedemptionRefused"]


def test_token_event_omits_the_secret(service: Service, clock: Clock) -> None:
    service.ledger.handle(CreateToken("books", Role.AUDITOR, None, "5ec3e7", 0, None), OPERATOR)
    assert fields(last(service)) == {"/name": "books", "/role": "auditor", "/requestsPerMinute": 0}
    assert "5ec3e7" not in json.dumps([as_json(item) for item in everything(service.ledger)])
    clock.move(days=1)
    service.ledger.handle(RevokeToken("books"), OPERATOR)
    assert fields(last(service)) == {"/revokedAt": "2026-11-23T12:30:00.000000Z"}


def test_stream_ends_at_the_newest_event_of_its_start(offered: Service, clock: Clock) -> None:
    chunks = read_events(offered.ledger, ALL, 0)
    newest = offered.ledger.recorder.max_notification_id()
    first_chunk = list(next(chunks))
    putting(MERCHANTS[0], "two")(offered, clock)
    assert [item.position for items in (first_chunk, *chunks) for item in items][-1] == newest


def test_csv_columns_are_the_members_of_an_item() -> None:
    assert tuple(EventItemModel.model_fields) == tuple(column_names(EventView))


# Query plans


@only_sqlite
@pytest.mark.parametrize("order", EventOrder)
@pytest.mark.parametrize(
    ("event_filter", "index"),
    [
        (EventFilter(), "autoindex_commits_1"),
        (EventFilter(partner="p"), "commits_by_partner"),
        (EventFilter(actor="a"), "commits_by_actor"),
        (EventFilter(source=Source.CLI), "commits_by_source"),
        (EventFilter(source=Source.CLI, actor="a"), "commits_by_actor"),
        (EventFilter(partner="p", actor="a"), "commits_by_partner"),
        (EventFilter(source=Source.CLI, partner="p"), "commits_by_partner"),
        (EventFilter(run_id=UUID(int=1), partner="p"), "commits_by_run"),
        (EventFilter(trace_id="t", partner="p"), "commits_by_trace"),
        (EventFilter(type="TokenCreated", actor="a"), "event_types_by_position"),
        (EventFilter(type="TokenCreated", partner="p"), "event_types_by_partner"),
    ],
)
def test_each_filter_reads_events_in_order_by_an_index(
    ledger: OfferLedger, event_filter: EventFilter, index: str, order: EventOrder
) -> None:
    with ledger.recorder.read() as tx:
        explained: Any = ExplainedCursor(tx, "status_before")
        event_list.page(explained, event_filter, 5, 10, order=order)
    _, first, *others = explained.steps
    assert index in first
    assert "position>? AND" in first
    assert "position<?" in first
    # SQLite sorts only the page itself.
    assert [step for step in others if step.startswith("USE TEMP")] == ["USE TEMP B-TREE FOR ORDER BY"]


class Measured:
    """A cursor that records the largest number of rows that any step of a query on events read in PostgreSQL."""

    def __init__(self, tx: Cursor) -> None:
        self._tx, self.dialect, self.max_rows = tx, tx.dialect, 0.0

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Cursor:
        if " JOIN events " in sql:
            (explanation,) = self._tx.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters).fetchone()
            self.max_rows = max(self.max_rows, *rows_in(explanation[0]["Plan"]))
        return self._tx.execute(sql, parameters)


def rows_in(plan: dict[str, Any]) -> Iterator[float]:
    yield plan["Actual Rows"] * plan["Actual Loops"]
    for step in plan.get("Plans", ()):
        yield from rows_in(step)


Query = Callable[[OfferLedger, Cursor, int], object]
LARGE = 1_000


@only_postgres
@pytest.mark.parametrize(
    "query",
    [
        lambda _, tx, after: event_list.page(tx, EventFilter(), after, 10),
        lambda _, tx, after: event_list.page(tx, EventFilter(partner=PARTNER), after, 10),
        lambda _, tx, after: event_list.page(tx, EventFilter(type="OfferCreated", partner=PARTNER), after, 10),
        lambda _, tx, until: event_list.page(tx, EventFilter(), 0, 10, until, EventOrder.DESC),
        lambda _, tx, until: event_list.page(tx, EventFilter(source=Source.CUSTOM), 0, 10, until, EventOrder.DESC),
        lambda _, tx, until: event_list.page(tx, EventFilter(type="OfferCreated"), 0, 10, until, EventOrder.DESC),
        lambda _, tx, after: select_entries(tx, after, 10),
        lambda _, tx, after: diff.page(tx, diff.PositionRange(0, LARGE), None, after, 10),
    ],
    ids=[
        "all",
        "a partner's",
        "of a type",
        "newest",
        "newest of a source",
        "newest of a type",
        "entries",
        "a difference",
    ],
)
def test_queries_read_only_the_requested_part_of_a_commit(
    ledger: OfferLedger, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff, "EVENTS_PER_QUERY", 20)
    run_batch(ledger, Operation.INSERT, [item(f"TP-{number}") for number in range(LARGE)])
    with ledger.recorder.read() as tx:
        measured: Any = Measured(tx)
        query(ledger, measured, LARGE // 2)
    assert 10 <= measured.max_rows < LARGE // 10
