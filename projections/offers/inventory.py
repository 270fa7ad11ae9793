"""The projection `inventory`: the present state of every offer.

Rows refer to the commits with the times and to the event with the content, so nothing is stored twice.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.events import OfferEvent
from domain.store.commit import LedgerHead, current_head
from domain.store.cursor import Cursor
from domain.store.records.contents import find_content
from domain.values import Channel, Status, recorded_text, to_microseconds
from projections.offers.inventory_updates import update_inventory
from projections.offers.offer_holds import COLUMNS, JOINS, NEWEST_VERSION, HoldView, hold_of
from projections.projection import MAX_PAGE_BYTES, Projection

TABLE = """
    CREATE TABLE inventory (
        offer_id INTEGER PRIMARY KEY,
        partner TEXT NOT NULL,
        channel TEXT NOT NULL,
        merchant_id TEXT,
        external_id TEXT NOT NULL,
        status TEXT NOT NULL,
        version INTEGER NOT NULL,
        content_version INTEGER NOT NULL,
        content_digest TEXT NOT NULL,
        sent_digest TEXT,
        searched_ids TEXT NOT NULL,
        searched_names TEXT NOT NULL,
        created_commit INTEGER NOT NULL,
        updated_commit INTEGER NOT NULL,
        status_commit INTEGER NOT NULL
    )"""
INDEXES = (
    "CREATE INDEX inventory_by_identity ON inventory (partner, channel, external_id)",
    "CREATE INDEX inventory_by_external_id ON inventory (external_id)",
    "CREATE INDEX inventory_by_partner ON inventory (partner)",
    # Nearly all offers are active, so this index is small.
    "CREATE INDEX inventory_by_status ON inventory (status) WHERE status <> 'active'",
    "CREATE INDEX inventory_by_merchant ON inventory (merchant_id) WHERE merchant_id IS NOT NULL",
)


PROJECTION = Projection(
    name="inventory",
    key=("offer_id",),
    table=TABLE,
    apply=update_inventory,
    events=frozenset(get_args(OfferEvent)),
    indexes=INDEXES,
    names=("partner", "channel", "merchant_id", "external_id"),
)


# Queries


class OfferView(Struct, frozen=True, rename="camel"):
    """An offer as the API returns it. Times are RFC 3339 text; `updatedAt` is the time of the offer's newest event."""

    offer_uid: UUID
    partner: str
    channel: str
    merchant_id: str | None
    external_id: str
    status: str
    version: int
    content: msgspec.Raw
    content_digest: str
    created_at: str
    updated_at: str
    paused_at: str | None
    deleted_at: str | None
    honoured_until: str | None = None
    """The latest end of its redemption windows, if that is in the future."""
    hold: HoldView | None = None
    """The operator's hold, if one is in force."""


class OfferFilter(Struct, frozen=True):
    """Selects offers; None in a member selects all.

    `q` is a text in the externalId, the merchantId or the names of the offer. An offer is redeemable if it is active and not
    held, or if it has a redemption window that has not ended.
    """

    partner: str | None = None
    channel: Channel | None = None
    merchant_id: str | None = None
    external_id: str | None = None
    status: Status | None = None
    q: str | None = None
    redeemable: bool | None = None


class OfferPage(Struct, frozen=True):
    """Offers in the order of their creation; fewer than the limit if contents are large.

    `next_after` is the offer id after which the next page starts; None on the last page."""

    items: list[OfferView]
    next_after: int | None
    head: LedgerHead


def page(tx: Cursor, offer_filter: OfferFilter, now: datetime, after: int, limit: int) -> OfferPage:
    """Returns offers after the offer id `after`. Redemption windows are evaluated at `now`."""
    conditions, values = _conditions(offer_filter, now)
    rows = tx.execute(
        f"{_SELECT} WHERE {' AND '.join(['i.offer_id > ?', *conditions])} ORDER BY i.offer_id LIMIT ?",
        (after, *values, limit + 1),
    ).fetchall()
    return page_of(tx, rows, now, limit, current_head(tx))


def page_of(tx: Cursor, rows: Sequence[Any], now: datetime, limit: int, head: LedgerHead) -> OfferPage:
    """Returns the page for rows of offers. `rows` has one row more than the limit if a next page exists."""
    items: list[OfferView] = []
    size = 0
    for row in rows[:limit]:
        item = view_of(tx, row, now)
        size += len(item.content)
        if items and size > MAX_PAGE_BYTES:
            break
        items.append(item)
    next_after = rows[len(items) - 1]["offer_id"] if len(rows) > len(items) else None
    return OfferPage(items, next_after, head)


def find(tx: Cursor, offer_uid: UUID, now: datetime, partner: str | None = None) -> OfferView | None:
    """Returns an offer; with `partner`, only an offer of that partner. The content of another partner's offer is not
    read, so that the time of the reply does not reveal that it exists."""
    condition, values = owned_offer("s.stream_uid = ?", offer_uid, partner)
    row = tx.execute(f"{_SELECT} WHERE {condition}", values).fetchone()
    return view_of(tx, row, now) if row else None


def owned_offer(named: str, offer_uid: UUID, partner: str | None) -> tuple[str, list[Any]]:
    """Returns the condition on one offer `i`, of one partner if it is not None, and its values."""
    if partner is None:
        return named, [offer_uid.bytes]
    return f"{named} AND i.partner = ?", [offer_uid.bytes, partner]


def exists(tx: Cursor, offer_uid: UUID, partner: str | None = None) -> bool:
    """Returns whether an offer exists; with `partner`, whether it is an offer of that partner."""
    condition, values = owned_offer("s.stream_uid = ?", offer_uid, partner)
    found = tx.execute(
        f"SELECT 1 FROM streams s JOIN inventory i ON i.offer_id = s.stream_id WHERE {condition}", values
    ).fetchone()
    return found is not None


def owner_of(tx: Cursor, offer_uid: UUID) -> str | None:
    """Returns the partner of an offer; None if the offer does not exist."""
    row = tx.execute(
        "SELECT i.partner FROM streams s JOIN inventory i ON i.offer_id = s.stream_id WHERE s.stream_uid = ?",
        (offer_uid.bytes,),
    ).fetchone()
    return row["partner"] if row else None


def count(tx: Cursor, partner: str | None = None) -> int:
    row = tx.execute(
        "SELECT count(*) AS offers FROM inventory WHERE partner = coalesce(?, partner)", (partner,)
    ).fetchone()
    return int(row["offers"])


_LAST_UNTIL = "(SELECT max(w.redeemable_until) FROM redemption_windows w WHERE w.offer_id = i.offer_id)"
_SELECT = f"""
    SELECT i.*, s.stream_uid, created.recorded_at AS created_at, updated.recorded_at AS updated_at,
           since.recorded_at AS status_since, {_LAST_UNTIL} AS last_until, {COLUMNS}
    FROM inventory i
    JOIN streams s ON s.stream_id = i.offer_id
    JOIN commits created ON created.commit_id = i.created_commit
    JOIN commits updated ON updated.commit_id = i.updated_commit
    JOIN commits since ON since.commit_id = i.status_commit
    {JOINS.format(offer_id="i.offer_id", version=NEWEST_VERSION.format(offer_id="i.offer_id"))}
"""
_IS_HELD = "(h.version IS NOT NULL AND (h.held_until IS NULL OR h.held_until > ?))"


def identity_conditions(offer_filter: OfferFilter) -> tuple[list[str], list[Any]]:
    """Returns the conditions on members that never change in an offer, and their values."""
    columns = {
        "i.partner": offer_filter.partner,
        "i.channel": offer_filter.channel,
        "i.merchant_id": offer_filter.merchant_id,
        "i.external_id": offer_filter.external_id,
    }
    conditions = {f"{column} = ?": value for column, value in columns.items() if value is not None}
    return list(conditions), list(conditions.values())


def _conditions(offer_filter: OfferFilter, now: datetime) -> tuple[list[str], list[Any]]:
    conditions, values = identity_conditions(offer_filter)
    if offer_filter.status is not None:
        conditions.append("i.status = ?")
        values.append(offer_filter.status)
    if offer_filter.status in {Status.PAUSED, Status.DELETED}:
        conditions.append("i.status <> 'active'")  # required for the partial index inventory_by_status
    if offer_filter.redeemable is not None:
        redeemable = f"((i.status = 'active' AND NOT {_IS_HELD}) OR coalesce({_LAST_UNTIL}, 0) > ?)"
        conditions.append(redeemable if offer_filter.redeemable else f"NOT {redeemable}")
        values += [to_microseconds(now)] * 2
    if offer_filter.q is not None:
        conditions.append("(instr(i.searched_ids, ?) > 0 OR instr(i.searched_names, ?) > 0)")
        values += [offer_filter.q.casefold()] * 2
    return conditions, values


def view_of(tx: Cursor, row: Any, now: datetime) -> OfferView:
    """Returns an offer for a row with the columns of `_SELECT`. Redemption windows are evaluated at `now`."""

    def status_since_if(status: Status) -> str | None:
        return recorded_text(row["status_since"]) if row["status"] == status else None

    last_until = row["last_until"]
    content = find_content(tx, row["offer_id"], row["content_version"])
    return OfferView(
        offer_uid=UUID(bytes=row["stream_uid"]),
        partner=row["partner"],
        channel=row["channel"],
        merchant_id=row["merchant_id"],
        external_id=row["external_id"],
        status=row["status"],
        version=row["version"],
        content=content.text,
        content_digest=content.digest,
        created_at=recorded_text(row["created_at"]),
        updated_at=recorded_text(row["updated_at"]),
        paused_at=status_since_if(Status.PAUSED),
        deleted_at=status_since_if(Status.DELETED),
        honoured_until=recorded_text(last_until) if last_until and last_until > to_microseconds(now) else None,
        hold=hold_of(row, now),
    )
