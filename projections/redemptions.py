"""What has been redeemed, refused and taken back?

A row for each event of a transaction. A reversal's amount is negative, so that what is left is a sum.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from msgspec import Struct

from domain.events import OfferRedeemed, RedemptionRefused, RedemptionReversed
from domain.ledger import Entry
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
        is_doubtful INTEGER NOT NULL,
        PRIMARY KEY (redemption_id, version)
    )"""
"""`is_doubtful`: when the purchase was made, it was not known that it would be owed a reward."""
INDEXES = (
    "CREATE INDEX redemptions_by_activation ON redemptions (activation_id) WHERE activation_id IS NOT NULL",
    "CREATE INDEX redemptions_by_commit ON redemptions (commit_id) WHERE activation_id IS NOT NULL",
    "CREATE INDEX redemptions_doubtful ON redemptions (redemption_id, version) WHERE is_doubtful = 1",
)


# How an event changes it


def apply(tx: Cursor, entries: Sequence[Entry]) -> None:
    for entry in entries:
        match entry.event:
            case OfferRedeemed() as event:
                activation = UUID(event.activation_id).bytes
                row = (*_place(entry), *_purchase(event), activation, event.amount, event.currency)
                tx.execute(_REDEEMED, (*row, event.transacted_at, activation))
            case RedemptionRefused() as event:
                tx.execute(_REFUSED, (*_place(entry), *_purchase(event), event.amount, event.currency))
            case RedemptionReversed() as event:
                tx.execute(_REVERSED, (*_place(entry)[1:], f"-{event.amount}", entry.stream_id))
            case _:
                pass


_STREAM = "(SELECT stream_id FROM streams WHERE stream_uid = ?)"
_KNOWN_LATER = f"""
    (SELECT c.recorded_at > ? FROM redemption_windows w JOIN commits c USING (commit_id)
     WHERE w.activation_id = {_STREAM})
"""
_REDEEMED = f"INSERT INTO redemptions VALUES (?, ?, ?, ?, ?, ?, {_STREAM}, ?, {_STREAM}, ?, ?, {_KNOWN_LATER})"
_REFUSED = f"INSERT INTO redemptions VALUES (?, ?, ?, ?, ?, ?, {_STREAM}, ?, NULL, ?, ?, 1)"
_REVERSED = """
    INSERT INTO redemptions
    SELECT redemption_id, ?, ?, ?, transaction_id, customer_id, offer_id, transacted_at, activation_id, ?, currency, 0
    FROM redemptions WHERE redemption_id = ? AND type = 'OfferRedeemed'
"""


def _place(entry: Entry) -> tuple[int, int, int, str]:
    return entry.stream_id, entry.version, entry.commit_id, entry.event.TOPIC


def _purchase(event: OfferRedeemed | RedemptionRefused) -> tuple[str, str, bytes, int]:
    return event.transaction_id, event.customer_id, UUID(event.offer_uid).bytes, event.transacted_at


PROJECTION = Projection(
    name="redemptions",
    key=("redemption_id", "version"),
    table=TABLE,
    apply=apply,
    indexes=INDEXES,
    names=("type", "transaction_id"),
)


# How it is asked


class Redeemed(Struct, frozen=True, rename="camel"):
    """By how many purchases, and what is left of them after reversals; `amount` is a decimal string."""

    currency: str
    amount: str
    redemptions: int


def redeemed_on(tx: Cursor, activation_id: int, at: datetime, known: datetime) -> list[Redeemed]:
    """By currency: purchases made until `at`, less what had been taken back by then, as far as it was recorded by `known`."""
    rows = tx.execute(
        "SELECT r.currency, r.amount, r.type FROM redemptions r JOIN commits c USING (commit_id)"
        " WHERE r.activation_id = ? AND r.transacted_at <= ? AND c.recorded_at <= ?"
        f" AND (r.type = '{OfferRedeemed.TOPIC}' OR c.recorded_at <= ?)",
        (activation_id, *map(to_microseconds, (at, known, at))),
    )
    amounts: defaultdict[str, Decimal] = defaultdict(Decimal)
    purchases: Counter[str] = Counter()
    for row in rows:
        amounts[row["currency"]] += Decimal(row["amount"])
        purchases[row["currency"]] += row["type"] == OfferRedeemed.TOPIC
    return [Redeemed(currency, str(amounts[currency]), purchases[currency]) for currency in sorted(amounts)]
