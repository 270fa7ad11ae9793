"""Redemptions of purchases and their reversals: state and decisions.

A purchase is decided by the offer version that the customer activated. The time of the purchase counts, not the time
of its report. (Contract, section 5.)
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import asdict, replace

from domain.events import OfferRedeemed, RedemptionEvent, RedemptionRefused, RedemptionReversed, RefusalReason
from domain.redemption.activation import CLOCK_TOLERANCE, Activation, find_covering
from domain.refusals import (
    ReversalExceedsRedemption,
    ReversalReused,
    TimeInFuture,
    TooManyReversals,
    TransactionReused,
    UnknownRedemption,
)
from domain.values import from_microseconds, to_microseconds

MAX_REVERSALS = 1_000

# Verdicts


Verdict = Activation | RefusalReason
"""Decision about a purchase: the activation that makes it eligible, or the reason why it is not eligible."""


def verdict_on(activations: Sequence[Activation], transacted_at: datetime) -> Verdict:
    """Returns the verdict on a purchase at a time. `activations`: the customer's known activations of the offer."""
    if activation := find_covering(activations, transacted_at):
        return activation
    return RefusalReason.WINDOW_CLOSED if activations else RefusalReason.NOT_ACTIVATED


# State


class Purchase(Struct, frozen=True):
    """A transaction as reported by a publisher. `currency` is an ISO 4217 code; members with defaults are optional."""

    transaction_id: str
    customer_id: str
    offer_uid: UUID
    amount: Decimal
    currency: str
    transacted_at: datetime
    partner_store_id: str | None = None
    partner_merchant_name: str | None = None
    card_type: str | None = None
    card_last_four: str | None = None


class Redemption(Struct, frozen=True):
    """State of a purchase: redeemed, refused or unknown."""

    version: int = 0
    redeemed: OfferRedeemed | None = None
    refused: RedemptionRefused | None = None
    """The latest refusal."""
    reversals: tuple[RedemptionReversed, ...] = ()


UNKNOWN_REDEMPTION = Redemption()


def evolve(redemption: Redemption, event: RedemptionEvent) -> Redemption:
    version = redemption.version + 1
    match event:
        case OfferRedeemed():
            return replace(redemption, version=version, redeemed=event)
        case RedemptionRefused():
            return replace(redemption, version=version, refused=event)
        case RedemptionReversed():
            return replace(redemption, version=version, reversals=(*redemption.reversals, event))
        case _:
            assert_never(event)


def purchase_of(event: OfferRedeemed | RedemptionRefused) -> Purchase:
    members = asdict(event)
    return Purchase(
        **{name: members[name] for name in Purchase.__struct_fields__}
        | {
            "offer_uid": UUID(event.offer_uid),
            "amount": Decimal(event.amount),
            "transacted_at": from_microseconds(event.transacted_at),
        }
    )


def find_reversal(redemption: Redemption, reversal_id: str) -> RedemptionReversed | None:
    return next((reversal for reversal in redemption.reversals if reversal.reversal_id == reversal_id), None)


def remaining_amount(redemption: Redemption, reversal_id: str | None = None) -> Decimal:
    """Returns the amount that is not reversed, now or just after the named reversal; 0 if nothing was redeemed."""
    left = Decimal(redemption.redeemed.amount) if redemption.redeemed else Decimal()
    for reversal in redemption.reversals:
        left -= Decimal(reversal.amount)
        if reversal.reversal_id == reversal_id:
            break
    return left


# Decisions


class Reverse(Struct, frozen=True):
    redemption_id: UUID
    reversal_id: str
    amount: Decimal


def redeem(
    redemption: Redemption, purchase: Purchase, activations: Sequence[Activation], now: datetime
) -> list[RedemptionEvent]:
    """Returns the event of a redemption or a refusal.

    Returns none for a redeemed purchase, nor for one whose latest refusal has the same reason and members.
    `activations`: the customer's activations of the offer. Raises TransactionReused, TimeInFuture."""
    if redemption.redeemed:
        if purchase_of(redemption.redeemed) != purchase:
            raise TransactionReused
        return []
    if purchase.transacted_at > now + CLOCK_TOLERANCE:
        raise TimeInFuture("transactedAt")
    members = asdict(purchase) | {
        "offer_uid": str(purchase.offer_uid),
        "amount": str(purchase.amount),
        "transacted_at": to_microseconds(purchase.transacted_at),
    }
    verdict = verdict_on(activations, purchase.transacted_at)
    if isinstance(verdict, Activation):
        return [OfferRedeemed(**members, activation_id=str(verdict.activation_id), offer_version=verdict.offer_version)]
    previous = redemption.refused
    if previous and previous.reason is verdict and purchase_of(previous) == purchase:
        return []
    return [RedemptionRefused(**members, reason=verdict)]


def reverse(redemption: Redemption, command: Reverse) -> list[RedemptionEvent]:
    """Returns the event of a reversal; none if the same reversal was already made.

    Raises UnknownRedemption, ReversalReused, TooManyReversals, ReversalExceedsRedemption."""
    if redemption.redeemed is None:
        raise UnknownRedemption
    if earlier := find_reversal(redemption, command.reversal_id):
        if Decimal(earlier.amount) != command.amount:
            raise ReversalReused
        return []
    if len(redemption.reversals) >= MAX_REVERSALS:
        raise TooManyReversals(MAX_REVERSALS)
    if command.amount > remaining_amount(redemption):
        raise ReversalExceedsRedemption(remaining_amount(redemption), redemption.redeemed.currency)
    return [RedemptionReversed(reversal_id=command.reversal_id, amount=str(command.amount))]
