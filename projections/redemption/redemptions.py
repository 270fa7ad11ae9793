"""The projection `redemptions`: one row per event of a purchase: redeemed, refused or reversed.

The amount of a reversal is negative, so the amount left is a sum.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

from msgspec import Struct

from domain.events import OfferRedeemed, RedemptionEvent, RedemptionRefused, RedemptionReversed
from domain.ledgers.ledger import Entry
from domain.store.cursor import Cursor
from domain.values import to_microseconds
from projections.projection import Projection

TABLE = """
    CREATE TABLE redemptions (
        redemption_id INTEGER NOT NULL,
        version INTEGER NOT NULL,
        commit_id INTEGER NOT NULL,
        type TEXT NOT NULL,
        transaction_id TEXT NOT NULL,
        customer_id TEXT NOT NULL,
        offer_id INTEGER NOT NULL,
        transacted_at INTEGER NOT NULL,
        activation_id INTEGER,
        amount TEXT NOT NULL,
        currency TEXT NOT NULL,
        PRIMARY KEY (redemption_id, version)
    )"""
INDEXES = (
    "CREATE INDEX redemptions_by_activation ON redemptions (activation_id) WHERE activation_id IS NOT NULL",
    "CREATE INDEX redemptions_by_commit ON redemptions (commit_id, redemption_id, version)",
    "CREATE INDEX redemptions_by_customer ON redemptions (customer_id, offer_id, redemption_id)",
    "CREATE INDEX redemptions_by_offer ON redemptions (offer_id, redemption_id)",
)


# Updates


def apply(tx: Cursor, entries: Sequence[Entry]) -> None:
    for entry in entries:
        match entry.event:
            case OfferRedeemed(activation_id=activation_id) as event:
                tx.execute(_INSERT, _row(entry, event, UUID(activation_id).bytes))
            case RedemptionRefused() as event:
                tx.execute(_INSERT, _row(entry, event, None))
            case RedemptionReversed(amount=amount):
                place = (entry.version, entry.commit_id, entry.event.TOPIC)
                tx.execute(_INSERT_REVERSAL, (*place, f"-{amount}", entry.stream_id))
            case _:
                pass


_STREAM = "(SELECT stream_id FROM streams WHERE stream_uid = ?)"
_INSERT = f"INSERT INTO redemptions VALUES (?, ?, ?, ?, ?, ?, coalesce({_STREAM}, 0), ?, {_STREAM}, ?, ?)"
_INSERT_REVERSAL = """
    INSERT INTO redemptions
    SELECT redemption_id, ?, ?, ?, transaction_id, customer_id, offer_id, transacted_at, activation_id, ?, currency
    FROM redemptions WHERE redemption_id = ? AND type = 'OfferRedeemed' ORDER BY version DESC LIMIT 1
"""


def _row(entry: Entry, event: OfferRedeemed | RedemptionRefused, activation: bytes | None) -> tuple[Any, ...]:
    return (
        entry.stream_id,
        entry.version,
        entry.commit_id,
        event.TOPIC,
        event.transaction_id,
        event.customer_id,
        UUID(event.offer_uid).bytes,
        event.transacted_at,
        activation,
        event.amount,
        event.currency,
    )


PROJECTION = Projection(
    name="redemptions",
    key=("redemption_id", "version"),
    table=TABLE,
    apply=apply,
    events=frozenset(get_args(RedemptionEvent)),
    indexes=INDEXES,
    names=("type", "transaction_id"),
)


# Queries


class RedeemedTotal(Struct, frozen=True, rename="camel"):
    """The number of purchases in a currency, and their total after reversals. `amount` is a decimal string."""

    currency: str
    amount: str
    redemptions: int


def redeemed_totals(
    tx: Cursor, activation_id: int, effective_at: datetime, known_at: datetime, reversed_by: datetime
) -> list[RedeemedTotal]:
    """Returns the total per currency of one activation, sorted by currency.

    Counts purchases made by `effective_at` and recorded by `known_at`, less reversals recorded by `reversed_by`."""
    rows = tx.execute(
        "SELECT r.currency, r.amount, r.type FROM redemptions r JOIN commits c USING (commit_id)"
        " WHERE r.activation_id = ? AND r.transacted_at <= ?"
        f" AND c.recorded_at <= CASE r.type WHEN '{OfferRedeemed.TOPIC}' THEN ? ELSE ? END",
        (activation_id, *map(to_microseconds, (effective_at, known_at, reversed_by))),
    )
    amounts: defaultdict[str, Decimal] = defaultdict(Decimal)
    purchases: Counter[str] = Counter()
    for row in rows:
        amounts[row["currency"]] += Decimal(row["amount"])
        purchases[row["currency"]] += row["type"] == OfferRedeemed.TOPIC
    return [RedeemedTotal(currency, str(amounts[currency]), purchases[currency]) for currency in sorted(amounts)]
