"""Is a purchase owed the reward of an offer, and how much of it has been taken back?

A purchase is judged on the offer as the customer activated it; the time of the purchase decides, not that of its report.
(Contract, section 5.)
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
"""On a purchase: the activation that it is owed a reward on, or why it is owed none."""


def verdict_on(made: Sequence[Activation], transacted_at: datetime) -> Verdict:
    """`made`: the customer's activations of the offer, as far as they are known."""
    if activation := find_covering(made, transacted_at):
        return activation
    return RefusalReason.WINDOW_CLOSED if made else RefusalReason.NOT_ACTIVATED


# State: what has become of one purchase


class Purchase(Struct, frozen=True):
    """What a publisher tells of a transaction; what stands last may not be known. `currency` as ISO 4217 has it."""

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
    """What has become of a purchase: refused, redeemed, or not seen yet."""

    version: int = 0
    redeemed: OfferRedeemed | None = None
    refused: RedemptionRefused | None = None
    """For the last time."""
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


def reversed_by(redemption: Redemption, reversal_id: str) -> RedemptionReversed | None:
    return next((reversal for reversal in redemption.reversals if reversal.reversal_id == reversal_id), None)


def remaining(redemption: Redemption, reversal_id: str | None = None) -> Decimal:
    """What has not been taken back of the redemption, which there is; or what had not when that reversal was made."""
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
    redemption: Redemption, purchase: Purchase, made: Sequence[Activation], now: datetime
) -> list[RedemptionEvent]:
    """What was redeemed stays so, and what is refused again for the same reason is nothing new.

    `made`: the customer's activations of the offer. Raises TransactionReused, TimeAhead."""
    if redemption.redeemed:
        if purchase_of(redemption.redeemed) != purchase:
            raise TransactionReused
        return []
    if purchase.transacted_at > now + CLOCK_TOLERANCE:
        raise TimeInFuture("transactedAt")
    told = asdict(purchase) | {
        "offer_uid": str(purchase.offer_uid),
        "amount": str(purchase.amount),
        "transacted_at": to_microseconds(purchase.transacted_at),
    }
    verdict = verdict_on(made, purchase.transacted_at)
    if isinstance(verdict, Activation):
        return [OfferRedeemed(**told, activation_id=str(verdict.activation_id), offer_version=verdict.offer_version)]
    before = redemption.refused
    if before and before.reason is verdict and purchase_of(before) == purchase:
        return []
    return [RedemptionRefused(**told, reason=verdict)]


def reverse(redemption: Redemption, command: Reverse) -> list[RedemptionEvent]:
    """The same again is nothing new. Raises UnknownRedemption, ReversalReused, TooManyReversals, ReversalExceedsRedemption."""
    if redemption.redeemed is None:
        raise UnknownRedemption
    if known := reversed_by(redemption, command.reversal_id):
        if Decimal(known.amount) != command.amount:
            raise ReversalReused
        return []
    if len(redemption.reversals) >= MAX_REVERSALS:
        raise TooManyReversals(MAX_REVERSALS)
    if command.amount > remaining(redemption):
        raise ReversalExceedsRedemption(remaining(redemption), redemption.redeemed.currency)
    return [RedemptionReversed(reversal_id=command.reversal_id, amount=str(command.amount))]
