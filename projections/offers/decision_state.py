"""The state of offers that decisions need: status, versions and digests from the inventory, without contents."""

from collections.abc import Collection
from itertools import islice
from typing import Any
from uuid import UUID

from domain.offers.offer import Offer
from domain.store.cursor import Condition, Cursor, Lookup
from domain.values import Channel, Status

IDS_PER_QUERY = 10_000


def offers_lookup(offer_uids: Condition) -> Lookup[dict[UUID, Offer]]:
    """Returns the lookup of offers by `offerUid`, for decisions on single requests. Unknown offers are left out."""
    condition, values = offer_uids
    return Lookup(
        "SELECT i.status, i.version, i.content_version, i.content_digest, i.sent_digest, s.stream_uid"
        f" FROM streams s JOIN inventory i ON i.offer_id = s.stream_id WHERE s.stream_uid {condition}",
        values,
        lambda rows: {UUID(bytes=row[5]): _offer(row) for row in rows},
    )


def find_existing_ids(tx: Cursor, ids: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Returns those pairs of partner and externalId that exist on the merchant channel, under any merchant."""
    if not ids:
        return set()
    values = ", ".join(["(CAST(? AS TEXT), CAST(? AS TEXT))"] * len(ids))
    # Many merchants may have an offer with the same id. The subquery reads one of them, through the index.
    rows = tx.execute(
        f"SELECT column1, column2 FROM (VALUES {values}) pair WHERE (SELECT 1 FROM inventory i"
        f" WHERE i.partner = column1 AND i.channel = '{Channel.MERCHANT}' AND i.external_id = column2 LIMIT 1) = 1",
        [text for pair in ids for text in pair],
    )
    return {(row[0], row[1]) for row in rows}


def known_offers(tx: Cursor, partner: str, channel: Channel, external_ids: Collection[str] | None) -> dict[Any, Offer]:
    """Returns a partner's offers on a channel, for decisions on a run.

    Returns the offers with the given ids, or all of them, oldest first, if `external_ids` is None. The keys are
    externalIds on the custom channel, and (merchantId, externalId) on the merchant channel."""
    select = f"{_SELECT} WHERE partner = ? AND channel = ?"
    by_merchant = channel is Channel.MERCHANT
    if external_ids is None:
        return _offers(tx.execute(f"{select} ORDER BY offer_id", (partner, channel)), by_merchant=by_merchant)
    offers: dict[Any, Offer] = {}
    remaining = iter(external_ids)
    while chunk := list(islice(remaining, IDS_PER_QUERY)):
        in_list, values = tx.dialect.in_list(chunk)
        rows = tx.execute(f"{select} AND external_id {in_list}", (partner, channel, *values))
        offers |= _offers(rows, by_merchant=by_merchant)
    return offers


_SELECT = (
    "SELECT status, version, content_version, content_digest, sent_digest, external_id, merchant_id FROM inventory"
)


def _offers(rows: Cursor, *, by_merchant: bool) -> dict[Any, Offer]:
    return {(row[6], row[5]) if by_merchant else row[5]: _offer(row) for row in rows}


def _offer(row: Any) -> Offer:
    return Offer(_STATUSES[row[0]], row[1], row[2], row[3], row[4])


_STATUSES = {str(status): status for status in Status}  # a lookup is faster than Status(text)
