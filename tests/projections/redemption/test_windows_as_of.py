"""Lists of windows at an effective time, by the facts known at a recorded time. (Contract, section 5.)"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from api.service import Service
from domain.access.partner import SetPartner
from domain.ledgers.redemption_ledger import PendingRedemption, RedemptionResult
from domain.redemption.activation import Activate, Activation, WindowState
from domain.redemption.activation_group import ActivationResult, PendingActivation
from domain.redemption.redemption import Purchase, Reverse
from domain.store.commit import CommitContext, current_head
from domain.store.cursor import Cursor
from domain.values import OfferKey, Operation, Origin, Source, to_microseconds, utc_text
from projections.offers import inventory
from projections.redemption import windows_as_of
from projections.redemption.windows_as_of import (
    FIRST_WINDOW,
    Viewpoint,
    WindowFilter,
    WindowPage,
    WindowPlace,
    WindowView,
)
from tests.support.engine import only_sqlite
from tests.support.examples import KEY, PARTNER, PAUSED, item
from tests.support.harness import OPERATOR, Clock, run_batch
from tests.support.histories.single_requests import delete, merchant_key, put
from tests.support.query_plans import ExplainedCursor

PUBLISHER = Origin("shop-window", Source.PUBLISHER)
FIRST, SECOND, THIRD = (merchant_key(f"MO-{n}") for n in (1, 2, 3))
OF_HARBOR = merchant_key("MO-9", partner="harbor")
INSTANT = timedelta(microseconds=1)
SECOND_AFTER, DAY = timedelta(seconds=1), timedelta(days=1)
EVERYTHING = WindowFilter()
OPEN, WINDING_DOWN, EXPIRED = WindowState.OPEN, WindowState.WINDING_DOWN, WindowState.EXPIRED


class Market:
    """Partners, a publisher and its customers, who use the service. Each action moves the clock by a second."""

    def __init__(self, service: Service, clock: Clock) -> None:
        self.service = service
        self.ledger = service.ledger
        self.clock = clock
        for partner in (PARTNER, "harbor"):
            self.ledger.handle(SetPartner(partner, daily_quota=0, synchronize_per_day=0), OPERATOR)

    # Actions; each returns its recorded time or its result

    def put(self, *keys: OfferKey) -> datetime:
        self.clock.now += SECOND_AFTER
        self.service.single_requests.execute([put(key) for key in keys])
        return self._recorded()

    def delete(self, key: OfferKey) -> datetime:
        self.clock.now += SECOND_AFTER
        self.service.single_requests.execute([delete(key)])
        return self._recorded()

    def pause(self, key: OfferKey) -> datetime:
        self.clock.now += SECOND_AFTER
        with self.ledger.recorder.write() as tx:
            offer = inventory.find(tx, key.offer_uid, self.clock.now)
            assert offer
            self.ledger.commit(tx, CommitContext(OPERATOR, key.partner), [(key.offer_uid, offer.version, [PAUSED])])
        return self._recorded()

    def activate(self, key: OfferKey, customer: str = "C-1", at: datetime | None = None) -> Activation:
        self.clock.now += SECOND_AFTER
        return self.activate_all([(key, customer, at)])[0]

    def activate_all(self, orders: Sequence[tuple[OfferKey, str, datetime | None]]) -> list[Activation]:
        """Activates several offers at one time; the recorded times differ by the minimum."""
        requests = [
            PendingActivation(PUBLISHER, Activate(customer, key.offer_uid, at or self.clock.now), uuid4())
            for key, customer, at in orders
        ]
        answers = self.service.activations.execute(requests)
        assert all(isinstance(answer, ActivationResult) and answer.is_new for answer in answers)
        return [answer.activation for answer in answers if isinstance(answer, ActivationResult)]

    def buy(self, activation: Activation, amount: str, currency: str = "USD", at: datetime | None = None) -> UUID:
        self.clock.now += SECOND_AFTER
        members = (str(uuid4()), activation.customer_id, activation.offer_uid, Decimal(amount), currency)
        return self._submit(Purchase(*members, at or self.clock.now))

    def reverse(self, redemption_id: UUID, amount: str) -> datetime:
        self.clock.now += SECOND_AFTER
        self._submit(Reverse(redemption_id, str(uuid4()), Decimal(amount)))
        return self._recorded()

    # Reads

    def viewpoint(self, at: datetime | None = None, known_at: datetime | None = None) -> Viewpoint:
        """Returns the viewpoint of now, by all recorded facts, unless other times are given."""
        with self.ledger.recorder.read() as tx:
            newest = current_head(tx).recorded_at
            assert newest
            return Viewpoint(at or self.ledger.now(tx), known_at or newest, at or newest)

    def page(
        self,
        window_filter: WindowFilter,
        viewpoint: Viewpoint,
        after: WindowPlace | None = FIRST_WINDOW,
        limit: int = 1000,
    ) -> WindowPage:
        assert after
        with self.ledger.recorder.read() as tx:
            return windows_as_of.page(tx, window_filter, viewpoint, after, limit)

    def windows(self, at: datetime | None = None, window_filter: WindowFilter = EVERYTHING) -> list[WindowView]:
        return self.page(window_filter, self.viewpoint(at)).items

    def states(self, at: datetime | None = None) -> list[WindowState]:
        return [view.state for view in self.windows(at)]

    def redeemed(self, viewpoint: Viewpoint) -> list[tuple[str, str, int]]:
        """Returns the totals of the only window."""
        (view,) = self.page(EVERYTHING, viewpoint).items
        return [(total.currency, total.amount, total.redemptions) for total in view.redeemed]

    def walk(self, window_filter: WindowFilter, viewpoint: Viewpoint, limit: int) -> Iterator[list[WindowView]]:
        after: WindowPlace | None = FIRST_WINDOW
        while after:
            page = self.page(window_filter, viewpoint, after, limit)
            yield page.items
            after = page.next_after

    def _submit(self, command: Purchase | Reverse) -> UUID:
        (result,) = self.service.redemptions.execute([PendingRedemption(PUBLISHER, command)])
        assert isinstance(result, RedemptionResult)
        assert result.redemption.redeemed
        return result.redemption_id

    def _recorded(self) -> datetime:
        return self.viewpoint().known_at


@pytest.fixture
def market(service: Service, clock: Clock) -> Market:
    """A market with three offers of one partner and one of another."""
    opened = Market(service, clock)
    opened.put(FIRST, SECOND)
    opened.put(OF_HARBOR)
    opened.put(THIRD)
    return opened


def named(views: Sequence[WindowView]) -> list[str]:
    """Returns the offer and the customer of each window."""
    names = {key.offer_uid: key.external_id for key in (FIRST, SECOND, THIRD, OF_HARBOR)}
    return [f"{names[view.offer_uid]} {view.customer_id}" for view in views]


# One window


def test_window_keeps_the_terms_of_its_activation(market: Market) -> None:
    activation = market.activate(FIRST)
    assert market.windows() == [
        WindowView(
            activation_id=activation.activation_id,
            offer_uid=FIRST.offer_uid,
            customer_id="C-1",
            offer_version=1,
            activated_at=utc_text(activation.window.activated_at),
            redeemable_until=utc_text(activation.window.activated_at + 45 * DAY),
            state=OPEN,
            redeemed=[],
        )
    ]


def test_window_is_open_from_its_start_until_its_end(market: Market) -> None:
    window = market.activate(FIRST).window
    assert market.states(window.activated_at - INSTANT) == []
    assert market.states(window.activated_at) == [OPEN]
    assert market.states(window.redeemable_until - INSTANT) == [OPEN]
    assert market.states(window.redeemable_until) == [EXPIRED]
    assert market.states(window.redeemable_until + 1000 * DAY) == [EXPIRED]


def test_winding_down_window_expires_at_its_end(market: Market) -> None:
    window = market.activate(FIRST).window
    deleted = market.delete(FIRST)
    assert market.states(deleted) == [WINDING_DOWN]
    assert market.states(window.redeemable_until - INSTANT) == [WINDING_DOWN]
    assert market.states(window.redeemable_until) == [EXPIRED]


def test_window_is_not_listed_before_its_start(market: Market) -> None:
    """Clocks differ, so an activation can be slightly in the future."""
    start = market.clock.now + timedelta(minutes=4)
    market.activate(FIRST, at=start)
    assert market.states() == []
    assert market.states(start - INSTANT) == []
    assert market.states(start) == [OPEN]


def test_state_filters_change_at_the_same_times(market: Market) -> None:
    """Other windows end a second later."""
    window = market.activate(FIRST).window
    market.activate(SECOND, at=window.activated_at)
    for key in (FIRST, SECOND):
        market.activate_all([(key, "C-2", window.activated_at + SECOND_AFTER)])
    market.delete(SECOND)
    for at, expected in (
        (window.activated_at - INSTANT, {OPEN: [], WINDING_DOWN: [], EXPIRED: []}),
        (window.activated_at, {OPEN: ["MO-1 C-1", "MO-2 C-1"], WINDING_DOWN: [], EXPIRED: []}),
        (
            window.redeemable_until - INSTANT,
            {OPEN: ["MO-1 C-1", "MO-1 C-2"], WINDING_DOWN: ["MO-2 C-1", "MO-2 C-2"], EXPIRED: []},
        ),
        (
            window.redeemable_until,
            {OPEN: ["MO-1 C-2"], WINDING_DOWN: ["MO-2 C-2"], EXPIRED: ["MO-1 C-1", "MO-2 C-1"]},
        ),
    ):
        found = {state: named(market.windows(at, WindowFilter(state=state))) for state in WindowState}
        assert found == expected, at


# The status of the offer at the effective time


def test_windows_wind_down_from_a_pause_until_the_resume(market: Market) -> None:
    market.activate(FIRST)
    paused = market.pause(FIRST)
    market.clock.now += DAY
    resumed = market.put(FIRST)
    times = (paused - INSTANT, paused, resumed - INSTANT, resumed, resumed + DAY)
    assert [market.states(at) for at in times] == [[OPEN], [WINDING_DOWN], [WINDING_DOWN], [OPEN], [OPEN]]


def test_windows_wind_down_from_a_deletion_until_the_restore(market: Market) -> None:
    market.activate(FIRST)
    deleted = market.delete(FIRST)
    market.clock.now += DAY
    restored = market.put(FIRST)
    times = (deleted - INSTANT, deleted, restored - INSTANT, restored, restored + DAY)
    assert [market.states(at) for at in times] == [[OPEN], [WINDING_DOWN], [WINDING_DOWN], [OPEN], [OPEN]]


def test_windows_of_a_paused_and_deleted_offer_keep_winding_down(market: Market) -> None:
    market.activate(FIRST)
    paused, deleted = market.pause(FIRST), market.delete(FIRST)
    restored = market.put(FIRST)
    for at in (paused, deleted - INSTANT, deleted, restored - INSTANT):
        assert [named(market.windows(at, WindowFilter(state=state))) for state in (OPEN, WINDING_DOWN)] == [
            [],
            ["MO-1 C-1"],
        ]
    assert [market.states(at) for at in (paused - INSTANT, restored)] == [[OPEN], [OPEN]]


def test_windows_follow_repeated_status_changes(market: Market) -> None:
    market.activate(FIRST)
    times = [
        time
        for _ in range(3)
        for time in (market.pause(FIRST), market.put(FIRST), market.delete(FIRST), market.put(FIRST))
    ]
    assert [market.states(at) for at in times] == [[WINDING_DOWN], [OPEN]] * 6
    assert [len(market.windows(at, WindowFilter(state=WINDING_DOWN))) for at in times] == [1, 0] * 6


def test_windows_wind_down_if_a_synchronize_omits_the_offer(market: Market) -> None:
    run_batch(market.ledger, Operation.SYNCHRONIZE, [item("TP-1"), item("TP-2")])
    market.activate(KEY)
    run_batch(market.ledger, Operation.SYNCHRONIZE, [item("TP-2")])
    assert market.states() == [WINDING_DOWN]
    run_batch(market.ledger, Operation.SYNCHRONIZE, [item("TP-1", headline="Another"), item("TP-2")])
    assert market.states() == [OPEN]


def test_future_states_use_the_present_status(market: Market) -> None:
    market.activate(FIRST)
    market.activate(SECOND)
    market.delete(SECOND)
    assert market.states(market.clock.now + 10 * DAY) == [OPEN, WINDING_DOWN]


def test_pause_of_another_offer_has_no_effect(market: Market) -> None:
    market.activate(FIRST)
    market.pause(SECOND)
    assert market.states() == [OPEN]


# Known facts


def test_late_report_is_listed_at_its_effective_time_once_known(market: Market) -> None:
    activated_at = market.clock.now
    market.clock.now += DAY
    market.activate(FIRST, at=activated_at)
    recorded = market.clock.now
    assert market.states(activated_at) == [OPEN]
    assert market.page(EVERYTHING, Viewpoint(activated_at, recorded)).items != []
    assert market.page(EVERYTHING, Viewpoint(activated_at, recorded - INSTANT)).items == []


def test_later_status_changes_are_not_known(market: Market) -> None:
    market.activate(FIRST)
    paused = market.pause(FIRST)
    resumed = market.put(FIRST)
    ahead = resumed + DAY
    known = (paused - INSTANT, paused, resumed - INSTANT, resumed)
    found = [market.page(EVERYTHING, Viewpoint(ahead, time)).items[0].state for time in known]
    assert found == [OPEN, WINDING_DOWN, WINDING_DOWN, OPEN]
    assert [len(market.page(WindowFilter(state=WINDING_DOWN), Viewpoint(ahead, time)).items) for time in known] == [
        0,
        1,
        1,
        0,
    ]


# Redeemed totals


def test_purchases_are_summed_by_currency(market: Market) -> None:
    activation = market.activate(FIRST)
    for amount, currency in (("10.00", "USD"), ("2.5", "EUR"), ("0.0001", "USD"), ("1", "CHF")):
        market.buy(activation, amount, currency)
    assert market.redeemed(market.viewpoint()) == [("CHF", "1", 1), ("EUR", "2.5", 1), ("USD", "10.0001", 2)]


def test_purchase_counts_from_its_effective_time_even_if_late(market: Market) -> None:
    activation = market.activate(FIRST)
    market.clock.now += DAY
    bought = market.clock.now
    market.clock.now += DAY
    market.buy(activation, "10.00", at=bought)
    reported = market.clock.now
    assert market.redeemed(market.viewpoint(bought - INSTANT)) == []
    assert market.redeemed(market.viewpoint(bought)) == [("USD", "10.00", 1)]
    assert market.redeemed(Viewpoint(bought, reported - INSTANT)) == []


def test_reversal_counts_from_its_recorded_time(market: Market) -> None:
    activation = market.activate(FIRST)
    redemption = market.buy(activation, "10.00")
    market.clock.now += DAY
    part, rest = market.reverse(redemption, "2.50"), market.reverse(redemption, "7.50")
    assert market.redeemed(market.viewpoint(part - INSTANT)) == [("USD", "10.00", 1)]
    assert market.redeemed(market.viewpoint(part)) == [("USD", "7.50", 1)]
    assert market.redeemed(market.viewpoint(rest)) == [("USD", "0.00", 1)]
    assert market.redeemed(Viewpoint(rest + DAY, rest - INSTANT)) == [("USD", "7.50", 1)]


def test_refused_purchase_does_not_count(market: Market) -> None:
    activation = market.activate(FIRST)
    before = activation.window.activated_at - INSTANT
    purchase = Purchase("T-1", "C-1", FIRST.offer_uid, Decimal(10), "USD", before)
    market.service.redemptions.execute([PendingRedemption(PUBLISHER, purchase)])
    assert market.redeemed(market.viewpoint()) == []


def test_each_window_has_its_own_purchases(market: Market) -> None:
    activations = [market.activate(key, customer) for key in (FIRST, SECOND) for customer in ("C-1", "C-2")]
    for number, activation in enumerate(activations, 1):
        market.buy(activation, f"{number}.00")
    assert [view.redeemed[0].amount for view in market.windows()] == ["1.00", "2.00", "3.00", "4.00"]


# Filters


@pytest.fixture
def stocked(market: Market) -> Market:
    """A market with two expired windows, two open ones, two winding down, and one of another partner."""
    market.ledger.handle(SetPartner(PARTNER, redemption_window_days=30), OPERATOR)
    market.activate(FIRST, "C-1")
    market.activate(SECOND, "C-1")
    market.clock.now += 30 * DAY
    market.activate(FIRST, "C-2")
    market.activate(FIRST, "C-1")
    market.activate(SECOND, "C-2")
    market.activate(SECOND, "C-3")
    market.activate(OF_HARBOR, "C-2")
    market.delete(SECOND)
    return market


@pytest.mark.parametrize(
    ("window_filter", "expected"),
    [
        (EVERYTHING, ["MO-1 C-1", "MO-1 C-2", "MO-1 C-1", "MO-2 C-1", "MO-2 C-2", "MO-2 C-3", "MO-9 C-2"]),
        (WindowFilter(offer_uid=FIRST.offer_uid), ["MO-1 C-1", "MO-1 C-2", "MO-1 C-1"]),
        (WindowFilter(offer_uid=THIRD.offer_uid), []),
        (WindowFilter(offer_uid=uuid4()), []),
        (WindowFilter(customer_id="C-2"), ["MO-1 C-2", "MO-2 C-2", "MO-9 C-2"]),
        (WindowFilter(customer_id="c-2"), []),
        (WindowFilter(partner="harbor"), ["MO-9 C-2"]),
        (WindowFilter(partner="Harbor"), []),
        (WindowFilter(state=OPEN), ["MO-1 C-2", "MO-1 C-1", "MO-9 C-2"]),
        (WindowFilter(state=WINDING_DOWN), ["MO-2 C-2", "MO-2 C-3"]),
        (WindowFilter(state=EXPIRED), ["MO-1 C-1", "MO-2 C-1"]),
        (WindowFilter(offer_uid=FIRST.offer_uid, customer_id="C-1"), ["MO-1 C-1", "MO-1 C-1"]),
        (WindowFilter(offer_uid=FIRST.offer_uid, customer_id="C-3"), []),
        (WindowFilter(offer_uid=FIRST.offer_uid, partner=PARTNER, state=OPEN), ["MO-1 C-2", "MO-1 C-1"]),
        (WindowFilter(offer_uid=FIRST.offer_uid, partner="harbor"), []),
        (WindowFilter(offer_uid=FIRST.offer_uid, state=WINDING_DOWN), []),
        (WindowFilter(offer_uid=SECOND.offer_uid, state=OPEN), []),
        (WindowFilter(offer_uid=SECOND.offer_uid, state=EXPIRED), ["MO-2 C-1"]),
        (WindowFilter(customer_id="C-2", partner=PARTNER), ["MO-1 C-2", "MO-2 C-2"]),
        (WindowFilter(customer_id="C-2", state=WINDING_DOWN), ["MO-2 C-2"]),
        (WindowFilter(customer_id="C-2", state=OPEN), ["MO-1 C-2", "MO-9 C-2"]),
        (WindowFilter(customer_id="C-1", state=EXPIRED), ["MO-1 C-1", "MO-2 C-1"]),
        (WindowFilter(partner="harbor", state=WINDING_DOWN), []),
        (WindowFilter(partner=PARTNER, state=WINDING_DOWN), ["MO-2 C-2", "MO-2 C-3"]),
        (WindowFilter(SECOND.offer_uid, "C-3", PARTNER, WINDING_DOWN), ["MO-2 C-3"]),
        (WindowFilter(SECOND.offer_uid, "C-3", PARTNER, EXPIRED), []),
    ],
)
def test_filters_select_windows(stocked: Market, window_filter: WindowFilter, expected: list[str]) -> None:
    for limit in (1, 2, 1000):
        pages = list(stocked.walk(window_filter, stocked.viewpoint(), limit))
        assert [name for page in pages for name in named(page)] == expected
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)


def test_filters_apply_at_past_and_future_times(stocked: Market) -> None:
    before = stocked.clock.now - 2 * DAY
    assert named(stocked.windows(before)) == ["MO-1 C-1", "MO-2 C-1"]
    assert named(stocked.windows(before, WindowFilter(state=OPEN))) == ["MO-1 C-1", "MO-2 C-1"]
    assert named(stocked.windows(before, WindowFilter(state=WINDING_DOWN))) == []
    after = stocked.clock.now + 40 * DAY
    assert named(stocked.windows(after, WindowFilter(state=OPEN))) == ["MO-9 C-2"]
    assert named(stocked.windows(after, WindowFilter(state=EXPIRED, partner="harbor"))) == []


# Order and pages


def test_windows_are_sorted_by_offer_and_end(market: Market) -> None:
    start = market.clock.now
    market.clock.now += 10 * DAY
    market.activate(THIRD, "C-1")
    market.activate(FIRST, "C-1", start + 5 * DAY)
    market.activate(OF_HARBOR, "C-1")
    market.activate(FIRST, "C-2", start + 1 * DAY)
    market.activate(FIRST, "C-3", start + 9 * DAY)
    market.activate(SECOND, "C-1")
    assert named(market.windows()) == ["MO-1 C-2", "MO-1 C-1", "MO-1 C-3", "MO-2 C-1", "MO-9 C-1", "MO-3 C-1"]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_windows_with_equal_ends_are_listed_once(market: Market, limit: int) -> None:
    market.activate_all([(key, f"C-{n}", None) for n in range(4) for key in (FIRST, SECOND)])
    pages = list(market.walk(EVERYTHING, market.viewpoint(), limit))
    assert [name for page in pages for name in named(page)] == [f"MO-{o} C-{n}" for o in (1, 2) for n in range(4)]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
def test_all_pages_but_the_last_are_full(market: Market, limit: int) -> None:
    market.activate_all([(key, f"C-{n}", None) for key in (FIRST, SECOND, THIRD) for n in range(2)])
    sizes = [len(page) for page in market.walk(EVERYTHING, market.viewpoint(), limit)]
    assert sizes[:-1] == [limit] * (len(sizes) - 1)
    assert 1 <= sizes[-1] <= limit
    assert sum(sizes) == 6


def test_empty_list_has_one_empty_page(market: Market) -> None:
    assert market.page(EVERYTHING, market.viewpoint()) == WindowPage([], None)


@pytest.mark.parametrize("window_filter", [EVERYTHING, WindowFilter(state=OPEN), WindowFilter(customer_id="C-1")])
def test_later_pages_keep_the_viewpoint_of_the_first(market: Market, window_filter: WindowFilter) -> None:
    activations = [market.activate(key) for key in (FIRST, SECOND, THIRD)]
    redemption = market.buy(activations[1], "10.00")
    market.buy(activations[2], "3.00")
    viewpoint = market.viewpoint()
    expected = market.page(window_filter, viewpoint).items
    pages = market.walk(window_filter, viewpoint, 1)
    listed = [*next(pages)]
    market.delete(SECOND)
    market.reverse(redemption, "1.00")
    market.activate(SECOND, at=activations[1].window.activated_at - INSTANT)
    listed += next(pages)
    market.pause(THIRD)
    market.buy(activations[2], "5.00", at=activations[2].window.activated_at)
    market.activate(OF_HARBOR)
    listed += next(pages)
    assert (listed, list(pages)) == (expected, [])
    assert [view.activation_id for view in listed] == [activation.activation_id for activation in activations]


# Many offers


MANY = 2 * windows_as_of.OFFERS_PER_QUERY + 5


def many_keys() -> list[OfferKey]:
    return [KEY._replace(external_id=f"TP-{n}") for n in range(MANY)]


@pytest.fixture
def crowded(market: Market) -> Market:
    """A market with many offers, each with a window of its own customer and one of customer C-1.

    Every second offer is paused."""
    items = [item(key.external_id) for key in many_keys()]
    run_batch(market.ledger, Operation.SYNCHRONIZE, items)
    market.clock.now += SECOND_AFTER
    market.activate_all([(key, customer, None) for key in many_keys() for customer in (key.external_id, "C-1")])
    market.clock.now += SECOND_AFTER
    run_batch(market.ledger, Operation.SYNCHRONIZE, items[::2])
    market.clock.now += SECOND_AFTER
    return market


@pytest.mark.parametrize(
    ("window_filter", "expected"),
    [
        (EVERYTHING, [(n, customer) for n in range(MANY) for customer in (f"TP-{n}", "C-1")]),
        (WindowFilter(partner=PARTNER, customer_id="C-1"), [(n, "C-1") for n in range(MANY)]),
        (WindowFilter(customer_id="C-1"), [(n, "C-1") for n in range(MANY)]),
        (WindowFilter(partner=PARTNER), [(n, customer) for n in range(MANY) for customer in (f"TP-{n}", "C-1")]),
        (WindowFilter(state=OPEN), [(n, customer) for n in range(0, MANY, 2) for customer in (f"TP-{n}", "C-1")]),
        (WindowFilter(state=WINDING_DOWN, customer_id="C-1"), [(n, "C-1") for n in range(1, MANY, 2)]),
        (
            WindowFilter(state=WINDING_DOWN),
            [(n, customer) for n in range(1, MANY, 2) for customer in (f"TP-{n}", "C-1")],
        ),
        (WindowFilter(state=EXPIRED), []),
        (WindowFilter(customer_id=f"TP-{MANY - 1}"), [(MANY - 1, f"TP-{MANY - 1}")]),
    ],
)
def test_list_spans_more_offers_than_one_query_reads(
    crowded: Market, window_filter: WindowFilter, expected: list[tuple[int, str]]
) -> None:
    keys = many_keys()
    windows = [(keys[n].offer_uid, customer) for n, customer in expected]
    for limit in (37, 1000):
        pages = list(crowded.walk(window_filter, crowded.viewpoint(), limit))
        assert [(view.offer_uid, view.customer_id) for page in pages for view in page] == windows


def test_offers_without_windows_do_not_end_the_list(market: Market) -> None:
    run_batch(market.ledger, Operation.INSERT, [item(key.external_id) for key in many_keys()])
    first, last = many_keys()[0], many_keys()[-1]
    market.activate(first)
    market.activate(last)
    for window_filter in (EVERYTHING, WindowFilter(partner=PARTNER), WindowFilter(state=OPEN)):
        pages = market.walk(window_filter, market.viewpoint(), 1)
        assert [view.offer_uid for page in pages for view in page] == [first.offer_uid, last.offer_uid]


# What a list reads


class CountingCursor:
    """A cursor that counts the windows that each query returns, and records how many offers each query may return."""

    def __init__(self, tx: Cursor) -> None:
        self._tx, self.windows, self.most_offers = tx, list[int](), list[int]()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        if "AS matches" in sql:
            self.most_offers.append(parameters[-1])
        if not sql.startswith("SELECT w.*"):
            return self._tx.execute(sql, parameters)
        self.windows.append(len(self._tx.execute(sql, parameters).fetchall()))
        return self._tx.execute(sql, parameters)


def counted(market: Market, window_filter: WindowFilter, limit: int) -> CountingCursor:
    with market.ledger.recorder.read() as tx:
        counting: Any = CountingCursor(tx)
        windows_as_of.page(counting, window_filter, market.viewpoint(), FIRST_WINDOW, limit)
        return cast("CountingCursor", counting)


def test_page_reads_one_window_more_than_its_limit(market: Market) -> None:
    market.activate_all([(key, f"C-{n}", None) for key in (FIRST, SECOND, THIRD) for n in range(2)])
    pages = {limit: counted(market, EVERYTHING, limit).windows for limit in range(1, 7)}
    assert pages == {1: [2], 2: [2, 1], 3: [2, 2], 4: [2, 2, 1], 5: [2, 2, 2], 6: [2, 2, 2]}


def test_each_query_reads_four_times_as_many_offers(crowded: Market) -> None:
    assert counted(crowded, EVERYTHING, 1000).most_offers == [100, 400]


def test_last_end_is_45_days_after_the_effective_time() -> None:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    assert Viewpoint(at, at).last_end == to_microseconds(datetime(2027, 1, 6, tzinfo=UTC))


@only_sqlite
@pytest.mark.parametrize(
    ("window_filter", "index"),
    [
        (EVERYTHING, "redemption_windows_by_offer (offer_id>?)"),
        (WindowFilter(state=OPEN), "redemption_windows_by_offer (offer_id>?)"),
        (WindowFilter(state=WINDING_DOWN, partner=PARTNER), "offer_periods_inactive (offer_id>?)"),
        (WindowFilter(partner=PARTNER), "inventory_by_partner (partner=? AND rowid>?)"),
        (WindowFilter(customer_id="C-1", state=WINDING_DOWN), "redemption_windows_by_customer (customer_id=? AND off"),
        (WindowFilter(FIRST.offer_uid, "C-1"), "sqlite_autoindex_streams_1 (stream_uid=?"),
    ],
)
def test_list_reads_offers_by_the_smallest_index(market: Market, window_filter: WindowFilter, index: str) -> None:
    with market.ledger.recorder.read() as tx:
        explained: Any = ExplainedCursor(tx, "AS matches")
        windows_as_of.page(explained, window_filter, market.viewpoint(), FIRST_WINDOW, 10)
    assert index in next(step for step in explained.steps if step.startswith("SEARCH"))
    ends = (
        "w USING COVERING INDEX redemption_windows_by_offer (offer_id=? AND redeemable_until>? AND redeemable_until<?)"
    )
    assert f"SEARCH {ends}" in explained.steps
