"""What has changed between two states of the ledger, and by whose doing?"""

from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import APIRouter, Query, Request, Response

from api.audit.diff_schemas import Diff, DiffQuery
from api.dependencies.authentication import MayAudit
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.http import pagination
from api.http.as_of import AsOf, parse_as_of, resolve_head
from api.http.pagination import JSON, head_members, next_link
from api.http.problem_schemas import PROBLEMS
from api.http.problems import validation_error
from api.server.retry_route import RetryingRoute
from api.validation.field_errors import InvalidField
from domain.ledgers.ledger import LedgerReader
from domain.store.commit import head_at_position
from projections.audit import diff
from projections.audit.diff import ChangeKind, NetChangePage, PositionRange

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], responses=PROBLEMS, route_class=RetryingRoute)


class ReversedRange(Exception):  # noqa: N818 - it says what the two states are
    """The later state is asked for first."""


class DiffRequest(NamedTuple):
    """Two states, and whose offers; None: everybody's."""

    earlier: AsOf
    later: AsOf
    partner: str | None


@router.get("/diff", responses={200: {"model": Diff}})
@fall_back_to_primary
def get_diff(request: Request, reads: ReplicaReads, caller: MayAudit, query: Annotated[DiffQuery, Query()]) -> Response:
    """The offers whose states differ, each with what it has become, the events behind it and the changed fields."""
    asking = DiffRequest(
        parse_as_of(query.from_, query.fromPosition, ("from", "fromPosition")),
        parse_as_of(query.to, query.toPosition, ("to", "toPosition")),
        query.partner or caller.partner,
    )
    if asking.earlier.is_now:
        raise validation_error([InvalidField(("query", "from"), "required, or fromPosition")])
    visible = caller.partner in {None, asking.partner}
    try:
        body = diff_document(reads, asking, query.cursor, query.limit, visible=visible)
    except ReversedRange:
        place = "to" if query.to else "toPosition"
        raise validation_error([InvalidField(("query", place), "must not be before the earlier state")]) from None
    headers = next_link(request.url, body["nextCursor"])
    return Response(msgspec.json.encode(body), headers=headers, media_type=JSON)


class _DiffCursor(NamedTuple):
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
    ledger: LedgerReader, asking: DiffRequest, cursor: str | None, limit: int, *, visible: bool = True
) -> dict[str, Any]:
    """One page of what has changed, as its readers get it, by HTTP and from the command line. Raises InvalidCursor, Turned."""
    place = pagination.decode_cursor_as(_DiffCursor, asking, cursor)
    if place and not place.since <= place.position <= place.until:
        raise pagination.InvalidCursor
    if is_reversed(asking):
        raise ReversedRange
    with ledger.read() as tx:
        if place:
            earlier, later = head_at_position(tx, place.since), head_at_position(tx, place.until)
            if later.position < place.until:
                raise pagination.InvalidCursor
        else:
            earlier, later = resolve_head(tx, asking.earlier), resolve_head(tx, asking.later)
        if later.position < earlier.position:
            raise ReversedRange
        between = PositionRange(earlier.position, later.position)
        counts, page = dict.fromkeys(ChangeKind, 0), NetChangePage([], None)
        if visible:
            counts = _counted(place) if place else diff.count(tx, between, asking.partner)
            page = diff.page(tx, between, asking.partner, place.position if place else between.since, limit)
    following = page.next_after and _DiffCursor(earlier.position, later.position, page.next_after, *counts.values())
    return {
        "from": head_members(earlier),
        "to": head_members(later),
        "counts": counts,
        "items": page.items,
        "nextCursor": pagination.encode_cursor(asking, following),
    }


def _counted(place: _DiffCursor) -> dict[ChangeKind, int]:
    return dict(zip(ChangeKind, place[3:], strict=True))


def is_reversed(asking: DiffRequest) -> bool:
    """Whether what was asked says so already, wherever the commits lie."""
    earlier, later = asking.earlier, asking.later
    if earlier.time and later.time:
        return later.time < earlier.time
    return earlier.position is not None and later.position is not None and later.position < earlier.position
