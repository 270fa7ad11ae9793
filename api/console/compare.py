"""What has changed between two moments, and by whose doing?"""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response
from msgspec import Struct

from api.as_of import Asked, asked, head_of_state
from api.audit import Asking, Turned, diff_document
from api.console.console_route import ConsoleRoute
from api.console.inventory import word
from api.console.moment import read_moment, time_param
from api.console.rendering import COMPARE, render
from api.console.visits import Auditing, Visit
from api.problems import validation_error
from api.schemas.messages import Complaint
from domain.store.commit import Head
from domain.store.cursor import Cursor
from domain.values import EPOCH
from projections import net_changes
from projections.net_changes import Between, Cause, NetChange

PAGE = 50
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
    """A page of a comparison; `is_all`: whether there is no other one."""

    counts: dict[str, int]
    groups: list[Group]
    is_all: bool


def compared(tx: Cursor, between: Between, partner: str | None, after: int, limit: int) -> Compared:
    """The first page."""
    counts = {str(kind): count for kind, count in net_changes.count(tx, between, partner).items()}
    page = net_changes.page(tx, between, partner, after, limit)
    return Compared(counts, by_cause(page.items), page.next_after is None)


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
    asking = Asking(_earlier(visit), _later(visit), word(visit, "partner") or visit.partner)
    visible = visit.partner in {None, asking.partner}
    try:
        body = diff_document(visit.service.ledger, asking, visit.given("cursor"), PAGE, visible=visible)
    except Turned:
        raise validation_error([Complaint(("query", "to"), "must not be before from")]) from None
    with visit.service.ledger.reading() as tx:
        earlier, later = head_of_state(tx, asking.earlier), head_of_state(tx, asking.later)
    following = body["nextCursor"] and visit.here(cursor=body["nextCursor"])
    return render(
        visit,
        "compare.html",
        "Compare two moments",
        earlier=_shown(asking.earlier, earlier),
        later=_shown(asking.later, later),
        partner=asking.partner,
        counts={str(kind): count for kind, count in body["counts"].items()},
        groups=by_cause(body["items"]),
        following=following,
    )


def _earlier(visit: Visit) -> Asked:
    found = _asked(visit, "from", "fromPosition")
    return found or Asked(as_of=max(EPOCH, visit.moment.at - AT_FIRST))


def _later(visit: Visit) -> Asked:
    return _asked(visit, "to", "toPosition") or visit.moment.asked


def _asked(visit: Visit, time: str, position: str) -> Asked | None:
    """Raises Problem 422."""
    told, place = visit.given(time), visit.number(position)
    if told is None and place is None:
        return None
    return asked(time_param(read_moment(told, time)) if told else None, place, (time, position))


def _shown(asked: Asked, head: Head) -> dict[str, Any]:
    moment = asked.as_of or head.recorded_at
    return {
        "position": head.position,
        "recorded_at": head.recorded_at,
        "asked": asked,
        "input": moment.strftime("%Y-%m-%dT%H:%M:%S") if moment else "",
    }
