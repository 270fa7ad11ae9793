"""Which redemptions and reversals of a partner's offers were recorded in a span of time?"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from msgspec import Struct

from domain.events import OfferRedeemed
from domain.ledger import OfferLedger
from domain.store.cursor import Cursor
from domain.store.events import find_event
from domain.store.mapper import decode_as
from domain.values import to_microseconds

ROWS_PER_READ = 1_000


class FeedRow(Struct, frozen=True):
    """`amount` is negative for what was taken back; `redeemed` is the purchase that it belongs to."""

    merchant_id: str | None
    external_id: str
    amount: str
    redeemed: OfferRedeemed


def rows(ledger: OfferLedger, partner: str, since: datetime, until: datetime) -> Iterator[FeedRow]:
    """In the order of the ledger, from `since` until before `until`, which has passed. Read bit by bit: there may be millions,
    and their reader may be slow."""
    ledger.recorder.settle(until)
    after = to_microseconds(since) - 1
    while True:
        with ledger.recorder.reading() as tx:
            found = tx.execute(_SELECT, (partner, after, to_microseconds(until), ROWS_PER_READ)).fetchall()
            read = [_row(tx, row) for row in found]
        yield from read
        if len(found) < ROWS_PER_READ:
            return
        after = found[-1]["recorded_at"]


# A commit has one redemption or reversal, so its time tells the place.
_SELECT = """
    SELECT c.recorded_at, r.amount, i.merchant_id, i.external_id, p.redemption_id, p.version
    FROM commits c
    CROSS JOIN redemptions r ON r.commit_id = c.commit_id
    CROSS JOIN redemptions p ON p.redemption_id = r.redemption_id
    CROSS JOIN inventory i ON i.offer_id = r.offer_id
    WHERE c.partner = ? AND c.recorded_at > ? AND c.recorded_at < ?
    AND r.activation_id IS NOT NULL AND p.type = 'OfferRedeemed'
    ORDER BY c.recorded_at LIMIT ?
"""


def _row(tx: Cursor, row: Any) -> FeedRow:
    event = find_event(tx, row["redemption_id"], row["version"])
    return FeedRow(row["merchant_id"], row["external_id"], row["amount"], decode_as(OfferRedeemed, event.state))
