"""The redemptions and reversals of a partner's offers in a range of recorded time, for the daily feed."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from msgspec import Struct

from domain.events import OfferRedeemed
from domain.ledgers.ledger import LedgerReader
from domain.store.mapper import decode_as
from domain.values import to_microseconds

FEED_ROWS_PER_READ = 1_000


class FeedRow(Struct, frozen=True):
    """A redemption or a reversal. The `amount` of a reversal is negative; `redeemed` is the purchase."""

    merchant_id: str | None
    external_id: str
    amount: str
    redeemed: OfferRedeemed


def rows(ledger: LedgerReader, partner: str, since: datetime, until: datetime) -> Iterator[FeedRow]:
    """Yields rows in ledger order, recorded from `since` (inclusive) to `until` (exclusive), which must be past.

    Reads them in chunks: there can be millions, and the client can be slow."""
    ledger.wait_until_past(until)
    after = (to_microseconds(since), 0, 0)
    while True:
        with ledger.read() as tx:
            bounds = (partner, after[0], to_microseconds(until), *after, FEED_ROWS_PER_READ)
            chunk = tx.execute(_SELECT, bounds).fetchall()
        yield from map(_row, chunk)
        if len(chunk) < FEED_ROWS_PER_READ:
            return
        after = tuple(chunk[-1][column] for column in ("recorded_at", "redemption_id", "version"))


# CROSS JOIN fixes the order of the joins in SQLite.
_SELECT = """
    SELECT c.recorded_at, r.redemption_id, r.version, r.amount, i.merchant_id, i.external_id,
           CAST(e.state AS BLOB) AS redeemed
    FROM commits c CROSS JOIN redemptions r CROSS JOIN inventory i CROSS JOIN redemptions p CROSS JOIN events e
    WHERE c.partner = ? AND c.recorded_at >= ? AND c.recorded_at < ?
    AND r.commit_id = c.commit_id AND r.type <> 'RedemptionRefused'
    AND (c.recorded_at, r.redemption_id, r.version) > (?, ?, ?)
    AND i.offer_id = r.offer_id AND p.redemption_id = r.redemption_id AND p.type = 'OfferRedeemed'
    AND e.stream_id = p.redemption_id AND e.version = p.version
    ORDER BY c.recorded_at, r.redemption_id, r.version LIMIT ?
"""


def _row(row: Any) -> FeedRow:
    redeemed = decode_as(OfferRedeemed, row["redeemed"])
    return FeedRow(row["merchant_id"], row["external_id"], row["amount"], redeemed)
