"""What has changed between two moments, and by whose doing?"""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response
from msgspec import Struct

from api.audit.diff_routes import DiffRequest, is_reversed
from api.console.page_context import AuditPage, PageContext
from api.console.rendering import COMPARE, render
from api.console.routing import ConsoleRoute
from api.console.time_travel import input_value, parse_time_field
from api.http import pagination
from api.http.as_of import AsOf, resolve_head
from api.http.problems import validation_error
from api.validation.field_errors import InvalidField
from domain.store.commit import LedgerHead
from domain.store.cursor import Cursor
from domain.values import EPOCH
from projections.audit import diff
from projections.audit.diff import CauseView, NetChangeView, PositionRange

CHANGES_PER_PAGE = 50
MOST_COUNTED = 200_000
"""Events between two moments: of more, it would take longer to count what they have changed than anybody waits for a page."""
AT_FIRST = timedelta(days=1)
"""So long before the moment, the comparison begins if nothing else is asked for."""

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


class Group(Struct, frozen=True):
    """What one cause has brought about; `cause`: the first event of it."""

    cause: CauseView
    items: list[NetChangeView]

    @property
    def counts(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for item in self.items:
            for kind in item.kinds:
                found[str(kind)] = found.get(str(kind), 0) + 1
        return found


class Compared(Struct, frozen=True):
    """A page of a comparison. `counts`: of all pages, None if that has been told, or there is too much to be counted for a page;
    `next_after`: the position that the following page starts after, if there is one."""

    counts: dict[str, int] | None
    groups: list[Group]
    next_after: int | None


def compared(tx: Cursor, between: PositionRange, partner: str | None, after: int, limit: int) -> Compared:
    """The page after a position; counted on the first one."""
    counts = None
    if after == between.since and between.until - between.since <= MOST_COUNTED:
        counts = {str(kind): count for kind, count in diff.count(tx, between, partner).items()}
    page = diff.page(tx, between, partner, after, limit)
    return Compared(counts, by_cause(page.items), page.next_after)


def by_cause(items: list[NetChangeView]) -> list[Group]:
    """What was done by one run, or request, or somebody otherwise, stands together; each by what was done to it last."""
    groups: dict[Any, Group] = {}
    for item in items:
        if item.causes:
            cause = item.causes[-1]
            key = cause.run_id or cause.trace_id or (cause.actor, cause.recorded_at)
            groups.setdefault(key, Group(cause, [])).items.append(item)
    return list(groups.values())


@router.get(COMPARE)
def compare(context: AuditPage) -> Response:
    earlier, later, partner = _earlier(context), _later(context), context.id("partner") or context.partner
    with context.service.ledger.read() as tx:
        first, last = resolve_head(tx, earlier), resolve_head(tx, later)
        if is_reversed(DiffRequest(earlier, later, partner)) or last.position < first.position:
            raise validation_error([InvalidField(("query", "to"), "must not be before from")])
        between = PositionRange(first.position, last.position)
        question = ("compare", between, partner)
        found = Compared({}, [], None)
        if context.sees(partner):
            after = max(between.since, pagination.decode_cursor(question, context.given("cursor")))
            found = compared(tx, between, partner, after, CHANGES_PER_PAGE)
    # All pages are of the same two moments.
    pinned = {"from": "", "to": "", "fromPosition": first.position, "toPosition": last.position}
    cursor = pagination.encode_cursor(question, found.next_after)
    return render(
        context,
        "compare.html",
        "Compare two moments",
        earlier=_shown(earlier, first),
        later=_shown(later, last),
        partner=partner,
        found=found,
        most_counted=MOST_COUNTED,
        following=cursor and context.here(**pinned, cursor=cursor),
    )


def _earlier(context: PageContext) -> AsOf:
    found = _asked(context, "from", "fromPosition")
    return found or AsOf(time=max(EPOCH, context.state.evaluated_at - AT_FIRST))


def _later(context: PageContext) -> AsOf:
    return _asked(context, "to", "toPosition") or context.state.as_of


def _asked(context: PageContext, time: str, position: str) -> AsOf | None:
    """A time takes the place of a position: in the form, that of the page before is kept until one is chosen. Raises Problem 422."""
    told, place = context.given(time), context.number(position)
    if told is None and place is None:
        return None
    return AsOf(time=parse_time_field(told, time)) if told else AsOf(position=place)


def _shown(asked: AsOf, head: LedgerHead) -> dict[str, Any]:
    chosen = input_value(asked.time) if asked.time else ""
    return {"position": head.position, "recorded_at": head.recorded_at, "as_of": asked, "chosen": chosen}
