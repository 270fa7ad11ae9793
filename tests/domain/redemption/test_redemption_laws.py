"""Laws of activations and redemptions: a state machine compares the ledger with a simple model.

Partners, customers and clocks act in any order. No redemption window ever changes. (Contract, section 5.)
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from domain.access.partner import SetPartner
from domain.ledgers.activation_ledger import ActivationLedger, ActivationQueries
from domain.ledgers.hold_ledger import HoldLedger
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.redemption_ledger import PendingRedemption, RedemptionLedger, RedemptionResult
from domain.ledgers.single_request_ledger import SingleRequestLedger
from domain.redemption.activation import Activate, Activation, WindowState
from domain.redemption.activation_group import PendingActivation
from domain.redemption.flight import ScheduleFlight
from domain.redemption.hold import Hold, HoldCommand, HoldOffer, ReleaseOffer
from domain.redemption.redemption import Purchase, Reverse, remaining_amount, verdict_on
from domain.refusals import (
    FlightConflict,
    FlightInThePast,
    OfferNotActivatable,
    OfferOnHold,
    Refused,
    ReversalExceedsRedemption,
    ReversalReused,
    TimeInFuture,
    TransactionReused,
    UnknownOffer,
    UnknownRedemption,
)
from domain.single_requests.group import RequestDecision
from domain.store.commit import CommitContext, applicable_time, current_head
from domain.values import (
    Channel,
    OfferKey,
    Operation,
    Origin,
    Source,
    Status,
    from_microseconds,
    redemption_uid,
    utc_text,
)
from projections import projector
from projections.access import partners
from projections.maintenance.rebuild import rebuild
from projections.maintenance.verification import verify
from projections.offers import decision_state, inventory
from projections.offers.inventory import OfferFilter
from projections.offers.offer_as_of import offer_as_of
from projections.redemption import redemption_windows, windows_as_of
from projections.redemption.redemption_windows import find_activation
from projections.redemption.windows_as_of import FIRST_WINDOW, Viewpoint, WindowFilter, WindowView
from tests.support.engine import examples
from tests.support.examples import PARTNER, PAUSED, item
from tests.support.harness import OPERATOR, Clock, run_batch
from tests.support.histories.runs import open_ledger
from tests.support.histories.single_requests import delete, merchant_key, put

PUBLISHER = Origin("shop-window", Source.PUBLISHER)
OTHER_PARTNER = "harbor"
MERCHANT_KEYS = [merchant_key(), merchant_key(partner=OTHER_PARTNER)]
BATCH_KEYS = [OfferKey(PARTNER, Channel.CUSTOM, None, name) for name in ("TP-1", "TP-2")]
KEYS = [*MERCHANT_KEYS, *BATCH_KEYS]
INITIAL_KEYS = KEYS[:-1]
UIDS = {key: key.offer_uid for key in KEYS}
CUSTOMERS = ["C-1", "C-2"]
INSTANT = timedelta(microseconds=1)
NOTHING, DAY = timedelta(), timedelta(days=1)


class RelativeTime(NamedTuple):
    """A time as an offset from now, from a change of an offer, or from an edge of a window."""

    reference: str
    number: int
    offset: timedelta


AROUND_NOW = [NOTHING, timedelta(minutes=5), timedelta(minutes=5) + INSTANT, -INSTANT, -DAY, -13 * DAY]
LONG_AGO = [-14 * DAY, -14 * DAY - INSTANT, -20 * DAY, -40 * DAY]
AT_AN_EDGE = [NOTHING, -INSTANT, INSTANT, -5 * DAY]
relative_times = st.builds(
    RelativeTime, st.just("now"), st.just(0), st.sampled_from(AROUND_NOW + LONG_AGO)
) | st.builds(RelativeTime, st.sampled_from(["change", "begin", "end"]), st.integers(0, 9), st.sampled_from(AT_AN_EDGE))
keys = st.sampled_from(KEYS)
merchant_keys = st.sampled_from(MERCHANT_KEYS)
names = st.sampled_from(["a", "b"])
customers = st.sampled_from(CUSTOMERS)
reports = st.lists(st.tuples(customers, keys, relative_times | st.none()), min_size=1, max_size=2)
amounts = st.sampled_from(["10.00", "2.50", "20"])
parts = st.sampled_from(["2.5", "0.0001", "10"])


# Model


class OfferState(NamedTuple):
    """State of an offer from a time on."""

    at: datetime
    status: Status
    version: int
    name: str


class Window(NamedTuple):
    """Expected activation of a customer."""

    activation_id: UUID
    customer: str
    offer_uid: UUID
    version: int
    days: int
    begins: datetime
    ends: datetime
    late: bool

    def contains(self, time: datetime) -> bool:
        return self.begins <= time < self.ends


class Reversal(NamedTuple):
    at: datetime
    amount: Decimal


class RedeemedPurchase(NamedTuple):
    """A redeemed purchase and its reversals by reversalId."""

    purchase: Purchase
    window: Window
    reversals: dict[str, Reversal]

    def remaining(self) -> Decimal:
        return self.purchase.amount - sum((reversal.amount for reversal in self.reversals.values()), Decimal())


class WindowQuery(NamedTuple):
    """Filter of a list of windows."""

    key: OfferKey | None = None
    customer: str | None = None
    partner: str | None = None
    state: WindowState | None = None

    def filter(self) -> WindowFilter:
        return WindowFilter(UIDS[self.key] if self.key else None, self.customer, self.partner, self.state)


class ListedWindow(NamedTuple):
    """A window as the list shows it."""

    window: tuple[UUID, UUID, str, int, str, str]
    state: WindowState
    redeemed: list[tuple[str, Decimal, int]]


class Model:
    """Simple implementation of the contract's rules. `offers` are in the order of their creation."""

    def __init__(self, clock: Clock, recorded: list[datetime]) -> None:
        self.clock = clock
        self.recorded = recorded
        """The recorded times of all commits."""
        self.offers: dict[OfferKey, list[OfferState]] = {}
        self.flights: dict[OfferKey, dict[datetime, int]] = {key: {} for key in KEYS}
        self.days = {partner: [(datetime.min.replace(tzinfo=UTC), 45)] for partner in (PARTNER, OTHER_PARTNER)}
        """Redemption window days of each partner, with the times of their changes."""
        self.holds: dict[OfferKey, list[tuple[datetime, Hold | None]]] = {key: [] for key in KEYS}
        """The holds of each offer, and None for each release, with their recorded times."""
        self.windows: list[Window] = []
        self.redeemed_purchases: dict[str, RedeemedPurchase] = {}

    @property
    def now(self) -> datetime:
        return self.clock()

    @property
    def newest(self) -> datetime:
        return self.recorded[-1]

    def record(self) -> datetime:
        """Returns the recorded time of a new commit."""
        self.recorded.append(max(self.newest + INSTANT, self.clock()))
        return self.newest

    def applies_at(self, time: datetime | None) -> datetime:
        """Returns the recorded time whose state applies at a reported time; without it, at present."""
        settled = max((recorded for recorded in self.recorded if recorded <= self.now), default=None)
        if time is None or (self.newest > self.now and (settled is None or time > settled)):
            return max(time or self.now, self.newest)
        return time

    # Offers

    def offer(self, key: OfferKey, at: datetime | None = None) -> OfferState:
        states = [state for state in self.offers.get(key, []) if at is None or state.at <= at]
        return states[-1] if states else OfferState(self.now, Status.ABSENT, 0, "")

    def change(self, key: OfferKey, at: datetime, status: Status, name: str | None = None, versions: int = 1) -> None:
        before = self.offer(key)
        after = OfferState(at, status, before.version + versions, before.name if name is None else name)
        self.offers.setdefault(key, []).append(after)

    def is_held(self, key: OfferKey, time: datetime, recorded_by: datetime) -> bool:
        newest = [hold for since, hold in self.holds[key] if since <= recorded_by][-1:]
        return any(hold is not None and (hold.until is None or time < hold.until) for hold in newest)

    def versions_of_put(self, key: OfferKey, name: str) -> int:
        """Returns the number of versions that a PUT with this name adds."""
        before = self.offer(key)
        is_resumed, is_renamed = before.status is Status.PAUSED, before.name != name
        return is_resumed + is_renamed if before.status in {Status.ACTIVE, Status.PAUSED} else 1

    # Customers and publishers

    def windows_of(self, customer: str, offer_uid: UUID) -> list[Window]:
        return [window for window in self.windows if (window.customer, window.offer_uid) == (customer, offer_uid)]

    def covering(self, customer: str, offer_uid: UUID, time: datetime) -> Window | None:
        windows = [window for window in self.windows_of(customer, offer_uid) if window.contains(time)]
        return max(windows, key=lambda window: window.begins, default=None)

    def activate(
        self, activation_id: UUID, now: datetime, customer: str, key: OfferKey, reported_at: datetime | None
    ) -> tuple[Window, bool] | type[Refused]:
        """Returns the window and whether it is new, or the refusal. `now` is that of the transaction."""
        at = reported_at or now
        if key not in self.offers:
            return UnknownOffer
        if at > now + timedelta(minutes=5):
            return TimeInFuture
        if earlier := self.covering(customer, UIDS[key], at):
            return earlier, False
        applies_at = self.applies_at(reported_at)
        offer = self.offer(key, applies_at)
        if offer.status is not Status.ACTIVE or now - at > 14 * DAY:
            return OfferNotActivatable
        if self.is_held(key, at, applies_at):
            return OfferOnHold
        starts = [start for start in self.flights[key] if start <= at]
        settings_by_then = [days for since, days in self.days[key.partner] if since <= applies_at]
        days = self.flights[key][max(starts)] if starts else settings_by_then[-1]
        late = self.offer(key).status is not Status.ACTIVE
        ends = at + timedelta(days=days)
        self.windows.append(Window(activation_id, customer, UIDS[key], offer.version, days, at, ends, late))
        self.record()
        return self.windows[-1], True

    def redeem(self, purchase: Purchase) -> UUID | str | type[Refused]:
        """Returns the activation id of an eligible purchase, the reason of a refused one, or a refusal."""
        if not any(UIDS[key] == purchase.offer_uid for key in self.offers):
            return UnknownOffer
        if earlier := self.redeemed_purchases.get(purchase.transaction_id):
            return earlier.window.activation_id if earlier.purchase == purchase else TransactionReused
        if purchase.transacted_at > self.now + timedelta(minutes=5):
            return TimeInFuture
        if window := self.covering(purchase.customer_id, purchase.offer_uid, purchase.transacted_at):
            self.redeemed_purchases[purchase.transaction_id] = RedeemedPurchase(purchase, window, {})
            return window.activation_id
        return (
            "redemption-window-closed" if self.windows_of(purchase.customer_id, purchase.offer_uid) else "not-activated"
        )

    def reverse(self, transaction: str, reversal_id: str, amount: Decimal) -> bool | type[Refused]:
        """Returns whether the reversal is new, or the refusal."""
        redeemed = self.redeemed_purchases.get(transaction)
        if redeemed is None:
            return UnknownRedemption
        if earlier := redeemed.reversals.get(reversal_id):
            return False if earlier.amount == amount else ReversalReused
        if amount > redeemed.remaining():
            return ReversalExceedsRedemption
        redeemed.reversals[reversal_id] = Reversal(self.record(), amount)
        return True

    # Lists

    def listed(self, query: WindowQuery, at: datetime) -> list[ListedWindow]:
        listed = []
        for key in self.offers:
            windows = [w for w in self.windows if w.offer_uid == UIDS[key] and w.begins <= at]
            for window in sorted(windows, key=lambda w: w.ends):
                state = self.state(key, window, at)
                values = WindowQuery(key, window.customer, key.partner, state)
                if all(wanted in {None, value} for wanted, value in zip(query, values, strict=True)):
                    listed.append(ListedWindow(_expected_columns(window), state, self.redeemed(window, at)))
        return listed

    def state(self, key: OfferKey, window: Window, at: datetime) -> WindowState:
        if at >= window.ends:
            return WindowState.EXPIRED
        is_inactive = self.offer(key, self.applies_at(at)).status in {Status.PAUSED, Status.DELETED}
        return WindowState.WINDING_DOWN if is_inactive else WindowState.OPEN

    def redeemed(self, window: Window, at: datetime) -> list[tuple[str, Decimal, int]]:
        totals: dict[str, tuple[Decimal, int]] = {}
        for purchase, redeemed_on, reversals in self.redeemed_purchases.values():
            if redeemed_on == window and purchase.transacted_at <= at:
                total, count = totals.get(purchase.currency, (Decimal(), 0))
                known = [reversal for reversal in reversals.values() if reversal.at <= self.applies_at(at)]
                reversed_amount = sum((reversal.amount for reversal in known), Decimal())
                totals[purchase.currency] = (total + purchase.amount - reversed_amount, count + 1)
        return [(currency, *totals[currency]) for currency in sorted(totals)]

    def honoured_until(self, key: OfferKey) -> datetime | None:
        ends = [window.ends for window in self.windows if window.offer_uid == UIDS[key]]
        return max((end for end in ends if end > self.now), default=None)


def _expected_columns(window: Window) -> tuple[UUID, UUID, str, int, str, str]:
    times = utc_text(window.begins), utc_text(window.ends)
    return window.activation_id, window.offer_uid, window.customer, window.version, *times


def _listed_window(view: WindowView) -> ListedWindow:
    redeemed = [(one.currency, Decimal(one.amount), one.redemptions) for one in view.redeemed]
    window = (view.activation_id, view.offer_uid, view.customer_id, view.offer_version)
    return ListedWindow((*window, view.activated_at, view.redeemable_until), view.state, redeemed)


def _window(activation: Activation) -> Window:
    return Window(
        activation.activation_id,
        activation.customer_id,
        activation.offer_uid,
        activation.offer_version,
        activation.redemption_window_days,
        activation.window.activated_at,
        activation.window.redeemable_until,
        activation.late,
    )


# The machine


QUERIES = [
    WindowQuery(*values)
    for values in product(
        [None, *KEYS], [None, *CUSTOMERS], [None, PARTNER, OTHER_PARTNER, "nobody"], [None, *WindowState]
    )
]
QUERIES_PER_STEP = 5
_RECORDED = "SELECT recorded_at FROM commits ORDER BY recorded_at"


class RedemptionMachine(RuleBasedStateMachine):
    """Acts through the ledgers of the service. The clock can also go back."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        folder = self.resources.enter_context(tempfile.TemporaryDirectory())
        self.clock = Clock()
        self.ledger = self.resources.enter_context(open_ledger(Path(folder) / "ledger.db", self.clock))
        queries = ActivationQueries(
            offer_as_of, redemption_windows.offer_terms, partners.window_days_at, redemption_windows.find_activations
        )
        self.single_requests = SingleRequestLedger(
            self.ledger, decision_state.offers_lookup, decision_state.find_existing_ids, partners.terms_lookup
        )
        self.activations = ActivationLedger(self.ledger, queries)
        self.holds = HoldLedger(self.ledger, inventory.owner_of)
        self.redemptions = RedemptionLedger(self.ledger, queries)
        for partner in (PARTNER, OTHER_PARTNER):
            self.ledger.handle(SetPartner(partner, daily_quota=0), OPERATOR)
        with self.ledger.recorder.read() as tx:
            recorded = [from_microseconds(row["recorded_at"]) for row in tx.execute(_RECORDED)]
        self.model = Model(self.clock, recorded)
        self.reported: list[Purchase] = []
        self.queries = cycle(QUERIES)

    def teardown(self) -> None:
        try:
            self._compare_all_queries()
            assert verify(self.ledger) == []
            before = _rows(self.ledger)
            rebuild(self.ledger)
            assert _rows(self.ledger) == before
        finally:
            self.resources.close()

    # Time

    @rule(by=st.sampled_from([INSTANT, timedelta(hours=-1), DAY, DAY, 14 * DAY, 29 * DAY, 31 * DAY]))
    def change_clock(self, by: timedelta) -> None:
        self.clock.now += by

    @precondition(lambda self: self._edges_ahead())
    @rule(data=st.data())
    def set_clock_to_a_window_end(self, data: st.DataObject) -> None:
        self.clock.now = data.draw(st.sampled_from(self._edges_ahead()), "edge")

    # Partners and operators

    @initialize(
        reports=st.lists(st.tuples(customers, st.sampled_from(INITIAL_KEYS), st.none()), min_size=2, max_size=4)
    )
    def create_offers_and_activations(self, reports: list[tuple[str, OfferKey, RelativeTime | None]]) -> None:
        for key in MERCHANT_KEYS:
            self.put(key, "a")
        self.synchronize(frozenset(BATCH_KEYS[:1]), "a")
        self.activate(reports)

    @rule(key=merchant_keys, name=names)
    def put(self, key: OfferKey, name: str) -> None:
        versions = self.model.versions_of_put(key, name)
        (result,) = self.single_requests.execute([put(key, name)])
        if versions:
            self.model.change(key, self.model.record(), Status.ACTIVE, name, versions)
        assert isinstance(result, RequestDecision)
        assert result.trace.version == self.model.offer(key).version

    @rule(key=merchant_keys)
    def delete(self, key: OfferKey) -> None:
        (result,) = self.single_requests.execute([delete(key)])
        if self.model.offer(key).status in {Status.ACTIVE, Status.PAUSED}:
            self.model.change(key, self.model.record(), Status.DELETED)
        assert isinstance(result, RequestDecision)
        assert result.trace.version == self.model.offer(key).version

    @precondition(lambda self: self._active(MERCHANT_KEYS))
    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        """Pauses a merchant offer. No request does that yet."""
        key = data.draw(st.sampled_from(self._active(MERCHANT_KEYS)), "offer")
        with self.ledger.recorder.write() as tx:
            stream = (UIDS[key], self.model.offer(key).version, [PAUSED])
            self.ledger.commit(tx, CommitContext(OPERATOR, key.partner), [stream])
        self.model.change(key, self.model.record(), Status.PAUSED)

    @rule(key=keys, days=st.sampled_from([None, 1, 14]))
    def hold(self, key: OfferKey, days: int | None) -> None:
        until = None if days is None else self.model.now + days * DAY
        self._decide_hold(key, HoldOffer(UIDS[key], until), Hold(until))

    @rule(key=keys)
    def release(self, key: OfferKey) -> None:
        self._decide_hold(key, ReleaseOffer(UIDS[key]), None)

    def _decide_hold(self, key: OfferKey, command: HoldCommand, hold: Hold | None) -> None:
        if key not in self.model.offers:
            with pytest.raises(UnknownOffer):
                self.holds.execute(command, OPERATOR)
            return
        in_force = [newest for _, newest in self.model.holds[key][-1:] if newest and newest.is_in_force(self.model.now)]
        is_changed = in_force != [hold] if hold else bool(in_force)
        assert self.holds.execute(command, OPERATOR) == is_changed
        if is_changed:
            self.model.holds[key].append((self.model.record(), hold))

    @rule(named=st.frozensets(st.sampled_from(BATCH_KEYS), min_size=1), name=names)
    def synchronize(self, named: frozenset[OfferKey], name: str) -> None:
        """Pauses the offers that the batch does not name."""
        sent = sorted(named)
        run_batch(self.ledger, Operation.SYNCHRONIZE, [item(key.external_id, headline=name) for key in sent])
        versions = {key: self.model.versions_of_put(key, name) for key in sent}
        absent = [k for k in BATCH_KEYS if k not in named and self.model.offer(k).status is Status.ACTIVE]
        if any(versions.values()) or absent:
            at = self.model.record()
            for key in (key for key in sent if versions[key]):
                self.model.change(key, at, Status.ACTIVE, name, versions[key])
            for key in absent:
                self.model.change(key, at, Status.PAUSED)

    @rule(partner=st.sampled_from([PARTNER, OTHER_PARTNER]), days=st.sampled_from([30, 44, 45]))
    def set_days(self, partner: str, days: int) -> None:
        if self.ledger.handle(SetPartner(partner, redemption_window_days=days), OPERATOR):
            self.model.days[partner].append((self.model.record(), days))

    @rule(key=keys, after=st.sampled_from([-DAY, NOTHING, INSTANT, DAY]), days=st.sampled_from([30, 37]))
    def schedule(self, key: OfferKey, after: timedelta, days: int) -> None:
        start, flights = self.model.now + after, self.model.flights[key]
        expected: bool | type[Refused] = start not in flights
        if key not in self.model.offers:
            expected = UnknownOffer
        elif flights.get(start, days) != days:
            expected = FlightConflict
        elif start not in flights and after < NOTHING:
            expected = FlightInThePast
        try:
            answer: bool | type[Refused] = self.activations.schedule(ScheduleFlight(UIDS[key], start, days), PUBLISHER)
        except Refused as refusal:
            answer = type(refusal)
        assert answer == expected
        if answer is True:
            flights[start] = days
            self.model.record()

    # Customers

    @rule(reports=reports)
    def activate(self, reports: list[tuple[str, OfferKey, RelativeTime | None]]) -> None:
        self._activate([(customer, key, self._time(when) if when else None) for customer, key, when in reports])

    @rule(customer=customers, offset=st.sampled_from([NOTHING, -INSTANT]), data=st.data())
    def activate_around_a_change(self, customer: str, offset: timedelta, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(list(self.model.offers)), "offer")
        times = [state.at for state in self.model.offers[key]] + list(self.model.flights[key])
        times += [since for since, _ in self.model.days[key.partner][1:]]
        times += [since for since, _ in self.model.holds[key]]
        times += [hold.until for _, hold in self.model.holds[key] if hold and hold.until]
        self._activate([(customer, key, data.draw(st.sampled_from(times), "time") + offset)])

    @precondition(lambda self: self._active())
    @rule(customer=customers, when=st.none() | relative_times, data=st.data())
    def activate_an_active_offer(self, customer: str, when: RelativeTime | None, data: st.DataObject) -> None:
        self.activate([(customer, data.draw(st.sampled_from(self._active()), "offer"), when)])

    @rule(customer=customers, key=keys, amount=amounts, when=relative_times)
    def redeem(self, customer: str, key: OfferKey, amount: str, when: RelativeTime) -> None:
        self._report_new(customer, UIDS[key], amount, self._time(when))

    @precondition(lambda self: self.model.windows)
    @rule(index=st.integers(0, 9), amount=amounts, data=st.data())
    def redeem_around_a_window(self, index: int, amount: str, data: st.DataObject) -> None:
        window = self.model.windows[index % len(self.model.windows)]
        edges = [window.begins, window.ends - INSTANT, self.model.now, window.begins - INSTANT, window.ends]
        at = data.draw(st.sampled_from([edge for edge in edges if edge <= self.model.now]), "at")
        self._report_new(window.customer, window.offer_uid, amount, at)

    @precondition(lambda self: self.reported)
    @rule(index=st.integers(0, 9), amount=st.none() | st.none() | amounts)
    def repeat_redemption(self, index: int, amount: str | None) -> None:
        """Repeats a purchase, which may be eligible by now if it was refused, or reports another amount for it."""
        purchase = self.reported[-1 - index % len(self.reported)]
        self._report(replace(purchase, amount=Decimal(amount)) if amount else purchase)

    @precondition(lambda self: self.reported)
    @rule(index=st.integers(0, 9), reversal=st.sampled_from(["R-1", "R-2", "R-3"]), amount=parts)
    def reverse(self, index: int, reversal: str, amount: str) -> None:
        """Reverses a redeemed purchase, or a refused one if there are none."""
        transactions = list(self.model.redeemed_purchases) or [purchase.transaction_id for purchase in self.reported]
        transaction = transactions[index % len(transactions)]
        answer = self._execute(Reverse(redemption_uid(transaction), reversal, Decimal(amount)))
        expected = self.model.reverse(transaction, reversal, Decimal(amount))
        assert (answer.is_new if isinstance(answer, RedemptionResult) else type(answer)) == expected

    # Laws

    @invariant()
    def newest_recorded_time_is_that_of_the_model(self) -> None:
        assert self._newest() == self.model.newest

    @invariant()
    def activations_never_change(self) -> None:
        with self.ledger.recorder.read() as tx:
            activations = [find_activation(tx, window.activation_id) for window in self.model.windows]
        assert [_window(activation) for activation in activations if activation] == self.model.windows

    @invariant()
    def verdicts_around_windows_are_those_of_the_model(self) -> None:
        with self.ledger.recorder.read() as tx:
            for window in self.model.windows:
                activations = redemption_windows.find_activations(tx, [(window.customer, window.offer_uid)])
                for time in (window.begins, window.ends - INSTANT, window.begins - INSTANT, window.ends):
                    covering = self.model.covering(window.customer, window.offer_uid, time)
                    verdict = verdict_on(activations, time)
                    activation_id = verdict.activation_id if isinstance(verdict, Activation) else None
                    assert activation_id == (covering.activation_id if covering else None)

    @invariant()
    def remaining_amounts_are_those_of_the_model(self) -> None:
        for transaction, redeemed in self.model.redeemed_purchases.items():
            with self.redemptions.ledger.read() as tx:
                remaining = remaining_amount(self.redemptions.find(tx, redemption_uid(transaction)))
            assert remaining == redeemed.remaining() >= 0

    @invariant()
    def inventory_shows_redeemable_offers_and_their_last_window_ends(self) -> None:
        now, model = self.model.now, self.model
        expected = {}
        for key in model.offers:
            until = model.honoured_until(key)
            is_live = model.offer(key).status is Status.ACTIVE and not model.is_held(key, now, model.newest)
            is_redeemable = is_live or until is not None
            expected[UIDS[key]] = (utc_text(until) if until else None, is_redeemable)
        shown = {}
        with self.ledger.recorder.read() as tx:
            for redeemable in (True, False):
                for view in inventory.page(tx, OfferFilter(redeemable=redeemable), now, 0, 100).items:
                    shown[view.offer_uid] = (view.honoured_until, redeemable)
        assert shown == expected

    @invariant()
    def lists_of_windows_are_those_of_the_model(self) -> None:
        now = self.model.now
        for at in (now, now + 40 * DAY, now - 10 * DAY):
            self._compare(WindowQuery(), at, limit=2)
        for query in islice(self.queries, QUERIES_PER_STEP):
            self._compare(query, now, limit=1)

    # Helpers

    def _activate(self, reports: Sequence[tuple[str, OfferKey, datetime | None]]) -> None:
        """Executes the reports in one transaction."""
        requests = [
            PendingActivation(PUBLISHER, Activate(customer, UIDS[key], at), uuid4()) for customer, key, at in reports
        ]
        answers = [
            type(answer) if isinstance(answer, Refused) else (_window(answer.activation), answer.is_new)
            for answer in self.activations.execute(requests)
        ]
        now = self.model.now
        expected = [
            self.model.activate(r.activation_id, now, *report) for r, report in zip(requests, reports, strict=True)
        ]
        assert answers == expected

    def _edges_ahead(self) -> list[datetime]:
        return sorted({window.ends for window in self.model.windows if window.ends > self.model.now})

    def _active(self, among: Sequence[OfferKey] = KEYS) -> list[OfferKey]:
        return [key for key in among if self.model.offer(key).status is Status.ACTIVE]

    def _compare_all_queries(self) -> None:
        edges = [edge for window in self.model.windows for edge in (window.begins, window.ends - INSTANT, window.ends)]
        changes = [state.at for states in self.model.offers.values() for state in states]
        times = cycle([*edges, *changes, self.model.now])
        for query in QUERIES:
            self._compare(query, next(times), limit=1)
        for at in {*edges, *changes}:
            self._compare(WindowQuery(), at, limit=100)

    def _compare(self, query: WindowQuery, at: datetime, limit: int) -> None:
        listed = [_listed_window(view) for view in self._listed(query.filter(), at, limit)]
        assert listed == self.model.listed(query, at)
        assert all(amount >= 0 for window in listed for _, amount, _ in window.redeemed)

    def _listed(self, window_filter: WindowFilter, at: datetime, limit: int) -> Iterator[WindowView]:
        """Yields the windows page by page."""
        with self.ledger.recorder.read() as tx:
            viewpoint = Viewpoint(at, self.model.newest, applicable_time(tx, at, self.clock()))
        after = FIRST_WINDOW
        while True:
            with self.ledger.recorder.read() as tx:
                page = windows_as_of.page(tx, window_filter, viewpoint, after, limit)
            assert len(page.items) == limit or page.next_after is None
            yield from page.items
            if page.next_after is None:
                return
            after = page.next_after

    def _time(self, when: RelativeTime) -> datetime:
        """Returns the time; relative to now if there is no such change or window yet."""
        times = {
            "now": [self.model.now],
            "change": [state.at for states in self.model.offers.values() for state in states],
            "begin": [window.begins for window in self.model.windows],
            "end": [window.ends for window in self.model.windows],
        }[when.reference] or [self.model.now]
        return times[-1 - when.number % len(times)] + when.offset

    def _report_new(self, customer: str, offer_uid: UUID, amount: str, at: datetime) -> None:
        number = len(self.reported)
        currency = "EUR" if number % 3 == 2 else "USD"
        self.reported.append(Purchase(f"T-{number}", customer, offer_uid, Decimal(amount), currency, at))
        self._report(self.reported[-1])

    def _report(self, purchase: Purchase) -> None:
        before = self._newest()
        answer = self._execute(purchase)
        assert _result_of(answer) == self.model.redeem(purchase)
        if self._newest() != before:
            self.model.record()
        assert (self._newest() != before) == (isinstance(answer, RedemptionResult) and answer.is_new)

    def _execute(self, command: Purchase | Reverse) -> RedemptionResult | Refused:
        (answer,) = self.redemptions.execute([PendingRedemption(PUBLISHER, command)])
        return answer

    def _newest(self) -> datetime:
        with self.ledger.recorder.read() as tx:
            newest = current_head(tx).recorded_at
        assert newest
        return newest


def _result_of(answer: RedemptionResult | Refused) -> UUID | str | type[Refused]:
    if isinstance(answer, Refused):
        return type(answer)
    if redeemed := answer.redemption.redeemed:
        return UUID(redeemed.activation_id)
    assert answer.redemption.refused
    return str(answer.redemption.refused.reason)


def _rows(ledger: OfferLedger) -> dict[str, Sequence[Any]]:
    with ledger.recorder.read() as tx:
        return {
            projection.name: sorted(tuple(row) for row in tx.execute(f"SELECT * FROM {projection.name}"))
            for projection in projector.PROJECTIONS
        }


TestRedemptions = RedemptionMachine.TestCase
TestRedemptions.settings = settings(max_examples=examples(50), stateful_step_count=40, deadline=None)
