"""Windows are listed as they stand at a moment, by what was known at another, page by page. (Contract, section 5.)"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from api.service import Service
from domain.access.partner import SetPartner
from domain.ledgers.redemption_ledger import PendingRedemption, RedemptionResult
from domain.redemption.activation import Activate, Activation, WindowState
from domain.redemption.activation_group import Activated, PendingActivation
from domain.redemption.redemption import Purchase, Reverse
from domain.store.commit import CommitContext, current_head
from domain.values import OfferKey, Operation, Origin, Source, utc_text
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
from tests.support.examples import KEY, PARTNER, PAUSED, item
from tests.support.harness import OPERATOR, Clock, run_batch
from tests.support.histories.single_requests import delete, merchant_key, put

PUBLISHER = Origin("shop-window", Source.PUBLISHER)
FIRST, SECOND, THIRD = (merchant_key(f"MO-{n}") for n in (1, 2, 3))
OF_HARBOR = merchant_key("MO-9", partner="harbor")
INSTANT = timedelta(microseconds=1)
SECOND_AFTER, DAY = timedelta(seconds=1), timedelta(days=1)
EVERYTHING = WindowFilter()
OPEN, WINDING_DOWN, EXPIRED = WindowState.OPEN, WindowState.WINDING_DOWN, WindowState.EXPIRED


class Market:
    """Partners, a publisher and its customers, by the doors of the service. Whatever they do takes them a second."""

    def __init__(self, service: Service, clock: Clock) -> None:
        self.service = service
        self.ledger = service.ledger
        self.clock = clock
        for partner in (PARTNER, "harbor"):
            self.ledger.handle(SetPartner(partner, daily_quota=0, synchronize_per_day=0), OPERATOR)

    # What is done; each answers its recorded time, or what was made

    def put(self, *keys: OfferKey) -> datetime:
        self.clock.now += SECOND_AFTER
        self.service.single_requests.execute([put(key) for key in keys])
        return self._recorded()

    def take_down(self, key: OfferKey) -> datetime:
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

    def activate_all(self, asked: Sequence[tuple[OfferKey, str, datetime | None]]) -> list[Activation]:
        """All at one instant, but for what the ledger needs to tell them apart."""
        requests = [
            PendingActivation(PUBLISHER, Activate(customer, key.offer_uid, at or self.clock.now), uuid4())
            for key, customer, at in asked
        ]
        answers = self.service.activations.execute(requests)
        assert all(isinstance(answer, Activated) and answer.is_new for answer in answers)
        return [answer.activation for answer in answers if isinstance(answer, Activated)]

    def buy(self, made: Activation, amount: str, currency: str = "USD", at: datetime | None = None) -> UUID:
        self.clock.now += SECOND_AFTER
        told = (str(uuid4()), made.customer_id, made.offer_uid, Decimal(amount), currency, at or self.clock.now)
        return self._settle(Purchase(*told))

    def give_back(self, redemption_id: UUID, amount: str) -> datetime:
        self.clock.now += SECOND_AFTER
        self._settle(Reverse(redemption_id, str(uuid4()), Decimal(amount)))
        return self._recorded()

    # What is seen

    def sight(self, at: datetime | None = None, known: datetime | None = None) -> Viewpoint:
        """Of this moment, by all that is known."""
        with self.ledger.recorder.read() as tx:
            newest = current_head(tx).recorded_at
            assert newest
            return Viewpoint(at or self.ledger.now(tx), known or newest)

    def page(
        self, wanted: WindowFilter, sight: Viewpoint, after: WindowPlace | None = FIRST_WINDOW, limit: int = 1000
    ) -> WindowPage:
        assert after
        with self.ledger.recorder.read() as tx:
            return windows_as_of.page(tx, wanted, sight, after, limit)

    def seen(self, at: datetime | None = None, wanted: WindowFilter = EVERYTHING) -> list[WindowView]:
        return self.page(wanted, self.sight(at)).items

    def states(self, at: datetime | None = None) -> list[WindowState]:
        return [view.state for view in self.seen(at)]

    def redeemed(self, sight: Viewpoint) -> list[tuple[str, str, int]]:
        """On the only window."""
        (view,) = self.page(EVERYTHING, sight).items
        return [(one.currency, one.amount, one.redemptions) for one in view.redeemed]

    def walk(self, wanted: WindowFilter, sight: Viewpoint, limit: int) -> Iterator[list[WindowView]]:
        after: WindowPlace | None = FIRST_WINDOW
        while after:
            page = self.page(wanted, sight, after, limit)
            yield page.items
            after = page.next_after

    def _settle(self, asked: Purchase | Reverse) -> UUID:
        (settled,) = self.service.redemptions.execute([PendingRedemption(PUBLISHER, asked)])
        assert isinstance(settled, RedemptionResult)
        assert settled.redemption.redeemed
        return settled.redemption_id

    def _recorded(self) -> datetime:
        return self.sight().known_at


@pytest.fixture
def market(service: Service, clock: Clock) -> Market:
    """Three offers are there, and one of another partner."""
    opened = Market(service, clock)
    opened.put(FIRST, SECOND)
    opened.put(OF_HARBOR)
    opened.put(THIRD)
    return opened


def named(views: Sequence[WindowView]) -> list[str]:
    """Whose windows of which offers."""
    names = {key.offer_uid: key.external_id for key in (FIRST, SECOND, THIRD, OF_HARBOR)}
    return [f"{names[view.offer_uid]} {view.customer_id}" for view in views]


# A window


def test_a_window_is_shown_as_it_was_fixed(market: Market) -> None:
    made = market.activate(FIRST)
    assert market.seen() == [
        WindowView(
            activation_id=made.activation_id,
            offer_uid=FIRST.offer_uid,
            customer_id="C-1",
            offer_version=1,
            activated_at=utc_text(made.window.activated_at),
            redeemable_until=utc_text(made.window.activated_at + 45 * DAY),
            state=OPEN,
            redeemed=[],
        )
    ]


def test_a_window_is_there_from_its_first_instant_and_has_expired_at_its_end(market: Market) -> None:
    window = market.activate(FIRST).window
    assert market.states(window.activated_at - INSTANT) == []
    assert market.states(window.activated_at) == [OPEN]
    assert market.states(window.redeemable_until - INSTANT) == [OPEN]
    assert market.states(window.redeemable_until) == [EXPIRED]
    assert market.states(window.redeemable_until + 1000 * DAY) == [EXPIRED]


def test_a_window_that_is_winding_down_has_the_same_edges(market: Market) -> None:
    window = market.activate(FIRST).window
    gone = market.take_down(FIRST)
    assert market.states(gone) == [WINDING_DOWN]
    assert market.states(window.redeemable_until - INSTANT) == [WINDING_DOWN]
    assert market.states(window.redeemable_until) == [EXPIRED]


def test_a_window_that_has_not_begun_is_not_shown(market: Market) -> None:
    """Clocks may differ: an activation may be told a little ahead."""
    begins = market.clock.now + timedelta(minutes=4)
    market.activate(FIRST, at=begins)
    assert market.states() == []
    assert market.states(begins - INSTANT) == []
    assert market.states(begins) == [OPEN]


def test_filters_by_state_have_the_same_edges(market: Market) -> None:
    """Beside windows that end a second later."""
    window = market.activate(FIRST).window
    market.activate(SECOND, at=window.activated_at)
    for key in (FIRST, SECOND):
        market.activate_all([(key, "C-2", window.activated_at + SECOND_AFTER)])
    market.take_down(SECOND)
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
        found = {state: named(market.seen(at, WindowFilter(state=state))) for state in WindowState}
        assert found == expected, at


# The offer at that moment


def test_a_pause_winds_windows_down_from_its_instant_until_the_offer_is_resumed(market: Market) -> None:
    market.activate(FIRST)
    paused = market.pause(FIRST)
    market.clock.now += DAY
    resumed = market.put(FIRST)
    moments = (paused - INSTANT, paused, resumed - INSTANT, resumed, resumed + DAY)
    assert [market.states(at) for at in moments] == [[OPEN], [WINDING_DOWN], [WINDING_DOWN], [OPEN], [OPEN]]


def test_a_deletion_winds_windows_down_from_its_instant_until_the_offer_is_restored(market: Market) -> None:
    market.activate(FIRST)
    deleted = market.take_down(FIRST)
    market.clock.now += DAY
    restored = market.put(FIRST)
    moments = (deleted - INSTANT, deleted, restored - INSTANT, restored, restored + DAY)
    assert [market.states(at) for at in moments] == [[OPEN], [WINDING_DOWN], [WINDING_DOWN], [OPEN], [OPEN]]


def test_an_offer_that_is_paused_and_then_deleted_has_not_been_active_for_one_time(market: Market) -> None:
    market.activate(FIRST)
    paused, deleted = market.pause(FIRST), market.take_down(FIRST)
    restored = market.put(FIRST)
    for at in (paused, deleted - INSTANT, deleted, restored - INSTANT):
        assert [named(market.seen(at, WindowFilter(state=state))) for state in (OPEN, WINDING_DOWN)] == [
            [],
            ["MO-1 C-1"],
        ]
    assert [market.states(at) for at in (paused - INSTANT, restored)] == [[OPEN], [OPEN]]


def test_an_offer_that_goes_again_and_again_is_seen_as_it_was_each_time(market: Market) -> None:
    market.activate(FIRST)
    moments = [
        moment
        for _ in range(3)
        for moment in (market.pause(FIRST), market.put(FIRST), market.take_down(FIRST), market.put(FIRST))
    ]
    assert [market.states(at) for at in moments] == [[WINDING_DOWN], [OPEN]] * 6
    assert [len(market.seen(at, WindowFilter(state=WINDING_DOWN))) for at in moments] == [1, 0] * 6


def test_a_batch_that_names_an_offer_no_more_winds_its_windows_down(market: Market) -> None:
    run_batch(market.ledger, Operation.SYNCHRONIZE, [item("TP-1"), item("TP-2")])
    market.activate(KEY)
    run_batch(market.ledger, Operation.SYNCHRONIZE, [item("TP-2")])
    assert market.states() == [WINDING_DOWN]
    run_batch(market.ledger, Operation.SYNCHRONIZE, [item("TP-1", headline="Another"), item("TP-2")])
    assert market.states() == [OPEN]


def test_of_the_future_it_is_told_what_is_known_now(market: Market) -> None:
    market.activate(FIRST)
    market.activate(SECOND)
    market.take_down(SECOND)
    assert market.states(market.clock.now + 10 * DAY) == [OPEN, WINDING_DOWN]


def test_another_offers_pause_is_of_no_consequence(market: Market) -> None:
    market.activate(FIRST)
    market.pause(SECOND)
    assert market.states() == [OPEN]


# What is known


def test_a_late_report_is_shown_at_the_time_of_which_it_tells_once_it_is_known(market: Market) -> None:
    then = market.clock.now
    market.clock.now += DAY
    market.activate(FIRST, at=then)
    recorded = market.clock.now
    assert market.states(then) == [OPEN]
    assert market.page(EVERYTHING, Viewpoint(then, recorded)).items != []
    assert market.page(EVERYTHING, Viewpoint(then, recorded - INSTANT)).items == []


def test_what_became_of_an_offer_later_is_not_known(market: Market) -> None:
    market.activate(FIRST)
    paused = market.pause(FIRST)
    resumed = market.put(FIRST)
    ahead = resumed + DAY
    known = (paused - INSTANT, paused, resumed - INSTANT, resumed)
    found = [market.page(EVERYTHING, Viewpoint(ahead, moment)).items[0].state for moment in known]
    assert found == [OPEN, WINDING_DOWN, WINDING_DOWN, OPEN]
    assert [len(market.page(WindowFilter(state=WINDING_DOWN), Viewpoint(ahead, moment)).items) for moment in known] == [
        0,
        1,
        1,
        0,
    ]


# What has been redeemed


def test_purchases_are_added_up_by_currency(market: Market) -> None:
    made = market.activate(FIRST)
    for amount, currency in (("10.00", "USD"), ("2.5", "EUR"), ("0.0001", "USD"), ("1", "CHF")):
        market.buy(made, amount, currency)
    assert market.redeemed(market.sight()) == [("CHF", "1", 1), ("EUR", "2.5", 1), ("USD", "10.0001", 2)]


def test_a_purchase_counts_from_its_own_time_on_however_late_it_is_reported(market: Market) -> None:
    made = market.activate(FIRST)
    market.clock.now += DAY
    bought = market.clock.now
    market.clock.now += DAY
    market.buy(made, "10.00", at=bought)
    reported = market.clock.now
    assert market.redeemed(market.sight(bought - INSTANT)) == []
    assert market.redeemed(market.sight(bought)) == [("USD", "10.00", 1)]
    assert market.redeemed(Viewpoint(bought, reported - INSTANT)) == []


def test_a_reversal_counts_from_when_it_was_recorded(market: Market) -> None:
    made = market.activate(FIRST)
    redemption = market.buy(made, "10.00")
    market.clock.now += DAY
    part, rest = market.give_back(redemption, "2.50"), market.give_back(redemption, "7.50")
    assert market.redeemed(market.sight(part - INSTANT)) == [("USD", "10.00", 1)]
    assert market.redeemed(market.sight(part)) == [("USD", "7.50", 1)]
    assert market.redeemed(market.sight(rest)) == [("USD", "0.00", 1)]
    assert market.redeemed(Viewpoint(rest + DAY, rest - INSTANT)) == [("USD", "7.50", 1)]


def test_what_is_refused_is_not_redeemed(market: Market) -> None:
    made = market.activate(FIRST)
    before = made.window.activated_at - INSTANT
    purchase = Purchase("T-1", "C-1", FIRST.offer_uid, Decimal(10), "USD", before)
    market.service.redemptions.execute([PendingRedemption(PUBLISHER, purchase)])
    assert market.redeemed(market.sight()) == []


def test_each_window_has_its_own_purchases(market: Market) -> None:
    made = [market.activate(key, customer) for key in (FIRST, SECOND) for customer in ("C-1", "C-2")]
    for number, one in enumerate(made, 1):
        market.buy(one, f"{number}.00")
    assert [view.redeemed[0].amount for view in market.seen()] == ["1.00", "2.00", "3.00", "4.00"]


# Filters


@pytest.fixture
def stocked(market: Market) -> Market:
    """Two that have expired; two that are open, two that wind down, and one of another partner."""
    market.ledger.handle(SetPartner(PARTNER, redemption_window_days=30), OPERATOR)
    market.activate(FIRST, "C-1")
    market.activate(SECOND, "C-1")
    market.clock.now += 30 * DAY
    market.activate(FIRST, "C-2")
    market.activate(FIRST, "C-1")
    market.activate(SECOND, "C-2")
    market.activate(SECOND, "C-3")
    market.activate(OF_HARBOR, "C-2")
    market.take_down(SECOND)
    return market


@pytest.mark.parametrize(
    ("wanted", "found"),
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
def test_windows_are_found_by_what_is_asked(stocked: Market, wanted: WindowFilter, found: list[str]) -> None:
    for limit in (1, 2, 1000):
        pages = list(stocked.walk(wanted, stocked.sight(), limit))
        assert [name for page in pages for name in named(page)] == found
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)


def test_filters_hold_at_other_moments_too(stocked: Market) -> None:
    before = stocked.clock.now - 2 * DAY
    assert named(stocked.seen(before)) == ["MO-1 C-1", "MO-2 C-1"]
    assert named(stocked.seen(before, WindowFilter(state=OPEN))) == ["MO-1 C-1", "MO-2 C-1"]
    assert named(stocked.seen(before, WindowFilter(state=WINDING_DOWN))) == []
    after = stocked.clock.now + 40 * DAY
    assert named(stocked.seen(after, WindowFilter(state=OPEN))) == ["MO-9 C-2"]
    assert named(stocked.seen(after, WindowFilter(state=EXPIRED, partner="harbor"))) == []


# Order and pages


def test_windows_come_offer_by_offer_and_then_by_their_ends(market: Market) -> None:
    start = market.clock.now
    market.clock.now += 10 * DAY
    market.activate(THIRD, "C-1")
    market.activate(FIRST, "C-1", start + 5 * DAY)
    market.activate(OF_HARBOR, "C-1")
    market.activate(FIRST, "C-2", start + 1 * DAY)
    market.activate(FIRST, "C-3", start + 9 * DAY)
    market.activate(SECOND, "C-1")
    assert named(market.seen()) == ["MO-1 C-2", "MO-1 C-1", "MO-1 C-3", "MO-2 C-1", "MO-9 C-1", "MO-3 C-1"]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_windows_that_end_at_the_same_instant_are_each_shown_once(market: Market, limit: int) -> None:
    market.activate_all([(key, f"C-{n}", None) for n in range(4) for key in (FIRST, SECOND)])
    pages = list(market.walk(EVERYTHING, market.sight(), limit))
    assert [name for page in pages for name in named(page)] == [f"MO-{o} C-{n}" for o in (1, 2) for n in range(4)]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
def test_a_page_is_full_unless_it_is_the_last_one(market: Market, limit: int) -> None:
    market.activate_all([(key, f"C-{n}", None) for key in (FIRST, SECOND, THIRD) for n in range(2)])
    sizes = [len(page) for page in market.walk(EVERYTHING, market.sight(), limit)]
    assert sizes[:-1] == [limit] * (len(sizes) - 1)
    assert 1 <= sizes[-1] <= limit
    assert sum(sizes) == 6


def test_a_list_of_nothing_is_one_empty_page(market: Market) -> None:
    assert market.page(EVERYTHING, market.sight()) == WindowPage([], None)


@pytest.mark.parametrize("wanted", [EVERYTHING, WindowFilter(state=OPEN), WindowFilter(customer_id="C-1")])
def test_later_pages_look_at_the_moment_of_the_first_whatever_happens_in_between(
    market: Market, wanted: WindowFilter
) -> None:
    made = [market.activate(key) for key in (FIRST, SECOND, THIRD)]
    redemption = market.buy(made[1], "10.00")
    market.buy(made[2], "3.00")
    sight = market.sight()
    expected = market.page(wanted, sight).items
    pages = market.walk(wanted, sight, 1)
    seen = [*next(pages)]
    market.take_down(SECOND)
    market.give_back(redemption, "1.00")
    market.activate(SECOND, at=made[1].window.activated_at - INSTANT)
    seen += next(pages)
    market.pause(THIRD)
    market.buy(made[2], "5.00", at=made[2].window.activated_at)
    market.activate(OF_HARBOR)
    seen += next(pages)
    assert (seen, list(pages)) == (expected, [])
    assert [view.activation_id for view in seen] == [one.activation_id for one in made]


# Many offers


MANY = 2 * windows_as_of.OFFERS_PER_LOOK + 5


def many_keys() -> list[OfferKey]:
    return [KEY._replace(external_id=f"TP-{n}") for n in range(MANY)]


@pytest.fixture
def crowded(market: Market) -> Market:
    """Many offers, each with a window of its own customer and one of a customer who activates everything; every other one
    is paused then."""
    items = [item(key.external_id) for key in many_keys()]
    run_batch(market.ledger, Operation.SYNCHRONIZE, items)
    market.clock.now += SECOND_AFTER
    market.activate_all([(key, customer, None) for key in many_keys() for customer in (key.external_id, "C-1")])
    market.clock.now += SECOND_AFTER
    run_batch(market.ledger, Operation.SYNCHRONIZE, items[::2])
    market.clock.now += SECOND_AFTER
    return market


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (EVERYTHING, [(n, customer) for n in range(MANY) for customer in (f"TP-{n}", "C-1")]),
        (WindowFilter(partner=PARTNER, customer_id="C-1"), [(n, "C-1") for n in range(MANY)]),
        (WindowFilter(customer_id="C-1"), [(n, "C-1") for n in range(MANY)]),
        (WindowFilter(partner=PARTNER), [(n, customer) for n in range(MANY) for customer in (f"TP-{n}", "C-1")]),
        (WindowFilter(state=OPEN), [(n, customer) for n in range(0, MANY, 2) for customer in (f"TP-{n}", "C-1")]),
        (WindowFilter(state=WINDING_DOWN, customer_id="C-1"), [(n, "C-1") for n in range(1, MANY, 2)]),
        (WindowFilter(state=WINDING_DOWN), [(n, who) for n in range(1, MANY, 2) for who in (f"TP-{n}", "C-1")]),
        (WindowFilter(state=EXPIRED), []),
        (WindowFilter(customer_id=f"TP-{MANY - 1}"), [(MANY - 1, f"TP-{MANY - 1}")]),
    ],
)
def test_more_offers_than_are_looked_at_in_one_go_are_all_looked_at(
    crowded: Market, wanted: WindowFilter, found: list[tuple[int, str]]
) -> None:
    keys = many_keys()
    expected = [(keys[n].offer_uid, customer) for n, customer in found]
    for limit in (37, 1000):
        pages = list(crowded.walk(wanted, crowded.sight(), limit))
        assert [(view.offer_uid, view.customer_id) for page in pages for view in page] == expected


def test_many_offers_without_windows_do_not_end_the_list(market: Market) -> None:
    run_batch(market.ledger, Operation.INSERT, [item(key.external_id) for key in many_keys()])
    first, last = many_keys()[0], many_keys()[-1]
    market.activate(first)
    market.activate(last)
    for wanted in (EVERYTHING, WindowFilter(partner=PARTNER), WindowFilter(state=OPEN)):
        pages = market.walk(wanted, market.sight(), 1)
        assert [view.offer_uid for page in pages for view in page] == [first.offer_uid, last.offer_uid]
