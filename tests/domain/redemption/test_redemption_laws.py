"""Whatever partners do, customers report and clocks show: what is owed comes out as the plainest model says, and no
window that was promised is ever shortened or lengthened. (Contract, section 5.)"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from domain.access.partner import SetPartner
from domain.ledgers.activation_ledger import ActivationLedger, ActivationQueries
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.redemption_ledger import PendingRedemption, RedemptionLedger, RedemptionResult
from domain.ledgers.single_request_ledger import SingleRequestLedger
from domain.redemption.activation import Activate, Activation, WindowState
from domain.redemption.activation_group import PendingActivation
from domain.redemption.flight import ScheduleFlight
from domain.redemption.redemption import Purchase, Reverse, remaining, verdict_on
from domain.refusals import (
    FlightConflict,
    FlightInThePast,
    OfferNotActivatable,
    Refused,
    ReversalExceedsRedemption,
    ReversalReused,
    TimeInFuture,
    TransactionReused,
    UnknownOffer,
    UnknownRedemption,
)
from domain.single_requests.group import Decided
from domain.store.commit import CommitContext, current_head
from domain.values import Channel, OfferKey, Operation, Origin, Source, Status, redemption_uid, utc_text
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
from tests.support.histories.runs import opened
from tests.support.histories.single_requests import delete, merchant_key, put

PUBLISHER = Origin("shop-window", Source.PUBLISHER)
OTHER_PARTNER = "harbor"
MERCHANT_KEYS = [merchant_key(), merchant_key(partner=OTHER_PARTNER)]
BATCH_KEYS = [OfferKey(PARTNER, Channel.CUSTOM, None, name) for name in ("TP-1", "TP-2")]
KEYS = [*MERCHANT_KEYS, *BATCH_KEYS]
AT_FIRST = KEYS[:-1]
UIDS = {key: key.offer_uid for key in KEYS}
CUSTOMERS = ["C-1", "C-2"]
INSTANT = timedelta(microseconds=1)
NOTHING, DAY = timedelta(), timedelta(days=1)


class When(NamedTuple):
    """A time as a caller may tell it: so long after one of the moments at which something happens."""

    of: str
    which: int
    after: timedelta


AROUND_NOW = [NOTHING, timedelta(minutes=5), timedelta(minutes=5) + INSTANT, -INSTANT, -DAY, -13 * DAY]
LONG_AGO = [-14 * DAY, -14 * DAY - INSTANT, -20 * DAY, -40 * DAY]
AT_AN_EDGE = [NOTHING, -INSTANT, INSTANT, -5 * DAY]
whens = st.builds(When, st.just("now"), st.just(0), st.sampled_from(AROUND_NOW + LONG_AGO)) | st.builds(
    When, st.sampled_from(["change", "begin", "end"]), st.integers(0, 9), st.sampled_from(AT_AN_EDGE)
)
keys = st.sampled_from(KEYS)
merchant_keys = st.sampled_from(MERCHANT_KEYS)
names = st.sampled_from(["a", "b"])
customers = st.sampled_from(CUSTOMERS)
reports = st.lists(st.tuples(customers, keys, whens | st.none()), min_size=1, max_size=2)
amounts = st.sampled_from(["10.00", "2.50", "20"])
parts = st.sampled_from(["2.5", "0.0001", "10"])


# What should be there


class Change(NamedTuple):
    """An offer from that moment on."""

    at: datetime
    status: Status
    version: int
    name: str


class Window(NamedTuple):
    """What a customer was promised."""

    activation_id: UUID
    customer: str
    offer_uid: UUID
    version: int
    days: int
    begins: datetime
    ends: datetime
    late: bool

    def holds(self, moment: datetime) -> bool:
        return self.begins <= moment < self.ends


class Reversal(NamedTuple):
    at: datetime
    amount: Decimal


class Bought(NamedTuple):
    """A purchase that is owed a reward, and what was taken back of it, by reversalId."""

    purchase: Purchase
    window: Window
    reversals: dict[str, Reversal]

    def left(self) -> Decimal:
        return self.purchase.amount - sum((reversal.amount for reversal in self.reversals.values()), Decimal())


class Look(NamedTuple):
    """Which windows are asked for."""

    key: OfferKey | None = None
    customer: str | None = None
    partner: str | None = None
    state: WindowState | None = None

    def filter(self) -> WindowFilter:
        return WindowFilter(UIDS[self.key] if self.key else None, self.customer, self.partner, self.state)


class Shown(NamedTuple):
    """A window in a list."""

    window: tuple[UUID, UUID, str, int, str, str]
    state: WindowState
    redeemed: list[tuple[str, Decimal, int]]


class Model:
    """The contract's table, in plain words. `offers` are in the order of their creation."""

    def __init__(self, clock: Clock, newest: datetime) -> None:
        self.clock = clock
        self.newest = newest
        self.offers: dict[OfferKey, list[Change]] = {}
        self.flights: dict[OfferKey, dict[datetime, int]] = {key: {} for key in KEYS}
        self.days = {partner: [(datetime.min.replace(tzinfo=UTC), 45)] for partner in (PARTNER, OTHER_PARTNER)}
        """Since when a partner has had which setting."""
        self.windows: list[Window] = []
        self.bought: dict[str, Bought] = {}

    @property
    def now(self) -> datetime:
        return max(self.clock(), self.newest)

    def record(self) -> datetime:
        """The recorded time of one more commit."""
        self.newest = max(self.newest + INSTANT, self.clock())
        return self.newest

    # Offers

    def offer(self, key: OfferKey, at: datetime | None = None) -> Change:
        found = [change for change in self.offers.get(key, []) if at is None or change.at <= at]
        return found[-1] if found else Change(self.now, Status.ABSENT, 0, "")

    def change(self, key: OfferKey, at: datetime, status: Status, name: str | None = None, versions: int = 1) -> None:
        was = self.offer(key)
        changed = Change(at, status, was.version + versions, was.name if name is None else name)
        self.offers.setdefault(key, []).append(changed)

    def versions_of_put(self, key: OfferKey, name: str) -> int:
        """How many more versions the offer has when it has been sent with that name."""
        was = self.offer(key)
        resumed, renamed = was.status is Status.PAUSED, was.name != name
        return resumed + renamed if was.status in {Status.ACTIVE, Status.PAUSED} else 1

    # What customers do

    def made(self, customer: str, offer_uid: UUID) -> list[Window]:
        return [window for window in self.windows if (window.customer, window.offer_uid) == (customer, offer_uid)]

    def holding(self, customer: str, offer_uid: UUID, moment: datetime) -> Window | None:
        found = [window for window in self.made(customer, offer_uid) if window.holds(moment)]
        return max(found, key=lambda window: window.begins, default=None)

    def activate(
        self, activation_id: UUID, now: datetime, customer: str, key: OfferKey, told: datetime | None
    ) -> tuple[Window, bool] | type[Refused]:
        """The activation and whether it is new, or the refusal. `now`: the same for all in a transaction."""
        at = told or now
        if key not in self.offers:
            return UnknownOffer
        if at > now + timedelta(minutes=5):
            return TimeInFuture
        if earlier := self.holding(customer, UIDS[key], at):
            return earlier, False
        then = self.offer(key, at)
        if then.status is not Status.ACTIVE or now - at > 14 * DAY:
            return OfferNotActivatable
        started = [start for start in self.flights[key] if start <= at]
        set_by_then = [days for since, days in self.days[key.partner] if since <= at]
        days = self.flights[key][max(started)] if started else set_by_then[-1]
        late = self.offer(key).status is not Status.ACTIVE
        ends = at + timedelta(days=days)
        self.windows.append(Window(activation_id, customer, UIDS[key], then.version, days, at, ends, late))
        self.record()
        return self.windows[-1], True

    def redeem(self, purchase: Purchase) -> UUID | str | type[Refused]:
        """The activation on which a reward is owed, the reason why there is none, or the refusal of the report."""
        if not any(UIDS[key] == purchase.offer_uid for key in self.offers):
            return UnknownOffer
        if known := self.bought.get(purchase.transaction_id):
            return known.window.activation_id if known.purchase == purchase else TransactionReused
        if purchase.transacted_at > self.now + timedelta(minutes=5):
            return TimeInFuture
        if window := self.holding(purchase.customer_id, purchase.offer_uid, purchase.transacted_at):
            self.bought[purchase.transaction_id] = Bought(purchase, window, {})
            return window.activation_id
        return "redemption-window-closed" if self.made(purchase.customer_id, purchase.offer_uid) else "not-activated"

    def reverse(self, transaction: str, reversal_id: str, amount: Decimal) -> bool | type[Refused]:
        """Whether it is new, or the refusal."""
        bought = self.bought.get(transaction)
        if bought is None:
            return UnknownRedemption
        if known := bought.reversals.get(reversal_id):
            return False if known.amount == amount else ReversalReused
        if amount > bought.left():
            return ReversalExceedsRedemption
        bought.reversals[reversal_id] = Reversal(self.record(), amount)
        return True

    # What is shown

    def listed(self, look: Look, at: datetime) -> list[Shown]:
        found = []
        for key in self.offers:
            windows = [w for w in self.windows if w.offer_uid == UIDS[key] and w.begins <= at]
            for window in sorted(windows, key=lambda w: w.ends):
                state = self.state(key, window, at)
                seen = Look(key, window.customer, key.partner, state)
                if all(asked in {None, there} for asked, there in zip(look, seen, strict=True)):
                    found.append(Shown(_told(window), state, self.redeemed(window, at)))
        return found

    def state(self, key: OfferKey, window: Window, at: datetime) -> WindowState:
        if at >= window.ends:
            return WindowState.EXPIRED
        return WindowState.OPEN if self.offer(key, at).status is Status.ACTIVE else WindowState.WINDING_DOWN

    def redeemed(self, window: Window, at: datetime) -> list[tuple[str, Decimal, int]]:
        totals: dict[str, tuple[Decimal, int]] = {}
        for purchase, of, reversals in self.bought.values():
            if of == window and purchase.transacted_at <= at:
                total, count = totals.get(purchase.currency, (Decimal(), 0))
                taken = sum((reversal.amount for reversal in reversals.values() if reversal.at <= at), Decimal())
                totals[purchase.currency] = (total + purchase.amount - taken, count + 1)
        return [(currency, *totals[currency]) for currency in sorted(totals)]

    def honoured_until(self, key: OfferKey) -> datetime | None:
        ends = [window.ends for window in self.windows if window.offer_uid == UIDS[key]]
        return max((end for end in ends if end > self.now), default=None)


def _told(window: Window) -> tuple[UUID, UUID, str, int, str, str]:
    times = utc_text(window.begins), utc_text(window.ends)
    return window.activation_id, window.offer_uid, window.customer, window.version, *times


def _shown(view: WindowView) -> Shown:
    redeemed = [(one.currency, Decimal(one.amount), one.redemptions) for one in view.redeemed]
    window = (view.activation_id, view.offer_uid, view.customer_id, view.offer_version)
    return Shown((*window, view.activated_at, view.redeemable_until), view.state, redeemed)


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


# What is there


LOOKS = [
    Look(*chosen)
    for chosen in product(
        [None, *KEYS], [None, *CUSTOMERS], [None, PARTNER, OTHER_PARTNER, "nobody"], [None, *WindowState]
    )
]
LOOKS_PER_STEP = 5


class Owed(RuleBasedStateMachine):
    """The doors are those of the service; the clock may be set back too."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        folder = self.resources.enter_context(tempfile.TemporaryDirectory())
        self.clock = Clock()
        self.ledger = self.resources.enter_context(opened(Path(folder) / "ledger.db", self.clock))
        ask = ActivationQueries(
            offer_as_of, redemption_windows.offer_terms, partners.window_days_at, redemption_windows.activations
        )
        self.traces = SingleRequestLedger(self.ledger, decision_state.find_offers, partners.find_terms)
        self.activations = ActivationLedger(self.ledger, ask)
        self.redemptions = RedemptionLedger(self.ledger, ask)
        for partner in (PARTNER, OTHER_PARTNER):
            self.ledger.handle(SetPartner(partner, daily_quota=0), OPERATOR)
        self.model = Model(self.clock, self._newest())
        self.reported: list[Purchase] = []
        self.looks = cycle(LOOKS)

    def teardown(self) -> None:
        try:
            self._look_everywhere()
            assert verify(self.ledger) == []
            before = _rows(self.ledger)
            rebuild(self.ledger)
            assert _rows(self.ledger) == before
        finally:
            self.resources.close()

    # Time

    @rule(by=st.sampled_from([INSTANT, timedelta(hours=-1), DAY, DAY, 14 * DAY, 29 * DAY, 31 * DAY]))
    def time_passes(self, by: timedelta) -> None:
        self.clock.now += by

    @precondition(lambda self: self._edges_ahead())
    @rule(data=st.data())
    def it_is_time(self, data: st.DataObject) -> None:
        self.clock.now = data.draw(st.sampled_from(self._edges_ahead()), "edge")

    # Partners and operators

    @initialize(asked=st.lists(st.tuples(customers, st.sampled_from(AT_FIRST), st.none()), min_size=2, max_size=4))
    def some_offers_and_customers_are_there(self, asked: list[tuple[str, OfferKey, When | None]]) -> None:
        for key in MERCHANT_KEYS:
            self.put(key, "a")
        self.synchronize(frozenset(BATCH_KEYS[:1]), "a")
        self.activate(asked)

    @rule(key=merchant_keys, name=names)
    def put(self, key: OfferKey, name: str) -> None:
        versions = self.model.versions_of_put(key, name)
        (done,) = self.traces.execute([put(key, name)])
        if versions:
            self.model.change(key, self.model.record(), Status.ACTIVE, name, versions)
        assert isinstance(done, Decided)
        assert done.trace
        assert done.trace.version == self.model.offer(key).version

    @rule(key=merchant_keys)
    def delete(self, key: OfferKey) -> None:
        (done,) = self.traces.execute([delete(key)])
        if self.model.offer(key).status in {Status.ACTIVE, Status.PAUSED}:
            self.model.change(key, self.model.record(), Status.DELETED)
        assert isinstance(done, Decided)
        assert done.trace
        assert done.trace.version == self.model.offer(key).version

    @precondition(lambda self: self._active(MERCHANT_KEYS))
    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        """A merchant offer: there is no door for that yet."""
        key = data.draw(st.sampled_from(self._active(MERCHANT_KEYS)), "offer")
        with self.ledger.recorder.write() as tx:
            stream = (UIDS[key], self.model.offer(key).version, [PAUSED])
            self.ledger.commit(tx, CommitContext(OPERATOR, key.partner), [stream])
        self.model.change(key, self.model.record(), Status.PAUSED)

    @rule(named=st.frozensets(st.sampled_from(BATCH_KEYS), min_size=1), name=names)
    def synchronize(self, named: frozenset[OfferKey], name: str) -> None:
        """Pauses what it does not name."""
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

    @rule(asked=reports)
    def activate(self, asked: list[tuple[str, OfferKey, When | None]]) -> None:
        self._activate([(customer, key, self._time(when) if when else None) for customer, key, when in asked])

    @rule(customer=customers, offset=st.sampled_from([NOTHING, -INSTANT]), data=st.data())
    def activate_when_something_changed(self, customer: str, offset: timedelta, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(list(self.model.offers)), "offer")
        moments = [change.at for change in self.model.offers[key]] + list(self.model.flights[key])
        moments += [since for since, _ in self.model.days[key.partner][1:]]
        self._activate([(customer, key, data.draw(st.sampled_from(moments), "moment") + offset)])

    @precondition(lambda self: self._active())
    @rule(customer=customers, when=st.none() | whens, data=st.data())
    def activate_what_is_active(self, customer: str, when: When | None, data: st.DataObject) -> None:
        self.activate([(customer, data.draw(st.sampled_from(self._active()), "offer"), when)])

    @rule(customer=customers, key=keys, amount=amounts, when=whens)
    def redeem(self, customer: str, key: OfferKey, amount: str, when: When) -> None:
        self._report_new(customer, UIDS[key], amount, self._time(when))

    @precondition(lambda self: self.model.windows)
    @rule(which=st.integers(0, 9), amount=amounts, data=st.data())
    def redeem_on_a_window(self, which: int, amount: str, data: st.DataObject) -> None:
        window = self.model.windows[which % len(self.model.windows)]
        edges = [window.begins, window.ends - INSTANT, self.model.now, window.begins - INSTANT, window.ends]
        at = data.draw(st.sampled_from([edge for edge in edges if edge <= self.model.now]), "at")
        self._report_new(window.customer, window.offer_uid, amount, at)

    @precondition(lambda self: self.reported)
    @rule(which=st.integers(0, 9), amount=st.none() | st.none() | amounts)
    def redeem_again(self, which: int, amount: str | None) -> None:
        """The same, which may be owed by now if it was refused; or something else under the same transactionId."""
        purchase = self.reported[-1 - which % len(self.reported)]
        self._report(replace(purchase, amount=Decimal(amount)) if amount else purchase)

    @precondition(lambda self: self.reported)
    @rule(which=st.integers(0, 9), reversal=st.sampled_from(["R-1", "R-2", "R-3"]), amount=parts)
    def reverse(self, which: int, reversal: str, amount: str) -> None:
        """What has been redeemed, or else what has been refused."""
        transactions = list(self.model.bought) or [purchase.transaction_id for purchase in self.reported]
        transaction = transactions[which % len(transactions)]
        answer = self._settle(Reverse(redemption_uid(transaction), reversal, Decimal(amount)))
        expected = self.model.reverse(transaction, reversal, Decimal(amount))
        assert (answer.is_new if isinstance(answer, RedemptionResult) else type(answer)) == expected

    # Laws

    @invariant()
    def every_commit_has_the_recorded_time_that_it_should_have(self) -> None:
        assert self._newest() == self.model.newest

    @invariant()
    def what_was_promised_stays_as_it_was_promised(self) -> None:
        with self.ledger.recorder.read() as tx:
            found = [find_activation(tx, window.activation_id) for window in self.model.windows]
        assert [_window(activation) for activation in found if activation] == self.model.windows

    @invariant()
    def a_window_is_honoured_from_its_first_instant_until_its_end(self) -> None:
        with self.ledger.recorder.read() as tx:
            for window in self.model.windows:
                made = redemption_windows.activations(tx, [(window.customer, window.offer_uid)])
                for moment in (window.begins, window.ends - INSTANT, window.begins - INSTANT, window.ends):
                    holding = self.model.holding(window.customer, window.offer_uid, moment)
                    verdict = verdict_on(made, moment)
                    found = verdict.activation_id if isinstance(verdict, Activation) else None
                    assert found == (holding.activation_id if holding else None)

    @invariant()
    def no_more_is_taken_back_than_was_redeemed(self) -> None:
        for transaction, bought in self.model.bought.items():
            with self.redemptions.ledger.read() as tx:
                left = remaining(self.redemptions.find(tx, redemption_uid(transaction)))
            assert left == bought.left() >= 0

    @invariant()
    def the_inventory_tells_until_when_offers_are_honoured_and_which_are_redeemable(self) -> None:
        now, model = self.model.now, self.model
        expected = {}
        for key in model.offers:
            until = model.honoured_until(key)
            is_redeemable = model.offer(key).status is Status.ACTIVE or until is not None
            expected[UIDS[key]] = (utc_text(until) if until else None, is_redeemable)
        shown = {}
        with self.ledger.recorder.read() as tx:
            for redeemable in (True, False):
                for view in inventory.page(tx, OfferFilter(redeemable=redeemable), now, 0, 100).items:
                    shown[view.offer_uid] = (view.honoured_until, redeemable)
        assert shown == expected

    @invariant()
    def the_list_shows_what_the_model_shows(self) -> None:
        now = self.model.now
        for at in (now, now + 40 * DAY, now - 10 * DAY):
            self._require_the_same(Look(), at, limit=2)
        for look in islice(self.looks, LOOKS_PER_STEP):
            self._require_the_same(look, now, limit=1)

    # The test's own

    def _activate(self, told: Sequence[tuple[str, OfferKey, datetime | None]]) -> None:
        """In one transaction."""
        requests = [
            PendingActivation(PUBLISHER, Activate(customer, UIDS[key], at), uuid4()) for customer, key, at in told
        ]
        answers = [
            type(answer) if isinstance(answer, Refused) else (_window(answer.activation), answer.is_new)
            for answer in self.activations.execute(requests)
        ]
        now = self.model.now
        expected = [self.model.activate(r.activation_id, now, *one) for r, one in zip(requests, told, strict=True)]
        assert answers == expected

    def _edges_ahead(self) -> list[datetime]:
        return sorted({window.ends for window in self.model.windows if window.ends > self.model.now})

    def _active(self, among: Sequence[OfferKey] = KEYS) -> list[OfferKey]:
        return [key for key in among if self.model.offer(key).status is Status.ACTIVE]

    def _look_everywhere(self) -> None:
        edges = [edge for window in self.model.windows for edge in (window.begins, window.ends - INSTANT, window.ends)]
        changes = [change.at for life in self.model.offers.values() for change in life]
        moments = cycle([*edges, *changes, self.model.now])
        for look in LOOKS:
            self._require_the_same(look, next(moments), limit=1)
        for at in {*edges, *changes}:
            self._require_the_same(Look(), at, limit=100)

    def _require_the_same(self, look: Look, at: datetime, limit: int) -> None:
        listed = [_shown(view) for view in self._listed(look.filter(), at, limit)]
        assert listed == self.model.listed(look, at)
        assert all(amount >= 0 for shown in listed for _, amount, _ in shown.redeemed)

    def _listed(self, wanted: WindowFilter, at: datetime, limit: int) -> Iterator[WindowView]:
        """Page by page."""
        sight, after = Viewpoint(at, self.model.newest), FIRST_WINDOW
        while True:
            with self.ledger.recorder.read() as tx:
                page = windows_as_of.page(tx, wanted, sight, after, limit)
            assert len(page.items) == limit or page.next_after is None
            yield from page.items
            if page.next_after is None:
                return
            after = page.next_after

    def _time(self, when: When) -> datetime:
        """Now, where there is no such moment yet."""
        moments = {
            "now": [self.model.now],
            "change": [change.at for life in self.model.offers.values() for change in life],
            "begin": [window.begins for window in self.model.windows],
            "end": [window.ends for window in self.model.windows],
        }[when.of] or [self.model.now]
        return moments[-1 - when.which % len(moments)] + when.after

    def _report_new(self, customer: str, offer_uid: UUID, amount: str, at: datetime) -> None:
        number = len(self.reported)
        currency = "EUR" if number % 3 == 2 else "USD"
        self.reported.append(Purchase(f"T-{number}", customer, offer_uid, Decimal(amount), currency, at))
        self._report(self.reported[-1])

    def _report(self, purchase: Purchase) -> None:
        before = self._newest()
        answer = self._settle(purchase)
        assert _settled(answer) == self.model.redeem(purchase)
        if self._newest() != before:
            self.model.record()
        assert (self._newest() != before) == (isinstance(answer, RedemptionResult) and answer.is_new)

    def _settle(self, asked: Purchase | Reverse) -> RedemptionResult | Refused:
        (answer,) = self.redemptions.execute([PendingRedemption(PUBLISHER, asked)])
        return answer

    def _newest(self) -> datetime:
        with self.ledger.recorder.read() as tx:
            newest = current_head(tx).recorded_at
        assert newest
        return newest


def _settled(answer: RedemptionResult | Refused) -> UUID | str | type[Refused]:
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


TestOwed = Owed.TestCase
TestOwed.settings = settings(max_examples=examples(50), stateful_step_count=40, deadline=None)
