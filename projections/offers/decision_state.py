"""From which offers is a request decided? Asked of the inventory: no contents, only their digests."""

from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any
from uuid import UUID

from domain.offers.offer import Offer
from domain.store.cursor import Cursor
from domain.values import Channel, Status

NAMED_PER_QUERY = 10_000


def find_offers(tx: Cursor, offer_uids: Collection[UUID]) -> Mapping[UUID, Offer]:
    """What single requests are decided from: those of the offers that there are."""
    found: dict[UUID, Offer] = {}
    remaining = iter(offer_uids)
    while chunk := [uid.bytes for uid in islice(remaining, NAMED_PER_QUERY)]:
        among, values = tx.dialect.in_list(chunk)
        rows = tx.execute(
            "SELECT i.status, i.version, i.content_version, i.content_digest, i.sent_digest, s.stream_uid"
            " FROM streams s JOIN inventory i ON i.offer_id = s.stream_id"
            f" WHERE s.stream_uid {among}",
            values,
        )
        found |= {UUID(bytes=row[5]): _offer(row) for row in rows}
    return found


def known_offers(
    tx: Cursor, partner: str, channel: Channel, external_ids: Collection[str] | None
) -> Mapping[Any, Offer]:
    """What a run is decided from: the offers that are named, or all of the partner's on the channel, the oldest first; by
    externalId on the custom channel, by (merchantId, externalId) on the merchant channel."""
    known = f"{_KNOWN} WHERE partner = ? AND channel = ?"
    by_merchant = channel is Channel.MERCHANT
    if external_ids is None:
        return _offers(tx.execute(f"{known} ORDER BY offer_id", (partner, channel)), by_merchant=by_merchant)
    found: dict[Any, Offer] = {}
    remaining = iter(external_ids)
    while chunk := list(islice(remaining, NAMED_PER_QUERY)):
        among, values = tx.dialect.in_list(chunk)
        rows = tx.execute(f"{known} AND external_id {among}", (partner, channel, *values))
        found |= _offers(rows, by_merchant=by_merchant)
    return found


_KNOWN = "SELECT status, version, content_version, content_digest, sent_digest, external_id, merchant_id FROM inventory"


def _offers(rows: Cursor, *, by_merchant: bool) -> dict[Any, Offer]:
    return {(row[6], row[5]) if by_merchant else row[5]: _offer(row) for row in rows}


def _offer(row: Any) -> Offer:
    return Offer(_STATUSES[row[0]], row[1], row[2], row[3], row[4])


_STATUSES = {str(status): status for status in Status}  # quicker than to make one
