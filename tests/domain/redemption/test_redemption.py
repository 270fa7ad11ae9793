"""Given what a customer has activated and what became of a transaction, when it is reported or undone, then what happens?"""

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
    MAX_REVERSALS,
    UNKNOWN_REDEMPTION,
    Purchase,
    Redemption,
    Reverse,
    evolve,
    purchase_of,
    redeem,
    remaining,
    reverse,
    reversed_by,
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


def told(purchase: Purchase = PURCHASE) -> dict[str, Any]:
    """What an event says of a purchase."""
    return {
        "transaction_id": purchase.transaction_id,
        "customer_id": purchase.customer_id,
        "offer_uid": str(purchase.offer_uid),
        "amount": str(purchase.amount),
        "currency": purchase.currency,
        "transacted_at": to_microseconds(purchase.transacted_at),
    }


def redeemed(amount: str = "12.50", on: Activation = TIMELY) -> OfferRedeemed:
    members = told() | {"amount": amount}
    return OfferRedeemed(**members, activation_id=str(on.activation_id), offer_version=on.offer_version)


def refused(reason: RefusalReason, purchase: Purchase = PURCHASE) -> RedemptionRefused:
    return RedemptionRefused(**told(purchase), reason=reason)


def undone(reversal_id: str, amount: str) -> RedemptionReversed:
    return RedemptionReversed(reversal_id=reversal_id, amount=amount)


def when(
    made: Sequence[Activation] = (),
    before: Redemption = UNKNOWN_REDEMPTION,
    purchase: Purchase = PURCHASE,
    now: datetime = NOW,
) -> list[RedemptionEvent]:
    return redeem(before, purchase, made, now)


def when_undone(before: Redemption, reversal_id: str, amount: str) -> list[RedemptionEvent]:
    return reverse(before, Reverse(REDEMPTION_ID, reversal_id, Decimal(amount)))


# Purchases


def test_a_purchase_inside_a_window_is_redeemed_on_the_terms_as_activated() -> None:
    terms = activated(NOW - timedelta(days=3), version=7)
    assert when([terms]) == [
        OfferRedeemed(**told(), activation_id=str(terms.activation_id), offer_version=7),
    ]


@pytest.mark.parametrize("made", [[TIMELY], []])
def test_everything_that_is_told_of_a_purchase_is_recorded_redeemed_or_not(made: list[Activation]) -> None:
    known = replace(
        PURCHASE,
        partner_store_id="S-1",
        partner_merchant_name="Juniper Noodle House",
        card_type="debit",
        card_last_four="0042",
    )
    (event,) = when(made, purchase=known)
    assert isinstance(event, OfferRedeemed | RedemptionRefused)
    assert purchase_of(event) == known
    assert event.amount == "12.50"


@pytest.mark.parametrize("days", [30, 45])
def test_a_window_holds_its_first_instant_and_not_its_last(days: int) -> None:
    begin = NOW - timedelta(days=100)
    terms = activated(begin, days)
    end = begin + timedelta(days=days)
    judged = {
        at: type(when([terms], purchase=replace(PURCHASE, transacted_at=at))[0])
        for at in (begin - INSTANT, begin, end - INSTANT, end)
    }
    assert list(judged.values()) == [RedemptionRefused, OfferRedeemed, OfferRedeemed, RedemptionRefused]


def test_the_time_of_the_purchase_decides_and_not_that_of_its_report() -> None:
    assert when([TIMELY], now=NOW + timedelta(days=400)) == [redeemed()]


def test_a_purchase_of_what_was_never_activated_is_refused_as_such() -> None:
    assert when() == [refused(NOT_ACTIVATED)]


@pytest.mark.parametrize("made", [LAPSED, activated(NOW + INSTANT)])
def test_a_purchase_outside_the_windows_is_refused_as_such(made: Activation) -> None:
    assert when([made]) == [refused(WINDOW_CLOSED)]


def test_of_overlapping_windows_the_one_that_was_activated_last_is_redeemed() -> None:
    one, other = activated(NOW - timedelta(days=5), 45), activated(NOW - timedelta(days=2))
    for made in ([one, other], [other, one]):
        assert when(made) == [redeemed(on=other)]


def test_where_only_the_earlier_of_two_windows_holds_the_purchase_that_one_is_redeemed() -> None:
    one, other = activated(NOW - timedelta(days=5)), activated(NOW + INSTANT)
    assert when([one, other]) == [redeemed(on=one)]


@pytest.mark.parametrize("made", [[activated(NOW)], []])
def test_clocks_may_differ_by_five_minutes(made: list[Activation]) -> None:
    ahead = replace(PURCHASE, transacted_at=NOW + CLOCK_TOLERANCE)
    assert timedelta(minutes=5) == CLOCK_TOLERANCE
    assert len(when(made, purchase=ahead)) == 1
    with pytest.raises(TimeInFuture) as caught:
        when(made, purchase=replace(ahead, transacted_at=NOW + CLOCK_TOLERANCE + INSTANT))
    assert caught.value.field == "transactedAt"


# The same transaction again


@pytest.mark.parametrize(("made", "reason"), [([], NOT_ACTIVATED), ([LAPSED], WINDOW_CLOSED)])
def test_what_is_refused_again_for_the_same_reason_is_nothing_new(
    made: list[Activation], reason: RefusalReason
) -> None:
    before = after(refused(reason))
    assert when(made, before) == []
    assert when(made, before, replace(PURCHASE, amount=Decimal("12.5"))) == []


def test_what_is_refused_for_another_reason_is_recorded_again() -> None:
    assert when([LAPSED], after(refused(NOT_ACTIVATED))) == [refused(WINDOW_CLOSED)]


@pytest.mark.parametrize("other", OTHER_MEMBERS[1:], ids=lambda other: next(iter(other)))
def test_what_is_refused_with_other_members_is_recorded_again(other: dict[str, Any]) -> None:
    changed = replace(PURCHASE, **other)
    (event,) = when(before=after(refused(NOT_ACTIVATED)), purchase=changed)
    assert isinstance(event, RedemptionRefused)
    assert purchase_of(event) == changed


def test_only_the_last_refusal_counts() -> None:
    before = after(refused(NOT_ACTIVATED), refused(WINDOW_CLOSED))
    assert when([LAPSED], before) == []
    assert when([], before) == [refused(NOT_ACTIVATED)]


@pytest.mark.parametrize("reason", RefusalReason)
def test_what_was_refused_is_judged_anew_when_an_activation_has_become_known(reason: RefusalReason) -> None:
    assert when([TIMELY], after(refused(reason))) == [redeemed()]


def test_what_was_refused_may_be_redeemed_with_other_members() -> None:
    mistaken = replace(PURCHASE, customer_id="C-9", amount=Decimal(99))
    assert when([TIMELY], after(refused(NOT_ACTIVATED, mistaken))) == [redeemed()]


@pytest.mark.parametrize("spelt", ["12.50", "12.5", "12.5000"])
def test_what_was_redeemed_is_nothing_new_however_its_amount_is_spelt(spelt: str) -> None:
    assert when([TIMELY], after(redeemed()), replace(PURCHASE, amount=Decimal(spelt))) == []


@pytest.mark.parametrize("made", [[], [LAPSED], [activated(NOW)]])
def test_what_was_redeemed_stays_so_whatever_is_known_by_now(made: list[Activation]) -> None:
    assert when(made, after(refused(NOT_ACTIVATED), redeemed(), undone("R-1", "12.50"))) == []


def test_what_was_redeemed_stays_so_though_the_clock_was_put_back() -> None:
    assert when([TIMELY], after(redeemed()), now=NOW - timedelta(hours=1)) == []


@pytest.mark.parametrize("other", OTHER_MEMBERS, ids=lambda other: next(iter(other)))
def test_what_was_redeemed_can_not_be_told_with_other_members(other: dict[str, Any]) -> None:
    with pytest.raises(TransactionReused):
        when([TIMELY], after(redeemed()), replace(PURCHASE, **other))


# What is taken back


@pytest.mark.parametrize("amount", ["0.0001", "12.49", "12.50", "12.5"])
def test_a_redemption_is_taken_back_in_part_or_as_a_whole(amount: str) -> None:
    assert when_undone(after(redeemed()), "R-1", amount) == [undone("R-1", amount)]


def test_no_more_is_taken_back_than_was_redeemed() -> None:
    with pytest.raises(ReversalExceedsRedemption) as caught:
        when_undone(after(redeemed()), "R-1", "12.5001")
    assert caught.value.remaining == Decimal("12.50")


def test_no_more_is_taken_back_than_earlier_reversals_have_left() -> None:
    before = after(redeemed(), undone("R-1", "4.5"), undone("R-2", "2"))
    assert when_undone(before, "R-3", "6.00") == [undone("R-3", "6.00")]
    with pytest.raises(ReversalExceedsRedemption) as caught:
        when_undone(before, "R-3", "6.0001")
    assert caught.value.remaining == Decimal(6)


@pytest.mark.parametrize("spelt", ["12.50", "12.5", "12.5000"])
def test_the_same_reversal_again_is_nothing_new_though_nothing_is_left(spelt: str) -> None:
    assert when_undone(after(redeemed(), undone("R-1", "12.50")), "R-1", spelt) == []


@pytest.mark.parametrize("amount", ["3", "5", "99"])
def test_the_same_reversal_can_not_have_another_amount(amount: str) -> None:
    with pytest.raises(ReversalReused):
        when_undone(after(redeemed(), undone("R-1", "4")), "R-1", amount)


@pytest.mark.parametrize("before", [UNKNOWN_REDEMPTION, after(refused(NOT_ACTIVATED))], ids=["unseen", "refused"])
def test_what_was_not_redeemed_can_not_be_taken_back(before: Redemption) -> None:
    with pytest.raises(UnknownRedemption):
        when_undone(before, "R-1", "1")


def test_it_is_known_what_was_left_after_each_reversal() -> None:
    made = after(redeemed(), undone("R-1", "4.5"), undone("R-2", "2"), undone("R-3", "6"))
    assert [remaining(made, reversal_id) for reversal_id in ("R-1", "R-2", "R-3")] == [
        Decimal(8),
        Decimal(6),
        Decimal(0),
    ]
    assert remaining(made) == 0
    assert remaining(after(redeemed())) == Decimal("12.50")
    assert remaining(after(refused(NOT_ACTIVATED))) == remaining(UNKNOWN_REDEMPTION) == 0


def test_a_reversal_is_known_by_its_id() -> None:
    one, other = undone("R-1", "4.5"), undone("R-2", "2")
    made = after(redeemed(), one, other)
    assert [reversed_by(made, reversal_id) for reversal_id in ("R-1", "R-2", "r-1")] == [one, other, None]


def test_every_event_has_its_place_in_the_transaction() -> None:
    last, undoings = refused(WINDOW_CLOSED), (undone("R-1", "1"), undone("R-2", "2"))
    made = after(refused(NOT_ACTIVATED), last, redeemed(), *undoings)
    assert (made.version, made.refused, made.redeemed, made.reversals) == (5, last, redeemed(), undoings)


# Laws

UNIT = Decimal("0.0001")
LARGEST = Decimal("999999999999999.9999")
AMOUNTS = st.one_of(
    st.sampled_from([Decimal(text) for text in ("0.0001", "1", "1.0000", "2.5", "2.50", "2.4999", "5", "10.00")]),
    st.decimals(UNIT, LARGEST, places=4),
    st.integers(1, 20).map(Decimal),
)
Asked = tuple[Activation | None, Decimal] | tuple[str, Decimal]
"""A purchase of the customer, who has activated the offer or not; or a reversal by its id."""
ASKED: st.SearchStrategy[Asked] = st.one_of(
    st.tuples(st.sampled_from([TIMELY, TIMELY, LAPSED, None]), AMOUNTS),
    st.tuples(st.sampled_from(["R-1", "R-2", "R-3", "R-4"]), AMOUNTS),
)


def decide(redemption: Redemption, asked: Asked) -> list[RedemptionEvent]:
    what, amount = asked
    if isinstance(what, str):
        return reverse(redemption, Reverse(REDEMPTION_ID, what, amount))
    return redeem(redemption, replace(PURCHASE, amount=amount), [what] if what else [], NOW)


def states(sequence: Sequence[Asked]) -> list[Redemption]:
    """What has become of the transaction after each step."""
    found = [UNKNOWN_REDEMPTION]
    for asked in sequence:
        try:
            events = decide(found[-1], asked)
        except Refused:
            events = []
        found.append(reduce(evolve, events, found[-1]))
    return found


@given(st.lists(ASKED, max_size=30))
def test_whatever_is_asked_what_is_left_is_never_below_nothing_nor_above_the_amount(sequence: list[Asked]) -> None:
    for redemption in states(sequence):
        taken = sum((Decimal(reversal.amount) for reversal in redemption.reversals), Decimal())
        amount = Decimal(redemption.redeemed.amount) if redemption.redeemed else Decimal()
        assert 0 <= taken <= amount
        assert remaining(redemption) == amount - taken
        assert "E" not in str(remaining(redemption))


@given(st.lists(ASKED, max_size=30))
def test_whatever_is_asked_a_transaction_is_redeemed_once_and_for_good(sequence: list[Asked]) -> None:
    kept = [redemption.redeemed for redemption in states(sequence) if redemption.redeemed]
    assert all(redeemed_as == kept[0] for redeemed_as in kept)


@given(st.lists(ASKED, max_size=30), ASKED)
def test_whatever_was_done_is_nothing_new_when_it_is_asked_again(sequence: list[Asked], asked: Asked) -> None:
    before = states(sequence)[-1]
    try:
        done = reduce(evolve, decide(before, asked), before)
    except Refused:
        return
    assert decide(done, asked) == []


@given(st.lists(ASKED, max_size=30))
def test_a_reversal_is_made_exactly_if_there_is_room_for_it(sequence: list[Asked]) -> None:
    left: Decimal | None = None
    made: dict[str, Decimal] = {}
    for asked, redemption in zip(sequence, states(sequence)[1:], strict=True):
        what, amount = asked
        if isinstance(what, str):
            if left is not None and what not in made and amount <= left:
                made[what] = amount
                left -= amount
        elif what is TIMELY and left is None:
            left = amount
        assert {r.reversal_id: Decimal(r.amount) for r in redemption.reversals} == made
        assert remaining(redemption) == (left or 0)


def test_a_redemption_has_a_thousand_reversals_at_most_and_those_are_still_known() -> None:
    before = after(redeemed("1000.00"), *(undone(f"R-{number}", "0.01") for number in range(MAX_REVERSALS)))
    assert when_undone(before, "R-0", "0.01") == []
    with pytest.raises(TooManyReversals):
        when_undone(before, "R-more", "0.01")
