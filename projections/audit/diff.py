"""The net changes of offers between two positions of the ledger.

Two states are compared offer by offer. Only offers with events in between are read.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.store.cursor import Cursor
from domain.store.records.contents import find_content
from domain.values import Status
from projections.audit.causes import BEFORE_CREATION, CAUSE_BYTES, CauseView, Version, causes_of
from projections.audit.change_kind import ChangeKind
from projections.audit.event_item import changes_between
from projections.offers.offer_periods import VERSION_AS_OF_POSITION
from projections.projection import MAX_PAGE_BYTES

EVENTS_PER_QUERY, MAX_EVENTS_PER_QUERY = 1_000, 50_000
"""The first query covers few events, and later ones more: PostgreSQL sorts all changed offers of a commit before it
returns the first one."""


TRANSIENT = "transient"
"""The word for offers that were created and deleted in between: counted, but not listed."""
COUNTED = (*map(str, ChangeKind), TRANSIENT)


class PositionRange(Struct, frozen=True):
    """The events after position `since`, up to and including position `until`."""

    since: int
    until: int


class OfferState(Struct, frozen=True):
    status: str
    version: int


class NetChangeView(Struct, frozen=True, rename="camel"):
    """An offer whose two states differ. The fields of its changes are JSON pointers into the offer as the API returns
    it."""

    offer_uid: UUID
    partner: str
    channel: str
    merchant_id: str | None
    external_id: str
    kinds: list[ChangeKind]
    before: OfferState | None
    after: OfferState
    causes: list[CauseView]
    changes: list[dict[str, Any]]


class NetChangePage(Struct, frozen=True):
    """Changed offers, in the order of their first event in the range; fewer than the limit if contents are large.

    `next_after` is the position after which the next page starts; None on the last page."""

    items: list[NetChangeView]
    next_after: int | None


def count(tx: Cursor, positions: PositionRange, partner: str | None) -> dict[str, int]:
    """Returns the number of offers per kind of change, and that of transient ones."""
    sums = ", ".join(f"coalesce(sum({word}), 0) AS {word}" for word in COUNTED)
    row = tx.execute(
        f"SELECT {sums} FROM ({_COMPARED}) n", _values(positions, partner, positions.since, positions.until)
    ).fetchone()
    return {word: row[word] for word in COUNTED}


def page(
    tx: Cursor,
    positions: PositionRange,
    partner: str | None,
    after: int,
    limit: int,
    kinds: Iterable[ChangeKind] = ChangeKind,
) -> NetChangePage:
    """Returns offers with a change of these kinds whose first event in the range follows the position `after`, which is
    at least `positions.since`."""
    listed = " OR ".join(f"({_IS[kind]})" for kind in kinds)
    rows: list[Any] = []
    events_per_query = EVENTS_PER_QUERY
    while after < positions.until and len(rows) <= limit:
        last = min(after + events_per_query, positions.until)
        rows += tx.execute(
            f"{_COMPARED} AND ({listed}) ORDER BY c.first_position, c.commit_id, e.ordinal LIMIT ?",
            (*_values(positions, partner, after, last), limit + 1 - len(rows)),
        ).fetchall()
        after, events_per_query = last, min(events_per_query * 4, MAX_EVENTS_PER_QUERY)
    items: list[NetChangeView] = []
    size = 0
    for row in rows[:limit]:
        contents = _contents(tx, row)
        item = _item(tx, row, contents)
        size += sum(map(len, contents)) + len(item.causes) * CAUSE_BYTES
        if items and size > MAX_PAGE_BYTES:
            break
        items.append(item)
    return NetChangePage(items, rows[len(items) - 1]["position"] if len(rows) > len(items) else None)


_IS: dict[str, str] = {
    ChangeKind.CREATED: "a.status IS NULL AND b.status <> 'deleted'",
    ChangeKind.UPDATED: "a.status IS NOT NULL AND ca.content_digest <> cb.content_digest",
    ChangeKind.PAUSED: "coalesce(a.status, '') <> 'paused' AND b.status = 'paused'",
    ChangeKind.RESUMED: "coalesce(a.status, '') = 'paused' AND b.status = 'active'",
    ChangeKind.DELETED: "coalesce(a.status, 'deleted') <> 'deleted' AND b.status = 'deleted'",
    ChangeKind.RESTORED: "coalesce(a.status, '') = 'deleted' AND b.status <> 'deleted'",
    TRANSIENT: "a.status IS NULL AND b.status = 'deleted'",
}
_FLAGS = ", ".join(f"CASE WHEN {condition} THEN 1 ELSE 0 END AS {word}" for word, condition in _IS.items())
_COMPARED = f"""
    SELECT c.first_position + e.ordinal AS position, i.offer_id, i.partner, i.channel, i.merchant_id, i.external_id,
           s.stream_uid,
           a.status AS status_before, a.version AS version_before, a.content_version AS content_before,
           b.status AS status_after, b.version AS version_after, b.content_version AS content_after,
           ca.content_digest AS digest_before, cb.content_digest AS digest_after,
           {_FLAGS}
    FROM commits c CROSS JOIN events e CROSS JOIN inventory i CROSS JOIN streams s
    LEFT JOIN offer_periods a ON a.offer_id = e.stream_id AND a.version = e.version - 1
    LEFT JOIN commits ac ON ac.commit_id = a.commit_id
    LEFT JOIN offer_periods ca ON ca.offer_id = a.offer_id AND ca.version = a.content_version
    JOIN offer_periods b ON b.offer_id = i.offer_id
        AND b.version = {VERSION_AS_OF_POSITION.format(offer_id="i.offer_id")}
    JOIN offer_periods cb ON cb.offer_id = i.offer_id AND cb.version = b.content_version
    WHERE c.first_position >= (SELECT coalesce(max(f.first_position), 0) FROM commits f WHERE f.first_position <= ?)
    AND c.first_position <= ? AND e.commit_id = c.commit_id
    AND e.ordinal > ? - c.first_position AND e.ordinal <= ? - c.first_position
    AND i.offer_id = e.stream_id AND i.partner = coalesce(?, i.partner) AND s.stream_id = e.stream_id
    AND (a.version IS NULL OR ac.first_position + a.ordinal <= ?)
"""
"""Offers with events in between, each with its two states and flags for the kinds of change.

The row of an offer is that of its first event in between: the period before that event (a) is its earlier state, and
the period at the end of the range (b) is its later state."""


def _values(positions: PositionRange, partner: str | None, after: int, last: int) -> tuple[Any, ...]:
    """Returns the parameters of `_COMPARED` for first events after position `after`, up to position `last`."""
    return (positions.until, after + 1, last, after, last, partner, positions.since)


def _contents(tx: Cursor, row: Any) -> list[bytes]:
    """Returns the earlier and the later content if they differ, otherwise nothing."""
    if row["digest_before"] == row["digest_after"]:
        return []
    return [_content(tx, row["offer_id"], row[column]) for column in ("content_before", "content_after")]


def _content(tx: Cursor, offer_id: int, version: int | None) -> bytes:
    return b"null" if version is None else bytes(find_content(tx, offer_id, version).text)


def _item(tx: Cursor, row: Any, contents: Sequence[bytes]) -> NetChangeView:
    before, earlier = None, BEFORE_CREATION
    if row["status_before"] is not None:
        before = OfferState(row["status_before"], row["version_before"])
        earlier = Version(before.version, before.status, sets_status=False, content_digest=row["digest_before"])
    statuses = Status(earlier.status), Status(row["status_after"])
    return NetChangeView(
        offer_uid=UUID(bytes=row["stream_uid"]),
        partner=row["partner"],
        channel=row["channel"],
        merchant_id=row["merchant_id"],
        external_id=row["external_id"],
        kinds=[kind for kind in ChangeKind if row[kind]],
        before=before,
        after=OfferState(row["status_after"], row["version_after"]),
        causes=causes_of(tx, row["offer_id"], earlier, row["version_after"]),
        changes=[change._asdict() for change in changes_between(*statuses, contents)],
    )
