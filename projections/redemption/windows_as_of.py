"""Which redemption windows are there at a moment, past or future, and what has been redeemed on them?

Listed offer by offer, the oldest first, and within an offer by their ends. Only offers that can have such windows are
looked at, so that a list of what is winding down does not pass what is open, however much that is.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple, assert_never
from uuid import UUID

from msgspec import Struct

from domain.redemption.activation import WindowState, state_at
from domain.redemption.window import MAX_DAYS, RedemptionWindow
from domain.store.cursor import Cursor
from domain.values import from_microseconds, to_microseconds, utc_text
from projections.offers.offer_periods import STATUS_AT
from projections.redemption.redemptions import RedeemedTotal, redeemed_on

NO_ID = 2**62
"""Larger than every id."""
DAY = 24 * 60 * 60 * 1_000_000


class WindowFilter(Struct, frozen=True):
    """Which windows are wanted; None: of any."""

    offer_uid: UUID | None = None
    customer_id: str | None = None
    partner: str | None = None
    state: WindowState | None = None


class Viewpoint(Struct, frozen=True):
    """The moment that is looked at, by what had been recorded until `known`."""

    effective_at: datetime
    known_at: datetime

    @property
    def statuses_at(self) -> int:
        """Of what may come later nothing is known: at which moment the statuses of offers count, in microseconds."""
        return to_microseconds(min(self.effective_at, self.known_at))

    @property
    def last_end(self) -> int:
        """When the windows that have begun by then have ended, in microseconds: none is longer."""
        return to_microseconds(self.effective_at) + MAX_DAYS * DAY


class WindowPlace(NamedTuple):
    """A window's place in the list."""

    offer_id: int
    redeemable_until: int
    activation_id: int


FIRST_WINDOW = WindowPlace(0, 0, 0)


class WindowView(Struct, frozen=True, rename="camel"):
    """A redemption window as the service shows it; times are RFC 3339 text."""

    activation_id: UUID
    offer_uid: UUID
    customer_id: str
    offer_version: int
    activated_at: str
    redeemable_until: str
    state: WindowState
    redeemed: list[RedeemedTotal]


class WindowPage(Struct, frozen=True):
    """`next_after`: the place that the following page starts after, if there is one."""

    items: list[WindowView]
    next_after: WindowPlace | None


def page(tx: Cursor, wanted: WindowFilter, sight: Viewpoint, after: WindowPlace, limit: int) -> WindowPage:
    """The windows that had begun at that moment."""
    rows: list[Any] = []
    places: list[WindowPlace] = []
    for offer in _offers(tx, wanted, sight, after.offer_id):
        start = after if offer["offer_id"] == after.offer_id else FIRST_WINDOW
        for row in _windows(tx, wanted, sight, start._replace(offer_id=offer["offer_id"]), limit + 1 - len(rows)):
            places.append(WindowPlace(row["offer_id"], row["redeemable_until"], row["activation_id"]))
            rows.append((row, offer["is_inactive"]))
        if len(rows) > limit:
            break
    items = [_view(tx, row, sight, is_inactive=bool(is_inactive)) for row, is_inactive in rows[:limit]]
    return WindowPage(items, places[limit - 1] if len(rows) > limit else None)


# Offers

OFFERS_PER_LOOK, MOST_OFFERS_PER_LOOK = 100, 10_000

_INACTIVE = f"{STATUS_AT.format(offer_id='o.offer_id')} <> 'active'"
_WITH_WINDOWS = """
    WITH RECURSIVE o (offer_id) AS (
        SELECT min(offer_id) FROM redemption_windows WHERE offer_id >= ?
        UNION ALL
        SELECT (SELECT min(w.offer_id) FROM redemption_windows w WHERE w.offer_id > o.offer_id) FROM o
        WHERE o.offer_id IS NOT NULL
    )
    SELECT offer_id FROM o WHERE offer_id IS NOT NULL
"""
"""Goes from offer to offer through the index, however many windows each has."""


def _offers(tx: Cursor, wanted: WindowFilter, sight: Viewpoint, first: int) -> Iterator[Any]:
    """The offers from that one on that may have such windows, in their order, and whether each was not active. Some are looked
    at, and more each time: there may be many that have none."""
    conditions, more = _conditions(wanted, sight)
    looked_at = OFFERS_PER_LOOK
    while True:
        driver, values = _driver(wanted, first)
        found = tx.execute(
            f"SELECT *, CASE WHEN {' AND '.join(conditions)} THEN 1 ELSE 0 END AS is_wanted"
            f" FROM (SELECT o.offer_id, {_INACTIVE} AS is_inactive FROM ({driver} LIMIT ?) o) o ORDER BY o.offer_id",
            (*more, sight.statuses_at, *values, looked_at),
        ).fetchall()
        yield from (row for row in found if row["is_wanted"])
        if len(found) < looked_at:
            return
        first, looked_at = found[-1]["offer_id"] + 1, min(looked_at * 4, MOST_OFFERS_PER_LOOK)


def _driver(wanted: WindowFilter, first: int) -> tuple[str, list[Any]]:
    """What leads to the offers by the shortest way."""
    if wanted.offer_uid is not None:
        return "SELECT stream_id AS offer_id FROM streams WHERE stream_uid = ? AND stream_id >= ?", [
            wanted.offer_uid.bytes,
            first,
        ]
    if wanted.customer_id is not None:
        windows = (
            "SELECT DISTINCT offer_id FROM redemption_windows WHERE customer_id = ? AND offer_id >= ? ORDER BY offer_id"
        )
        return windows, [wanted.customer_id, first]
    if wanted.state is WindowState.WINDING_DOWN:
        # Those that have ever been so.
        return (
            "SELECT DISTINCT offer_id FROM offer_periods WHERE status <> 'active' AND offer_id >= ? ORDER BY offer_id",
            [first],
        )
    if wanted.partner is not None:
        return (
            "SELECT offer_id FROM inventory WHERE partner = ? AND offer_id >= ? ORDER BY offer_id",
            [wanted.partner, first],
        )
    return _WITH_WINDOWS, [first]


def _conditions(wanted: WindowFilter, sight: Viewpoint) -> tuple[list[str], list[Any]]:
    window = "w.offer_id = o.offer_id AND w.redeemable_until > ? AND w.redeemable_until <= ?"
    conditions = [f"EXISTS (SELECT 1 FROM redemption_windows w WHERE {window})"]
    values: list[Any] = [*_ends(wanted, sight)]
    if wanted.partner is not None:
        conditions.append("EXISTS (SELECT 1 FROM inventory i WHERE i.offer_id = o.offer_id AND i.partner = ?)")
        values.append(wanted.partner)
    match wanted.state:
        case WindowState.OPEN:
            conditions.append("NOT is_inactive")
        case WindowState.WINDING_DOWN:
            conditions.append("is_inactive")
        case WindowState.EXPIRED | None:
            pass
    return conditions, values


# The windows of one


def _ends(wanted: WindowFilter, sight: Viewpoint) -> tuple[int, int]:
    """After which moment, and until when, such windows end; in microseconds."""
    at = to_microseconds(sight.effective_at)
    match wanted.state:
        case WindowState.OPEN | WindowState.WINDING_DOWN:
            return at, sight.last_end
        case WindowState.EXPIRED:
            return 0, at
        case None:
            return 0, sight.last_end
        case _:
            assert_never(wanted.state)


def _windows(tx: Cursor, wanted: WindowFilter, sight: Viewpoint, after: WindowPlace, limit: int) -> list[Any]:
    """Those of an offer after a place; an offer that is known to be as wanted."""
    after_end, last_end = _ends(wanted, sight)
    first = max((after.redeemable_until, after.activation_id), (after_end, NO_ID))
    conditions = ["w.offer_id = ?", "(w.redeemable_until, w.activation_id) > (?, ?)", "w.redeemable_until <= ?"]
    values: list[Any] = [after.offer_id, *first, last_end]
    if wanted.customer_id is not None:
        conditions.append("w.customer_id = ?")
        values.append(wanted.customer_id)
    return tx.execute(
        "SELECT w.*, s.stream_uid, o.stream_uid AS offer_uid FROM redemption_windows w"
        " JOIN commits c ON c.commit_id = w.commit_id"
        " JOIN streams s ON s.stream_id = w.activation_id JOIN streams o ON o.stream_id = w.offer_id"
        f" WHERE {' AND '.join(conditions)} AND w.activated_at <= ? AND c.recorded_at <= ?"
        " ORDER BY w.redeemable_until, w.activation_id LIMIT ?",
        (*values, to_microseconds(sight.effective_at), to_microseconds(sight.known_at), limit),
    ).fetchall()


def _view(tx: Cursor, row: Any, sight: Viewpoint, *, is_inactive: bool) -> WindowView:
    window = RedemptionWindow(from_microseconds(row["activated_at"]), from_microseconds(row["redeemable_until"]))
    state = state_at(window, sight.effective_at, is_active=not is_inactive)
    assert state  # noqa: S101 - what has not begun is not listed
    return WindowView(
        activation_id=UUID(bytes=row["stream_uid"]),
        offer_uid=UUID(bytes=row["offer_uid"]),
        customer_id=row["customer_id"],
        offer_version=row["offer_version"],
        activated_at=utc_text(window.activated_at),
        redeemable_until=utc_text(window.redeemable_until),
        state=state,
        redeemed=redeemed_on(tx, row["activation_id"], sight.effective_at, sight.known_at),
    )
