"""What has changed between two states of the ledger, and by whose doing?"""

from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import APIRouter, Query, Request, Response

from api.audit.diff_schemas import Diff, DiffQuery
from api.dependencies.authentication import MayAudit
from api.dependencies.read_routing import AnyReads, answered_by_either
from api.http import pagination as cursors
from api.http.as_of import PRESENT, Asked, asked, head_of_state
from api.http.pagination import JSON, next_link, told_of_head
from api.http.problem_schemas import PROBLEMS
from api.http.problems import validation_error
from api.server.retry_route import ReadAgain
from api.validation.field_errors import Complaint
from domain.ledgers.ledger import Snapshots
from domain.store.commit import head_at_position
from projections.audit import diff as net_changes
from projections.audit.diff import Between, ChangeKind, NetChangePage

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], responses=PROBLEMS, route_class=ReadAgain)


class Turned(Exception):  # noqa: N818 - it says what the two states are
    """The later state is asked for first."""


class Asking(NamedTuple):
    """Two states, and whose offers; None: everybody's."""

    earlier: Asked
    later: Asked
    partner: str | None


@router.get("/diff", responses={200: {"model": Diff}})
@answered_by_either
def get_diff(request: Request, reads: AnyReads, caller: MayAudit, query: Annotated[DiffQuery, Query()]) -> Response:
    """The offers whose states differ, each with what it has become, the events behind it and the changed fields."""
    asking = Asking(
        asked(query.from_, query.fromPosition, ("from", "fromPosition")),
        asked(query.to, query.toPosition, ("to", "toPosition")),
        query.partner or caller.partner,
    )
    if asking.earlier == PRESENT:
        raise validation_error([Complaint(("query", "from"), "required, or fromPosition")])
    visible = caller.partner in {None, asking.partner}
    try:
        body = diff_document(reads, asking, query.cursor, query.limit, visible=visible)
    except Turned:
        place = "to" if query.to else "toPosition"
        raise validation_error([Complaint(("query", place), "must not be before the earlier state")]) from None
    headers = next_link(request.url, body["nextCursor"])
    return Response(msgspec.json.encode(body), headers=headers, media_type=JSON)


class _Place(NamedTuple):
    """Where a page ended, the positions that are compared, and how many offers of each kind there are, in the order of the
    kinds: they need not be counted again."""

    since: int
    until: int
    position: int
    created: int
    updated: int
    paused: int
    resumed: int
    deleted: int
    restored: int
    transient: int


def diff_document(
    ledger: Snapshots, asking: Asking, cursor: str | None, limit: int, *, visible: bool = True
) -> dict[str, Any]:
    """One page of what has changed, as its readers get it, by HTTP and from the command line. Raises InvalidCursor, Turned."""
    place = cursors.decode_as(_Place, asking, cursor)
    if place and not place.since <= place.position <= place.until:
        raise cursors.InvalidCursor
    if is_turned(asking):
        raise Turned
    with ledger.reading() as tx:
        if place:
            earlier, later = head_at_position(tx, place.since), head_at_position(tx, place.until)
            if later.position < place.until:
                raise cursors.InvalidCursor
        else:
            earlier, later = head_of_state(tx, asking.earlier), head_of_state(tx, asking.later)
        if later.position < earlier.position:
            raise Turned
        between = Between(earlier.position, later.position)
        counts, page = dict.fromkeys(ChangeKind, 0), NetChangePage([], None)
        if visible:
            counts = _counted(place) if place else net_changes.count(tx, between, asking.partner)
            page = net_changes.page(tx, between, asking.partner, place.position if place else between.since, limit)
    following = page.next_after and _Place(earlier.position, later.position, page.next_after, *counts.values())
    return {
        "from": told_of_head(earlier),
        "to": told_of_head(later),
        "counts": counts,
        "items": page.items,
        "nextCursor": cursors.encode(asking, following),
    }


def _counted(place: _Place) -> dict[ChangeKind, int]:
    return dict(zip(ChangeKind, place[3:], strict=True))


def is_turned(asking: Asking) -> bool:
    """Whether what was asked says so already, wherever the commits lie."""
    earlier, later = asking.earlier, asking.later
    if earlier.as_of and later.as_of:
        return later.as_of < earlier.as_of
    return earlier.position is not None and later.position is not None and later.position < earlier.position
