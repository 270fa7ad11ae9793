"""Lists of redemption windows at an effective time, past or future, by the facts known at a recorded time.

The order is: oldest offer first, and within an offer by the end of the window. The query reads only offers that can
have matching windows. So a list of winding-down windows does not read the open ones, however many exist.
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
from projections.offers.offer_periods import STATUS_AS_OF_TIME
from projections.projection import number_that_fits
from projections.redemption.redemptions import RedeemedTotal, redeemed_totals

ABOVE_ALL_IDS = 2**62
DAY_MICROSECONDS = 24 * 60 * 60 * 1_000_000


class WindowFilter(Struct, frozen=True):
    """Selects windows; None in a member selects all."""

    offer_uid: UUID | None = None
    customer_id: str | None = None
    partner: str | None = None
    state: WindowState | None = None


class Viewpoint(Struct, frozen=True):
    """The effective time at which windows are evaluated, and the recorded time up to which facts are known.

    `applies_at` is the recorded time whose statuses and reversals apply at the effective time. By default it is the
    effective time. It is another one while the newest commit is ahead of the clock: see `applicable_time`."""

    effective_at: datetime
    known_at: datetime
    applies_at: datetime | None = None

    @property
    def statuses_at(self) -> datetime:
        """The recorded time of the statuses and reversals that count: those after `known_at` are not known."""
        return min(self.applies_at or self.effective_at, self.known_at)

    @property
    def last_end(self) -> int:
        """The time in microseconds by which all windows end that have started by `effective_at`."""
        return to_microseconds(self.effective_at) + MAX_DAYS * DAY_MICROSECONDS


class WindowPlace(NamedTuple):
    """A window's place in the list. `redeemable_until` is in microseconds."""

    offer_id: int
    redeemable_until: int
    activation_id: int


FIRST_WINDOW = WindowPlace(0, 0, 0)


class WindowView(Struct, frozen=True, rename="camel"):
    """A redemption window as the API returns it. Times are RFC 3339 text."""

    activation_id: UUID
    offer_uid: UUID
    customer_id: str
    offer_version: int
    activated_at: str
    redeemable_until: str
    state: WindowState
    redeemed: list[RedeemedTotal]


class WindowPage(Struct, frozen=True):
    """`next_after` is the place after which the next page starts; None on the last page."""

    items: list[WindowView]
    next_after: WindowPlace | None


def page(tx: Cursor, window_filter: WindowFilter, viewpoint: Viewpoint, after: WindowPlace, limit: int) -> WindowPage:
    """Returns windows that have started by `effective_at` and are known at `known_at`."""
    rows: list[Any] = []
    places: list[WindowPlace] = []
    for offer in _offers(tx, window_filter, viewpoint, after.offer_id):
        start = after if offer["offer_id"] == after.offer_id else FIRST_WINDOW
        for row in _windows(
            tx, window_filter, viewpoint, start._replace(offer_id=offer["offer_id"]), limit + 1 - len(rows)
        ):
            places.append(WindowPlace(row["offer_id"], row["redeemable_until"], row["activation_id"]))
            rows.append((row, offer["is_inactive"]))
        if len(rows) > limit:
            break
    items = [_view(tx, row, viewpoint, is_inactive=bool(is_inactive)) for row, is_inactive in rows[:limit]]
    count = number_that_fits(items)
    return WindowPage(items[:count], places[count - 1] if len(rows) > count else None)


# Offers

OFFERS_PER_QUERY, MAX_OFFERS_PER_QUERY = 100, 10_000

# A window can start before its offer was recorded, if the clock was ahead by then. Up to that time, the offer is active.
_INACTIVE = f"coalesce({STATUS_AS_OF_TIME.format(offer_id='o.offer_id')}, 'active') <> 'active'"
_WITH_WINDOWS = """
    WITH RECURSIVE o (offer_id) AS (
        SELECT min(offer_id) FROM redemption_windows WHERE offer_id >= ?
        UNION ALL
        SELECT (SELECT min(w.offer_id) FROM redemption_windows w WHERE w.offer_id > o.offer_id) FROM o
        WHERE o.offer_id IS NOT NULL
    )
    SELECT offer_id FROM o WHERE offer_id IS NOT NULL
"""
"""Steps from offer to offer in the index, so the number of windows per offer does not matter."""


def _offers(tx: Cursor, window_filter: WindowFilter, viewpoint: Viewpoint, first: int) -> Iterator[Any]:
    """Yields the offers, from the id `first` on, that can have matching windows, and whether each is inactive.

    Each query reads more offers than the one before, because many offers may have no matching window."""
    conditions, condition_values = _conditions(window_filter, viewpoint)
    offers_per_query = OFFERS_PER_QUERY
    while True:
        driver, values = _driver(window_filter, first)
        offers = tx.execute(
            f"SELECT *, CASE WHEN {' AND '.join(conditions)} THEN 1 ELSE 0 END AS matches"
            f" FROM (SELECT o.offer_id, {_INACTIVE} AS is_inactive FROM ({driver} LIMIT ?) o) o ORDER BY o.offer_id",
            (*condition_values, to_microseconds(viewpoint.statuses_at), *values, offers_per_query),
        ).fetchall()
        yield from (row for row in offers if row["matches"])
        if len(offers) < offers_per_query:
            return
        first, offers_per_query = offers[-1]["offer_id"] + 1, min(offers_per_query * 4, MAX_OFFERS_PER_QUERY)


def _driver(window_filter: WindowFilter, first: int) -> tuple[str, list[Any]]:
    """Returns the query for offer ids, from `first` on, that reads the fewest rows, and its parameters."""
    if window_filter.offer_uid is not None:
        return "SELECT stream_id AS offer_id FROM streams WHERE stream_uid = ? AND stream_id >= ?", [
            window_filter.offer_uid.bytes,
            first,
        ]
    if window_filter.customer_id is not None:
        windows = (
            "SELECT DISTINCT offer_id FROM redemption_windows WHERE customer_id = ? AND offer_id >= ? ORDER BY offer_id"
        )
        return windows, [window_filter.customer_id, first]
    if window_filter.state is WindowState.WINDING_DOWN:
        # Offers that have ever been inactive.
        return (
            "SELECT DISTINCT offer_id FROM offer_periods WHERE status <> 'active' AND offer_id >= ? ORDER BY offer_id",
            [first],
        )
    if window_filter.partner is not None:
        return (
            "SELECT offer_id FROM inventory WHERE partner = ? AND offer_id >= ? ORDER BY offer_id",
            [window_filter.partner, first],
        )
    return _WITH_WINDOWS, [first]


def _conditions(window_filter: WindowFilter, viewpoint: Viewpoint) -> tuple[list[str], list[Any]]:
    window = "w.offer_id = o.offer_id AND w.redeemable_until > ? AND w.redeemable_until <= ?"
    conditions = [f"EXISTS (SELECT 1 FROM redemption_windows w WHERE {window})"]
    values: list[Any] = [*_ends(window_filter, viewpoint)]
    if window_filter.partner is not None:
        conditions.append("EXISTS (SELECT 1 FROM inventory i WHERE i.offer_id = o.offer_id AND i.partner = ?)")
        values.append(window_filter.partner)
    match window_filter.state:
        case WindowState.OPEN:
            conditions.append("NOT is_inactive")
        case WindowState.WINDING_DOWN:
            conditions.append("is_inactive")
        case WindowState.EXPIRED | None:
            pass
    return conditions, values


# Windows of one offer


def _ends(window_filter: WindowFilter, viewpoint: Viewpoint) -> tuple[int, int]:
    """Returns the times in microseconds after which, and up to which, matching windows end."""
    effective_at = to_microseconds(viewpoint.effective_at)
    match window_filter.state:
        case WindowState.OPEN | WindowState.WINDING_DOWN:
            return effective_at, viewpoint.last_end
        case WindowState.EXPIRED:
            return 0, effective_at
        case None:
            return 0, viewpoint.last_end
        case _:
            assert_never(window_filter.state)


def _windows(
    tx: Cursor, window_filter: WindowFilter, viewpoint: Viewpoint, after: WindowPlace, limit: int
) -> list[Any]:
    """Returns the windows of the offer `after.offer_id` that follow `after`. The offer must match the filter."""
    after_end, last_end = _ends(window_filter, viewpoint)
    first = max((after.redeemable_until, after.activation_id), (after_end, ABOVE_ALL_IDS))
    conditions = ["w.offer_id = ?", "(w.redeemable_until, w.activation_id) > (?, ?)", "w.redeemable_until <= ?"]
    values: list[Any] = [after.offer_id, *first, last_end]
    if window_filter.customer_id is not None:
        conditions.append("w.customer_id = ?")
        values.append(window_filter.customer_id)
    return tx.execute(
        "SELECT w.*, s.stream_uid, o.stream_uid AS offer_uid FROM redemption_windows w"
        " JOIN commits c ON c.commit_id = w.commit_id"
        " JOIN streams s ON s.stream_id = w.activation_id JOIN streams o ON o.stream_id = w.offer_id"
        f" WHERE {' AND '.join(conditions)} AND w.activated_at <= ? AND c.recorded_at <= ?"
        " ORDER BY w.redeemable_until, w.activation_id LIMIT ?",
        (*values, to_microseconds(viewpoint.effective_at), to_microseconds(viewpoint.known_at), limit),
    ).fetchall()


def _view(tx: Cursor, row: Any, viewpoint: Viewpoint, *, is_inactive: bool) -> WindowView:
    window = RedemptionWindow(from_microseconds(row["activated_at"]), from_microseconds(row["redeemable_until"]))
    state = state_at(window, viewpoint.effective_at, is_active=not is_inactive)
    assert state
    return WindowView(
        activation_id=UUID(bytes=row["stream_uid"]),
        offer_uid=UUID(bytes=row["offer_uid"]),
        customer_id=row["customer_id"],
        offer_version=row["offer_version"],
        activated_at=utc_text(window.activated_at),
        redeemable_until=utc_text(window.redeemable_until),
        state=state,
        redeemed=redeemed_totals(
            tx, row["activation_id"], viewpoint.effective_at, viewpoint.known_at, viewpoint.statuses_at
        ),
    )
