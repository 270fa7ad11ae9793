"""What has changed between two moments, and by whose doing?"""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response
from msgspec import Struct

from api.audit.diff_routes import Asking, is_turned
from api.console.page_context import Auditing, Visit
from api.console.rendering import COMPARE, render
from api.console.routing import ConsoleRoute
from api.console.time_travel import input_value, read_moment
from api.http import pagination as cursors
from api.http.as_of import Asked, head_of_state
from api.http.problems import validation_error
from api.validation.field_errors import Complaint
from domain.store.commit import Head
from domain.store.cursor import Cursor
from domain.values import EPOCH
from projections.audit import diff as net_changes
from projections.audit.diff import Between, Cause, NetChange

PAGE = 50
MOST_COUNTED = 200_000
"""Events between two moments: of more, it would take longer to count what they have changed than anybody waits for a page."""
AT_FIRST = timedelta(days=1)
"""So long before the moment, the comparison begins if nothing else is asked for."""

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


class Group(Struct, frozen=True):
    """What one cause has brought about; `cause`: the first event of it."""

    cause: Cause
    items: list[NetChange]

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


def compared(tx: Cursor, between: Between, partner: str | None, after: int, limit: int) -> Compared:
    """The page after a position; counted on the first one."""
    counts = None
    if after == between.since and between.until - between.since <= MOST_COUNTED:
        counts = {str(kind): count for kind, count in net_changes.count(tx, between, partner).items()}
    page = net_changes.page(tx, between, partner, after, limit)
    return Compared(counts, by_cause(page.items), page.next_after)


def by_cause(items: list[NetChange]) -> list[Group]:
    """What was done by one run, or request, or somebody otherwise, stands together; each by what was done to it last."""
    groups: dict[Any, Group] = {}
    for item in items:
        if item.causes:
            cause = item.causes[-1]
            key = cause.run_id or cause.trace_id or (cause.actor, cause.recorded_at)
            groups.setdefault(key, Group(cause, [])).items.append(item)
    return list(groups.values())


@router.get(COMPARE)
def compare(visit: Auditing) -> Response:
    earlier, later, partner = _earlier(visit), _later(visit), visit.id("partner") or visit.partner
    with visit.service.ledger.reading() as tx:
        first, last = head_of_state(tx, earlier), head_of_state(tx, later)
        if is_turned(Asking(earlier, later, partner)) or last.position < first.position:
            raise validation_error([Complaint(("query", "to"), "must not be before from")])
        between = Between(first.position, last.position)
        question = ("compare", between, partner)
        found = Compared({}, [], None)
        if visit.sees(partner):
            after = max(between.since, cursors.decode(question, visit.given("cursor")))
            found = compared(tx, between, partner, after, PAGE)
    # All pages are of the same two moments.
    pinned = {"from": "", "to": "", "fromPosition": first.position, "toPosition": last.position}
    cursor = cursors.encode(question, found.next_after)
    return render(
        visit,
        "compare.html",
        "Compare two moments",
        earlier=_shown(earlier, first),
        later=_shown(later, last),
        partner=partner,
        found=found,
        most_counted=MOST_COUNTED,
        following=cursor and visit.here(**pinned, cursor=cursor),
    )


def _earlier(visit: Visit) -> Asked:
    found = _asked(visit, "from", "fromPosition")
    return found or Asked(as_of=max(EPOCH, visit.moment.at - AT_FIRST))


def _later(visit: Visit) -> Asked:
    return _asked(visit, "to", "toPosition") or visit.moment.asked


def _asked(visit: Visit, time: str, position: str) -> Asked | None:
    """A time takes the place of a position: in the form, that of the page before is kept until one is chosen. Raises Problem 422."""
    told, place = visit.given(time), visit.number(position)
    if told is None and place is None:
        return None
    return Asked(as_of=read_moment(told, time)) if told else Asked(position=place)


def _shown(asked: Asked, head: Head) -> dict[str, Any]:
    chosen = input_value(asked.as_of) if asked.as_of else ""
    return {"position": head.position, "recorded_at": head.recorded_at, "asked": asked, "chosen": chosen}
