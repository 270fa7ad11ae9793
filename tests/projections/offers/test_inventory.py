"""The inventory equals a fold of the events, and its queries return the matching offers."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.access.partner import SetPartner
from domain.events import Event, OfferCreated, OfferEvent
from domain.ledgers.ledger import Entry, OfferLedger
from domain.offers.content import digest
from domain.offers.offer import ABSENT, Offer, evolve
from domain.store.cursor import Cursor
from domain.store.database import DatabaseLocation
from domain.values import Channel, Operation, Status
from projections import projector
from projections.access import partners
from projections.maintenance import verification
from projections.offers import decision_state, inventory, offer_periods
from projections.offers.changed_offers import changed_offers
from projections.offers.inventory import OfferFilter
from projections.offers.inventory_updates import update_inventory
from tests.support.engine import examples
from tests.support.examples import EVERY_CUSTOMER_EVENT, EVERY_OFFER_EVENT, PARTNER, created, item, offer_data
from tests.support.harness import OPERATOR, Clock, outcome_of, run_batch

Sent = dict[str, Any]

EVERYTHING = OfferFilter()
MANY = 1_000


@contextmanager
def a_ledger() -> Iterator[OfferLedger]:
    """Opens a new ledger; property-based tests need one for every example."""
    with TemporaryDirectory() as folder:
        ledger = OfferLedger(
            DatabaseLocation(f"{folder}/ledger.db"),
            Clock(),
            projector.Projector(),
            decision_state.known_offers,
            partners.all_names,
            changed_offers,
        )
        ledger.recorder.prepare_schema(projector.tables())
        ledger.handle(SetPartner(PARTNER, synchronize_per_day=0, insert_per_hour=0), OPERATOR)
        yield ledger
        ledger.close()


def valid(external_id: str, headline: str = "one") -> Sent:
    return item(external_id, headline=headline)


def invalid(external_id: str | None) -> Sent:
    return {"externalId": external_id}


def folded(ledger: OfferLedger) -> dict[int, Offer]:
    """Returns the fold of each offer's events by stream id."""
    offers: dict[int, Offer] = {}
    with ledger.recorder.read() as tx:
        for entries in ledger.entries(tx):
            for entry in entries:
                if isinstance(entry.event, OfferEvent):
                    offers[entry.stream_id] = evolve(offers.get(entry.stream_id, ABSENT), entry.event)
    return offers


def projected(ledger: OfferLedger) -> dict[int, Offer]:
    with ledger.recorder.read() as tx:
        rows = tx.execute(
            "SELECT offer_id, status, version, content_version, content_digest, sent_digest FROM inventory"
        )
        return {row[0]: Offer(Status(row[1]), *tuple(row)[2:]) for row in rows}


ids = st.sampled_from(["a", "b", "c", "d", "e"])
items = st.builds(valid, ids, st.sampled_from(["one", "two"])) | st.builds(invalid, ids | st.none())
batches = st.tuples(st.sampled_from(Operation), st.lists(items, min_size=1, max_size=6))


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(batches, max_size=6))
def test_inventory_equals_a_fold_of_the_events(
    sent: list[tuple[Operation, list[Sent]]],
) -> None:
    with a_ledger() as ledger:
        for operation, batch in sent:
            run_batch(ledger, operation, batch)
        assert projected(ledger) == folded(ledger)
        assert verification.verify(ledger) == []


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(batches, max_size=3), batches)
def test_repeated_batch_changes_nothing(
    before: list[tuple[Operation, list[Sent]]], last: tuple[Operation, list[Sent]]
) -> None:
    with a_ledger() as ledger:
        for operation, batch in (*before, last):
            run_batch(ledger, operation, batch)
        position = ledger.recorder.max_notification_id()
        run_batch(ledger, *last)
        assert ledger.recorder.max_notification_id() == position


def statuses(ledger: OfferLedger) -> dict[str, Status]:
    with ledger.recorder.read() as tx:
        return {
            offer.external_id: Status(offer.status)
            for offer in inventory.page(tx, EVERYTHING, Clock().now, 0, MANY).items
        }


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(batches, max_size=3), st.lists(items, min_size=1, max_size=6))
def test_synchronize_leaves_its_offers_active_and_failed_items_unchanged(
    before: list[tuple[Operation, list[Sent]]], last: list[Sent]
) -> None:
    with a_ledger() as ledger:
        for operation, batch in before:
            run_batch(ledger, operation, batch)
        earlier = statuses(ledger)
        outcome = outcome_of(ledger, run_batch(ledger, Operation.SYNCHRONIZE, last))
        later = statuses(ledger)
        failed = {o.external_id for o in outcome.failed}
        applied = {o.external_id for o in (*outcome.created, *outcome.updated, *outcome.unchanged)}
        assert {external_id: later.get(external_id) for external_id in failed if external_id} == {
            external_id: earlier.get(external_id) for external_id in failed if external_id
        }
        assert all(later[external_id] is Status.ACTIVE for external_id in applied if external_id)
        if applied and "" not in failed:
            assert {i for i, status in later.items() if status is Status.ACTIVE} <= applied | failed


ANY_EVENT: list[Event] = [*EVERY_OFFER_EVENT, *EVERY_CUSTOMER_EVENT]


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(ANY_EVENT)), max_size=10),
    st.tuples(*[st.integers(0, 2)] * 3),
    st.booleans(),
)
def test_projections_accept_any_sequence_of_events(
    history: list[tuple[int, Event]], versions_before: tuple[int, ...], look_up: bool
) -> None:
    versions = list(versions_before)
    entries = []
    for ordinal, (stream, event) in enumerate(history):
        versions[stream] += 1
        entries.append(Entry(1, ordinal, 100 + stream, versions[stream], event))
    with a_ledger() as ledger, ledger.recorder.write() as tx, pytest.MonkeyPatch.context() as patch:
        patch.setattr(offer_periods, "MIN_CHANGES_TO_LOOK_UP", 1 if look_up else 100)
        projector.project(tx, entries)
        projector.seal(tx, projector.gather(tx, {1: {type(entry.event) for entry in entries}}))


def numbered(history: list[tuple[int, Event]]) -> list[Entry]:
    """Returns entries with these streams and events, each in its own commit."""
    versions, entries = Counter[int](), []
    for ordinal, (stream, event) in enumerate(history):
        versions[stream] += 1
        entries.append(Entry(ordinal, 0, 100 + stream, versions[stream], event))
    return entries


@settings(max_examples=examples(40), deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from(EVERY_OFFER_EVENT)), max_size=12),
    st.lists(st.integers(0, 12), max_size=3),
)
def test_periods_are_equal_with_and_without_a_lookup(history: list[tuple[int, Event]], cuts: list[int]) -> None:
    entries = numbered(history)
    found = []
    for min_changes in (1, 100):
        with a_ledger() as ledger, ledger.recorder.write() as tx, pytest.MonkeyPatch.context() as patch:
            patch.setattr(offer_periods, "MIN_CHANGES_TO_LOOK_UP", min_changes)
            for start, end in pairwise([0, *sorted(cuts), len(entries)]):
                offer_periods.apply(tx, entries[start:end])
            rows = tx.execute("SELECT * FROM offer_periods ORDER BY offer_id, version").fetchall()
            found.append([tuple(row) for row in rows])
    assert found[0] == found[1]


@settings(max_examples=examples(200), deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from(EVERY_OFFER_EVENT)), max_size=12),
    st.lists(st.integers(0, 12), max_size=3),
)
def test_events_applied_together_give_the_rows_of_events_applied_singly(
    history: list[tuple[int, Event]], cuts: list[int]
) -> None:
    created = next(event for event in EVERY_OFFER_EVENT if isinstance(event, OfferCreated))
    entries = numbered([(1, created), (2, created), *history])
    found = []
    for ends in ([2, *(2 + cut for cut in sorted(cuts)), len(entries)], range(len(entries) + 1)):
        calls = [entries[start:end] for start, end in pairwise([0, *ends])]
        with a_ledger() as ledger, ledger.recorder.write() as tx:
            for call in calls:
                update_inventory(tx, call)
            rows = tx.execute("SELECT * FROM inventory ORDER BY offer_id").fetchall()
            found.append([tuple(row) for row in rows])
    assert found[0] == found[1]


# Queries


@pytest.fixture
def stocked(ledger: OfferLedger) -> OfferLedger:
    ledger.handle(SetPartner("harbor", synchronize_per_day=0), OPERATOR)
    named = [{"externalId": f"TP-{n}", "offerData": offer_data(name=f"100% of_{n} ÄPFEL!")} for n in (1, 2, 3)]
    run_batch(ledger, Operation.SYNCHRONIZE, named)
    run_batch(ledger, Operation.SYNCHRONIZE, named[:2])
    run_batch(ledger, Operation.SYNCHRONIZE, [valid("TP-1")], "harbor")
    return ledger


@pytest.mark.parametrize(
    ("offer_filter", "expected"),
    [
        (EVERYTHING, ["TP-1", "TP-2", "TP-3", "TP-1"]),
        (OfferFilter(partner="harbor"), ["TP-1"]),
        (OfferFilter(partner="Harbor"), []),
        (OfferFilter(channel=Channel.MERCHANT), []),
        (OfferFilter(merchant_id="TP-1"), []),
        (OfferFilter(external_id="TP-1"), ["TP-1", "TP-1"]),
        (OfferFilter(external_id="tp-1"), []),
        (OfferFilter(status=Status.PAUSED), ["TP-3"]),
        (OfferFilter(partner=PARTNER, status=Status.ACTIVE), ["TP-1", "TP-2"]),
        (OfferFilter(partner=PARTNER, redeemable=True), ["TP-1", "TP-2"]),
        (OfferFilter(redeemable=False), ["TP-3"]),
        (OfferFilter(q="tp-2"), ["TP-2"]),
        (OfferFilter(q="äpfel"), ["TP-1", "TP-2", "TP-3"]),
        (OfferFilter(q="of_3"), ["TP-3"]),
        (OfferFilter(q="of%3"), []),
        (OfferFilter(q="L!"), ["TP-1", "TP-2", "TP-3"]),
    ],
)
def test_filters_select_offers(stocked: OfferLedger, offer_filter: OfferFilter, expected: list[str]) -> None:
    with stocked.recorder.read() as tx:
        assert [offer.external_id for offer in inventory.page(tx, offer_filter, Clock().now, 0, MANY).items] == expected


def test_offer_shows_when_it_was_created_updated_and_paused(ledger: OfferLedger, clock: Clock) -> None:
    run_batch(ledger, Operation.SYNCHRONIZE, [valid("a"), valid("b")])
    clock.move(hours=1)
    run_batch(ledger, Operation.SYNCHRONIZE, [valid("a", "two")])
    with ledger.recorder.read() as tx:
        one, other = inventory.page(tx, EVERYTHING, Clock().now, 0, MANY).items
    created_at, changed_at = "2026-11-22T12:30:00.000001Z", "2026-11-22T13:30:00.000000Z"
    assert (one.created_at, one.updated_at, one.paused_at, one.deleted_at) == (created_at, changed_at, None, None)
    assert (other.created_at, other.updated_at, other.paused_at, other.deleted_at) == (
        created_at,
        changed_at,
        changed_at,
        None,
    )


Known = Callable[[Cursor], object]


def test_known_offers_returns_the_named_offers(stocked: OfferLedger) -> None:
    with stocked.recorder.read() as tx:
        known = decision_state.known_offers(tx, PARTNER, Channel.CUSTOM, {"TP-1", "TP-3", "TP-9"})
    assert {external_id: offer.status for external_id, offer in known.items()} == {"TP-1": "active", "TP-3": "paused"}


def test_known_offers_returns_all_offers_of_partner_and_channel(stocked: OfferLedger) -> None:
    with stocked.recorder.read() as tx:
        known = decision_state.known_offers(tx, PARTNER, Channel.CUSTOM, None)
    assert list(known) == ["TP-1", "TP-2", "TP-3"]


def test_known_offers_accepts_more_ids_than_fit_one_query(ledger: OfferLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_state, "IDS_PER_QUERY", 2)
    run_batch(ledger, Operation.INSERT, [valid(name) for name in "abcde"])
    with ledger.recorder.read() as tx:
        assert set(decision_state.known_offers(tx, PARTNER, Channel.CUSTOM, list("abcde"))) == set("abcde")


def test_offer_digest_is_that_of_its_content(ledger: OfferLedger) -> None:
    run_batch(ledger, Operation.INSERT, [valid("a")])
    with ledger.recorder.read() as tx:
        (offer,) = inventory.page(tx, EVERYTHING, Clock().now, 0, MANY).items
    assert offer.content_digest == digest(offer_data(headline="one")) != created().content_digest
