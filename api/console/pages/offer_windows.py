"""The redemption windows of an offer, as a list of pages and as a chart."""

from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import Struct

from api.console.charts import Axis, BarsChart, bars_chart
from api.console.page_context import PageContext
from api.http.pagination import PageCursors
from api.redemption.window_routes import with_pseudonym
from domain.redemption.activation import WindowState
from domain.store.cursor import Cursor
from domain.values import Status
from projections.offers.inventory import OfferView
from projections.redemption import windows_as_of
from projections.redemption.windows_as_of import FIRST_WINDOW, Viewpoint, WindowFilter, WindowPlace, WindowView

WINDOWS_PER_PAGE = 50
PARAM = "windows"
"""The query parameter with the cursor of the list."""


class _WindowsCursor(NamedTuple):
    """The last window of a page. `ended` is 1 if the page reached the windows that have ended, else 0."""

    ended: int
    offer_id: int
    redeemable_until: int
    activation_id: int


class Windows(Struct, frozen=True):
    """A page of windows: the running ones first, then the ended ones. `next_page` is a link to the next page."""

    items: list[WindowView]
    next_page: str | None


class WindowsChart(Struct, frozen=True):
    """Bars of the windows, and the coordinates of the viewed time and of the pause or deletion of the offer."""

    bars: BarsChart
    now: float
    takedown: float | None
    takedown_at: str | None


def windows_of(tx: Cursor, context: PageContext, offer: OfferView) -> Windows:
    """Returns a page of the offer's windows; a partner sees pseudonyms of the customers. Raises InvalidCursor."""
    cursors = PageCursors(context.service.ledger.name_in(tx), (PARAM, offer.offer_uid, context.state.as_of))
    after = cursors.decode_as(_WindowsCursor, context.param(PARAM)) or _WindowsCursor(0, *FIRST_WINDOW)
    known_at = context.state.recorded_at or context.state.evaluated_at
    viewpoint = Viewpoint(context.state.evaluated_at, known_at, applies_at=known_at)
    running = WindowState.OPEN if offer.status == Status.ACTIVE else WindowState.WINDING_DOWN
    windows: list[WindowView] = []
    next_cursor: _WindowsCursor | None = None
    for ended, state in enumerate((running, WindowState.EXPIRED)):
        if ended < after.ended or next_cursor:
            continue
        start = WindowPlace(*after[1:]) if ended == after.ended else FIRST_WINDOW
        window_filter = WindowFilter(offer_uid=offer.offer_uid, state=state)
        page = windows_as_of.page(tx, window_filter, viewpoint, start, WINDOWS_PER_PAGE - len(windows))
        windows += page.items
        if page.next_after:
            next_cursor = _WindowsCursor(ended, *page.next_after)
        elif len(windows) == WINDOWS_PER_PAGE and not ended:
            next_cursor = _WindowsCursor(1, *FIRST_WINDOW)
    next_page = context.this_page(**{PARAM: cursors.encode(next_cursor)}) if next_cursor else None
    if context.partner is not None:
        windows = [with_pseudonym(context.service, context.partner, window) for window in windows]
    return Windows(windows, next_page)


def chart_of(context: PageContext, offer: OfferView, windows: list[WindowView]) -> WindowsChart | None:
    """Returns the chart of a page of windows, or None if there are none."""
    if not windows:
        return None
    spans = [
        (str(window.state), _time(window.activated_at), _time(window.redeemable_until), window.customer_id)
        for window in windows
    ]
    takedown_at = offer.deleted_at or offer.paused_at
    takedowns = [_time(takedown_at)] if takedown_at else []
    times = [context.state.evaluated_at, *takedowns, *(time for _, first, last, _ in spans for time in (first, last))]
    axis = Axis(min(times) - timedelta(days=1), max(times) + timedelta(days=1))
    takedown = axis.x(takedowns[0]) if takedowns else None
    return WindowsChart(bars_chart(axis, spans), axis.x(context.state.evaluated_at), takedown, takedown_at)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
