"""Tests of decisions about purchases and reversals."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.events import (
    OfferActivated,
    OfferRedeemed,
    RedemptionEvent,
    RedemptionRefused,
    RedemptionReversed,
    RefusalReason,
)
from domain.redemption.activation import CLOCK_TOLERANCE, Activation, activation_of
from domain.redemption.redemption import (
    UNKNOWN_REDEMPTION,
    Purchase,
    Redemption,
    Reverse,
    evolve,
    find_reversal,
    purchase_of,
    redeem,
    remaining_amount,
    reverse,
)
from domain.refusals import (
    Refused,
    ReversalExceedsRedemption,
    ReversalReused,
    TimeInFuture,
    TooManyReversals,
    TransactionReused,
    UnknownRedemption,
)
from domain.values import redemption_uid, to_microseconds
from tests.support.examples import KEY

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
PURCHASE = Purchase("T-1", "C-1", KEY.offer_uid, Decimal("12.50"), "USD", NOW)
REDEMPTION_ID = redemption_uid(PURCHASE.transaction_id)
NOT_ACTIVATED, WINDOW_CLOSED = RefusalReason.NOT_ACTIVATED, RefusalReason.WINDOW_CLOSED
OTHER_MEMBERS: list[dict[str, Any]] = [
    {"transaction_id": "T-2"},
    {"customer_id": "C-2"},
    {"offer_uid": uuid4()},
    {"amount": Decimal("12.51")},
    {"currency": "EUR"},
    {"transacted_at": NOW - INSTANT},
    {"partner_store_id": "S-1"},
    {"partner_merchant_name": "Juniper"},
    {"card_type": "debit"},
    {"card_last_four": "0042"},
]


def activated(at: datetime, days: int = 30, version: int = 1) -> Activation:
    event = OfferActivated(
        customer_id="C-1",
        offer_uid=str(KEY.offer_uid),
        offer_version=version,
        activated_at=to_microseconds(at),
        redemption_window_days=days,
        redeemable_until=to_microseconds(at + timedelta(days=days)),
    )
    return activation_of(uuid4(), event)


TIMELY, LAPSED = activated(NOW - timedelta(days=1)), activated(NOW - timedelta(days=31))


def after(*events: RedemptionEvent) -> Redemption:
    return reduce(evolve, events, UNKNOWN_REDEMPTION)


def members_of(purchase: Purchase = PURCHASE) -> dict[str, Any]:
    """Returns the event members of a purchase."""
    return {
        "transaction_id": purchase.transaction_id,
        "customer_id": purchase.customer_id,
        "offer_uid": str(purchase.offer_uid),
        "amount": str(purchase.amount),
        "currency": purchase.currency,
        "transacted_at": to_microseconds(purchase.transacted_at),
    }


def redeemed(amount: str = "12.50", on: Activation = TIMELY) -> OfferRedeemed:
    members = members_of() | {"amount": amount}
    return OfferRedeemed(**members, activation_id=str(on.activation_id), offer_version=on.offer_version)


def refused(reason: RefusalReason, purchase: Purchase = PURCHASE) -> RedemptionRefused:
    return RedemptionRefused(**members_of(purchase), reason=reason)


def undone(reversal_id: str, amount: str) -> RedemptionReversed:
    return RedemptionReversed(reversal_id=reversal_id, amount=amount)


def when(
    activations: Sequence[Activation] = (),
    before: Redemption = UNKNOWN_REDEMPTION,
    purchase: Purchase = PURCHASE,
    now: datetime = NOW,
) -> list[RedemptionEvent]:
    return redeem(before, purchase, activations, now)


def when_undone(before: Redemption, reversal_id: str, amount: str) -> list[RedemptionEvent]:
    return reverse(before, Reverse(REDEMPTION_ID, reversal_id, Decimal(amount)))


# Purchases


def test_purchase_in_a_window_is_redeemed_with_the_activated_version() -> None:
    activation = activated(NOW - timedelta(days=3), version=7)
    assert when([activation]) == [
        OfferRedeemed(**members_of(), activation_id=str(activation.activation_id), offer_version=7),
    ]


@pytest.mark.parametrize("activations", [[TIMELY], []])
def test_event_records_all_members_of_a_purchase(activations: list[Activation]) -> None:
    purchase = replace(
        PURCHASE,
        partner_store_id="S-1",
        partner_merchant_name="Juniper Noodle House",
        card_type="debit",
        card_last_four="0042",
    )
    (event,) = when(activations, purchase=purchase)
    assert isinstance(event, OfferRedeemed | RedemptionRefused)
    assert purchase_of(event) == purchase
    assert event.amount == "12.50"


@pytest.mark.parametrize("days", [30, 45])
def test_window_contains_its_start_but_not_its_end(days: int) -> None:
    begin = NOW - timedelta(days=100)
    activation = activated(begin, days)
    end = begin + timedelta(days=days)
    results = {
        at: type(when([activation], purchase=replace(PURCHASE, transacted_at=at))[0])
        for at in (begin - INSTANT, begin, end - INSTANT, end)
    }
    assert list(results.values()) == [RedemptionRefused, OfferRedeemed, OfferRedeemed, RedemptionRefused]


def test_time_of_the_purchase_counts_not_of_its_report() -> None:
    assert when([TIMELY], now=NOW + timedelta(days=400)) == [redeemed()]


def test_purchase_without_activation_is_refused() -> None:
    assert when() == [refused(NOT_ACTIVATED)]


@pytest.mark.parametrize("activation", [LAPSED, activated(NOW + INSTANT)])
def test_purchase_outside_all_windows_is_refused(activation: Activation) -> None:
    assert when([activation]) == [refused(WINDOW_CLOSED)]


def test_latest_of_overlapping_windows_is_redeemed() -> None:
    one, other = activated(NOW - timedelta(days=5), 45), activated(NOW - timedelta(days=2))
    for activations in ([one, other], [other, one]):
        assert when(activations) == [redeemed(on=other)]


def test_earlier_window_is_redeemed_if_only_it_contains_the_purchase() -> None:
    one, other = activated(NOW - timedelta(days=5)), activated(NOW + INSTANT)
    assert when([one, other]) == [redeemed(on=one)]


@pytest.mark.parametrize("activations", [[activated(NOW)], []])
def test_purchase_can_be_five_minutes_ahead(activations: list[Activation]) -> None:
    ahead = replace(PURCHASE, transacted_at=NOW + CLOCK_TOLERANCE)
    assert timedelta(minutes=5) == CLOCK_TOLERANCE
    assert len(when(activations, purchase=ahead)) == 1
    with pytest.raises(TimeInFuture) as caught:
        when(activations, purchase=replace(ahead, transacted_at=NOW + CLOCK_TOLERANCE + INSTANT))
    assert caught.value.field == "transactedAt"


# Repeated transactions


@pytest.mark.parametrize(("activations", "reason"), [([], NOT_ACTIVATED), ([LAPSED], WINDOW_CLOSED)])
def test_repeated_refusal_for_the_same_reason_produces_no_event(
    activations: list[Activation], reason: RefusalReason
) -> None:
    before = after(refused(reason))
    assert when(activations, before) == []
    assert when(activations, before, replace(PURCHASE, amount=Decimal("12.5"))) == []


def test_refusal_for_another_reason_is_recorded() -> None:
    assert when([LAPSED], after(refused(NOT_ACTIVATED))) == [refused(WINDOW_CLOSED)]


@pytest.mark.parametrize("other", OTHER_MEMBERS[1:], ids=lambda other: next(iter(other)))
def test_refusal_with_other_members_is_recorded(other: dict[str, Any]) -> None:
    changed = replace(PURCHASE, **other)
    (event,) = when(before=after(refused(NOT_ACTIVATED)), purchase=changed)
    assert isinstance(event, RedemptionRefused)
    assert purchase_of(event) == changed


def test_only_the_latest_refusal_counts_as_repeated() -> None:
    before = after(refused(NOT_ACTIVATED), refused(WINDOW_CLOSED))
    assert when([LAPSED], before) == []
    assert when([], before) == [refused(NOT_ACTIVATED)]


@pytest.mark.parametrize("reason", RefusalReason)
def test_refused_purchase_can_be_redeemed_after_an_activation(reason: RefusalReason) -> None:
    assert when([TIMELY], after(refused(reason))) == [redeemed()]


def test_refused_purchase_can_be_redeemed_with_other_members() -> None:
    mistaken = replace(PURCHASE, customer_id="C-9", amount=Decimal(99))
    assert when([TIMELY], after(refused(NOT_ACTIVATED, mistaken))) == [redeemed()]


@pytest.mark.parametrize("amount", ["12.50", "12.5", "12.5000"])
def test_repeated_redemption_produces_no_event_whatever_the_spelling(amount: str) -> None:
    assert when([TIMELY], after(redeemed()), replace(PURCHASE, amount=Decimal(amount))) == []


@pytest.mark.parametrize("activations", [[], [LAPSED], [activated(NOW)]])
def test_redeemed_purchase_stays_redeemed_whatever_the_activations(activations: list[Activation]) -> None:
    assert when(activations, after(refused(NOT_ACTIVATED), redeemed(), undone("R-1", "12.50"))) == []


def test_redeemed_purchase_stays_redeemed_if_the_clock_goes_back() -> None:
    assert when([TIMELY], after(redeemed()), now=NOW - timedelta(hours=1)) == []


@pytest.mark.parametrize("other", OTHER_MEMBERS, ids=lambda other: next(iter(other)))
def test_redeemed_purchase_can_not_be_reported_with_other_members(other: dict[str, Any]) -> None:
    with pytest.raises(TransactionReused):
        when([TIMELY], after(redeemed()), replace(PURCHASE, **other))


# Reversals


@pytest.mark.parametrize("amount", ["0.0001", "12.49", "12.50", "12.5"])
def test_redemption_can_be_reversed_in_part_or_completely(amount: str) -> None:
    assert when_undone(after(redeemed()), "R-1", amount) == [undone("R-1", amount)]


def test_reversal_can_not_exceed_the_redemption() -> None:
    with pytest.raises(ReversalExceedsRedemption) as caught:
        when_undone(after(redeemed()), "R-1", "12.5001")
    assert caught.value.remaining == Decimal("12.50")


def test_reversal_can_not_exceed_the_remaining_amount() -> None:
    before = after(redeemed(), undone("R-1", "4.5"), undone("R-2", "2"))
    assert when_undone(before, "R-3", "6.00") == [undone("R-3", "6.00")]
    with pytest.raises(ReversalExceedsRedemption) as caught:
        when_undone(before, "R-3", "6.0001")
    assert caught.value.remaining == Decimal(6)


@pytest.mark.parametrize("amount", ["12.50", "12.5", "12.5000"])
def test_repeated_reversal_produces_no_event_even_if_nothing_remains(amount: str) -> None:
    assert when_undone(after(redeemed(), undone("R-1", "12.50")), "R-1", amount) == []


@pytest.mark.parametrize("amount", ["3", "5", "99"])
def test_repeated_reversal_can_not_have_another_amount(amount: str) -> None:
    with pytest.raises(ReversalReused):
        when_undone(after(redeemed(), undone("R-1", "4")), "R-1", amount)


@pytest.mark.parametrize("before", [UNKNOWN_REDEMPTION, after(refused(NOT_ACTIVATED))], ids=["unknown", "refused"])
def test_purchase_that_is_not_redeemed_can_not_be_reversed(before: Redemption) -> None:
    with pytest.raises(UnknownRedemption):
        when_undone(before, "R-1", "1")


def test_remaining_amount_is_known_after_each_reversal() -> None:
    redemption = after(redeemed(), undone("R-1", "4.5"), undone("R-2", "2"), undone("R-3", "6"))
    assert [remaining_amount(redemption, reversal_id) for reversal_id in ("R-1", "R-2", "R-3")] == [
        Decimal(8),
        Decimal(6),
        Decimal(0),
    ]
    assert remaining_amount(redemption) == 0
    assert remaining_amount(after(redeemed())) == Decimal("12.50")
    assert remaining_amount(after(refused(NOT_ACTIVATED))) == remaining_amount(UNKNOWN_REDEMPTION) == 0


def test_find_reversal_finds_a_reversal_by_its_id() -> None:
    one, other = undone("R-1", "4.5"), undone("R-2", "2")
    redemption = after(redeemed(), one, other)
    assert [find_reversal(redemption, reversal_id) for reversal_id in ("R-1", "R-2", "r-1")] == [one, other, None]


def test_state_contains_each_event_of_the_transaction() -> None:
    last, reversals = refused(WINDOW_CLOSED), (undone("R-1", "1"), undone("R-2", "2"))
    redemption = after(refused(NOT_ACTIVATED), last, redeemed(), *reversals)
    assert (redemption.version, redemption.refused) == (5, last)
    assert (redemption.redeemed, redemption.reversals) == (redeemed(), reversals)


# Laws

UNIT = Decimal("0.0001")
LARGEST = Decimal("999999999999999.9999")
AMOUNTS = st.one_of(
    st.sampled_from([Decimal(text) for text in ("0.0001", "1", "1.0000", "2.5", "2.50", "2.4999", "5", "10.00")]),
    st.decimals(UNIT, LARGEST, places=4),
    st.integers(1, 20).map(Decimal),
)
Step = tuple[Activation | None, Decimal] | tuple[str, Decimal]
"""A purchase with the customer's activation, if any; or a reversal by its id."""
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.sampled_from([TIMELY, TIMELY, LAPSED, None]), AMOUNTS),
    st.tuples(st.sampled_from(["R-1", "R-2", "R-3", "R-4"]), AMOUNTS),
)


def decide(redemption: Redemption, step: Step) -> list[RedemptionEvent]:
    subject, amount = step
    if isinstance(subject, str):
        return reverse(redemption, Reverse(REDEMPTION_ID, subject, amount))
    return redeem(redemption, replace(PURCHASE, amount=amount), [subject] if subject else [], NOW)


def states(sequence: Sequence[Step]) -> list[Redemption]:
    """Returns the initial state of the transaction and its state after each step."""
    redemptions = [UNKNOWN_REDEMPTION]
    for step in sequence:
        try:
            events = decide(redemptions[-1], step)
        except Refused:
            events = []
        redemptions.append(reduce(evolve, events, redemptions[-1]))
    return redemptions


@given(st.lists(STEPS, max_size=30))
def test_remaining_amount_is_between_zero_and_the_amount(sequence: list[Step]) -> None:
    for redemption in states(sequence):
        taken = sum((Decimal(reversal.amount) for reversal in redemption.reversals), Decimal())
        amount = Decimal(redemption.redeemed.amount) if redemption.redeemed else Decimal()
        assert 0 <= taken <= amount
        assert remaining_amount(redemption) == amount - taken
        assert "E" not in str(remaining_amount(redemption))


@given(st.lists(STEPS, max_size=30))
def test_transaction_is_redeemed_at_most_once(sequence: list[Step]) -> None:
    kept = [redemption.redeemed for redemption in states(sequence) if redemption.redeemed]
    assert all(redeemed_as == kept[0] for redeemed_as in kept)


@given(st.lists(STEPS, max_size=30), STEPS)
def test_repeated_step_produces_no_event(sequence: list[Step], step: Step) -> None:
    before = states(sequence)[-1]
    try:
        redemption = reduce(evolve, decide(before, step), before)
    except Refused:
        return
    assert decide(redemption, step) == []


@given(st.lists(STEPS, max_size=30))
def test_reversal_succeeds_exactly_when_enough_amount_remains(sequence: list[Step]) -> None:
    left: Decimal | None = None
    reversals: dict[str, Decimal] = {}
    for (subject, amount), redemption in zip(sequence, states(sequence)[1:], strict=True):
        if isinstance(subject, str):
            if left is not None and subject not in reversals and amount <= left:
                reversals[subject] = amount
                left -= amount
        elif subject is TIMELY and left is None:
            left = amount
        assert {r.reversal_id: Decimal(r.amount) for r in redemption.reversals} == reversals
        assert remaining_amount(redemption) == (left or 0)


def test_redemption_has_at_most_1000_reversals_and_accepts_their_repeats() -> None:
    before = after(redeemed("1000.00"), *(undone(f"R-{number}", "0.01") for number in range(1, 1_000)))
    assert when_undone(before, "R-1000", "0.01") == [undone("R-1000", "0.01")]
    full = evolve(before, undone("R-1000", "0.01"))
    assert when_undone(full, "R-1", "0.01") == []
    with pytest.raises(TooManyReversals, match="at most 1000 reversals"):
        when_undone(full, "R-more", "0.01")
