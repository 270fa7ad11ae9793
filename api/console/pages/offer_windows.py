"""Which redemption windows does an offer have, and how do they lie in time?"""

from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import Struct

from api.console.charts import Axis, BarsChart, bars_chart
from api.console.page_context import Visit
from api.http import pagination as cursors
from api.redemption.window_routes import as_seen
from domain.redemption.activation import WindowState
from domain.store.cursor import Cursor
from domain.values import Status
from projections.offers.inventory import OfferView
from projections.redemption import windows_as_of as windows_at
from projections.redemption.windows_as_of import START, Sight, WindowFilter, WindowPlace, WindowView

SHOWN = 50
PARAM = "windows"
"""The parameter that leads to the following page."""


class _Place(NamedTuple):
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


def windows_of(tx: Cursor, visit: Visit, offer: OfferView) -> Windows:
    """Raises InvalidCursor."""
    question = (PARAM, offer.offer_uid, visit.moment.asked)
    after = cursors.decode_as(_Place, question, visit.given(PARAM)) or _Place(0, *START)
    sight = Sight(visit.moment.at, visit.moment.recorded_at or visit.moment.at)
    running = WindowState.OPEN if offer.status == Status.ACTIVE else WindowState.WINDING_DOWN
    found: list[WindowView] = []
    place: _Place | None = None
    for ended, state in enumerate((running, WindowState.EXPIRED)):
        if ended < after.ended or place:
            continue
        start = WindowPlace(*after[1:]) if ended == after.ended else START
        wanted = WindowFilter(offer_uid=offer.offer_uid, state=state)
        page = windows_at.page(tx, wanted, sight, start, SHOWN - len(found))
        found += page.items
        if page.next_after:
            place = _Place(ended, *page.next_after)
        elif len(found) == SHOWN and not ended:
            place = _Place(1, *START)
    following = visit.here(**{PARAM: cursors.encode(question, place)}) if place else None
    if visit.partner is not None:
        found = [as_seen(visit.service, visit.partner, window) for window in found]
    return Windows(found, following)


def chart_of(visit: Visit, offer: OfferView, windows: list[WindowView]) -> WindowsChart | None:
    """The windows as bars, with the take-down and the moment."""
    if not windows:
        return None
    spans = [
        (str(window.state), _time(window.activated_at), _time(window.redeemable_until), window.customer_id)
        for window in windows
    ]
    taken_down_at = offer.deleted_at or offer.paused_at
    taken_down = [_time(taken_down_at)] if taken_down_at else []
    moments = [visit.moment.at, *taken_down, *(moment for _, first, last, _ in spans for moment in (first, last))]
    axis = Axis(min(moments) - timedelta(days=1), max(moments) + timedelta(days=1))
    down = axis.x(taken_down[0]) if taken_down else None
    return WindowsChart(bars_chart(axis, spans), axis.x(visit.moment.at), down, taken_down_at)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
