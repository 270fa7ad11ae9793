"""Which redemption windows does an offer have, and how do they lie in time?"""

from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import Struct

from api.console.charts import Axis, BarsChart, bars_chart
from api.console.page_context import PageContext
from api.http import pagination
from api.redemption.window_routes import as_seen
from domain.redemption.activation import WindowState
from domain.store.cursor import Cursor
from domain.values import Status
from projections.offers.inventory import OfferView
from projections.redemption import windows_as_of
from projections.redemption.windows_as_of import FIRST_WINDOW, Viewpoint, WindowFilter, WindowPlace, WindowView

SHOWN = 50
PARAM = "windows"
"""The parameter that leads to the following page."""


class _WindowsCursor(NamedTuple):
    """Where a page ended, and whether it was among those that have ended."""

    ended: int
    offer_id: int
    redeemable_until: int
    activation_id: int


class Windows(Struct, frozen=True):
    """A page of them: those that have not ended, and after them those that have; `following`: a link to the next one."""

    items: list[WindowView]
    following: str | None


class WindowsChart(Struct, frozen=True):
    """`now`: where the moment lies that is shown; `taken_down`: where the offer was paused or deleted, if it is."""

    bars: BarsChart
    now: float
    taken_down: float | None
    taken_down_at: str | None


def windows_of(tx: Cursor, context: PageContext, offer: OfferView) -> Windows:
    """Raises InvalidCursor."""
    question = (PARAM, offer.offer_uid, context.state.as_of)
    after = pagination.decode_cursor_as(_WindowsCursor, question, context.given(PARAM)) or _WindowsCursor(
        0, *FIRST_WINDOW
    )
    sight = Viewpoint(context.state.evaluated_at, context.state.recorded_at or context.state.evaluated_at)
    running = WindowState.OPEN if offer.status == Status.ACTIVE else WindowState.WINDING_DOWN
    found: list[WindowView] = []
    place: _WindowsCursor | None = None
    for ended, state in enumerate((running, WindowState.EXPIRED)):
        if ended < after.ended or place:
            continue
        start = WindowPlace(*after[1:]) if ended == after.ended else FIRST_WINDOW
        wanted = WindowFilter(offer_uid=offer.offer_uid, state=state)
        page = windows_as_of.page(tx, wanted, sight, start, SHOWN - len(found))
        found += page.items
        if page.next_after:
            place = _WindowsCursor(ended, *page.next_after)
        elif len(found) == SHOWN and not ended:
            place = _WindowsCursor(1, *FIRST_WINDOW)
    following = context.here(**{PARAM: pagination.encode_cursor(question, place)}) if place else None
    if context.partner is not None:
        found = [as_seen(context.service, context.partner, window) for window in found]
    return Windows(found, following)


def chart_of(context: PageContext, offer: OfferView, windows: list[WindowView]) -> WindowsChart | None:
    """The windows as bars, with the take-down and the moment."""
    if not windows:
        return None
    spans = [
        (str(window.state), _time(window.activated_at), _time(window.redeemable_until), window.customer_id)
        for window in windows
    ]
    taken_down_at = offer.deleted_at or offer.paused_at
    taken_down = [_time(taken_down_at)] if taken_down_at else []
    moments = [
        context.state.evaluated_at,
        *taken_down,
        *(moment for _, first, last, _ in spans for moment in (first, last)),
    ]
    axis = Axis(min(moments) - timedelta(days=1), max(moments) + timedelta(days=1))
    down = axis.x(taken_down[0]) if taken_down else None
    return WindowsChart(bars_chart(axis, spans), axis.x(context.state.evaluated_at), down, taken_down_at)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
