"""The diff API: the net changes of offers between two states of the ledger."""

from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query, Request, Response

from api.audit.diff_schemas import Diff, DiffQuery
from api.dependencies.authentication import ServiceDep
from api.dependencies.partner_filter import partner_filter
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.dependencies.roles import AuditReader
from api.http.as_of import AsOf, parse_as_of, resolve_head, set_inside_commits
from api.http.pagination import InvalidCursor, PageCursors, head_members, next_link
from api.http.problems import validation_error
from api.http.replies import json_response
from api.server.retry_route import RetryingRoute
from api.validation.field_errors import InvalidField
from domain.ledgers.ledger import LedgerReader
from domain.store.commit import LedgerHead, head_at_position
from domain.store.cursor import Cursor
from projections.audit import diff
from projections.audit.change_kind import ChangeKind
from projections.audit.diff import COUNTED, NetChangePage, PositionRange

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], route_class=RetryingRoute)

EARLIER, LATER = ("from", "fromPosition"), ("to", "toPosition")
"""The parameters of the time and the position of each state."""


class ReversedRange(Exception):
    """The later state of a diff precedes the earlier one."""


class DiffRequest(NamedTuple):
    """Two states to compare, the partner whose offers are compared, and the kind of change that is listed.

    None means all partners, and all kinds."""

    earlier: AsOf
    later: AsOf
    partner: str | None
    kind: ChangeKind | None = None

    @property
    def kinds(self) -> Iterable[ChangeKind]:
        return [self.kind] if self.kind else ChangeKind


@router.get("/diff", responses={200: {"model": Diff}})
@fall_back_to_primary
def get_diff(
    request: Request,
    service: ServiceDep,
    reads: ReplicaReads,
    caller: AuditReader,
    query: Annotated[DiffQuery, Query()],
) -> Response:
    """List the offers that differ between two states, each with its status in both, all events that caused the
    difference and the changed fields. `counts` are of all kinds, also with the filter `kind`."""
    diff_request = DiffRequest(
        parse_as_of(query.from_, query.fromPosition, EARLIER),
        parse_as_of(query.to, query.toPosition, LATER),
        partner_filter(service, caller, query.partner),
        ChangeKind(query.kind) if query.kind else None,
    )
    if diff_request.earlier.is_now:
        raise validation_error([InvalidField(("query", "from"), "required, unless fromPosition is given")])
    visible = caller.sees(diff_request.partner)
    set_inside_commits(request, reads, diff_request.earlier, diff_request.later)
    try:
        body = diff_document(reads, diff_request, query.cursor, query.limit, visible=visible)
    except ReversedRange:
        place = "to" if query.to else "toPosition"
        raise validation_error([InvalidField(("query", place), "must not be before the earlier state")]) from None
    headers = next_link(request.url, body["nextCursor"])
    return json_response(body, headers=headers)


class _DiffCursor(NamedTuple):
    """The place of a page's last offer, the compared positions, and the number of offers of each kind.

    The counts are in the order of `COUNTED`. They are here so that later pages need not count again."""

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
    ledger: LedgerReader, diff_request: DiffRequest, cursor: str | None, limit: int, *, visible: bool = True
) -> dict[str, Any]:
    """Returns one page of a diff, for HTTP and the command line. Raises InvalidCursor, ReversedRange."""
    with ledger.read() as tx:
        cursors = PageCursors(ledger.name_in(tx), diff_request)
        place = cursors.decode_as(_DiffCursor, cursor)
        if place and not place.since <= place.position <= place.until:
            raise InvalidCursor
        if is_reversed(diff_request):
            raise ReversedRange
        if place:
            earlier, later = head_at_position(tx, place.since), head_at_position(tx, place.until)
            if later.position < place.until:
                raise InvalidCursor
        else:
            earlier, later = resolve_ends(ledger, tx, diff_request)
        if later.position < earlier.position:
            raise ReversedRange
        positions = PositionRange(earlier.position, later.position)
        counts, page = dict.fromkeys(COUNTED, 0), NetChangePage([], None)
        if visible:
            counts = _counts_of(place) if place else diff.count(tx, positions, diff_request.partner)
            after = place.position if place else positions.since
            page = diff.page(tx, positions, diff_request.partner, after, limit, diff_request.kinds)
    next_place = page.next_after and _DiffCursor(earlier.position, later.position, page.next_after, *counts.values())
    return {
        "from": head_members(earlier),
        "to": head_members(later),
        "counts": counts,
        "items": page.items,
        "nextCursor": cursors.encode(next_place),
    }


def resolve_ends(ledger: LedgerReader, tx: Cursor, diff_request: DiffRequest) -> tuple[LedgerHead, LedgerHead]:
    """Returns both states. Raises Problem 422 if the ledger has not reached them."""
    earlier = resolve_head(ledger, tx, diff_request.earlier, EARLIER)
    return earlier, resolve_head(ledger, tx, diff_request.later, LATER)


def _counts_of(place: _DiffCursor) -> dict[str, int]:
    return dict(zip(COUNTED, place[3:], strict=True))


def is_reversed(diff_request: DiffRequest) -> bool:
    """Returns True if the request itself is reversed. Otherwise the order depends on the commits of both states."""
    earlier, later = diff_request.earlier, diff_request.later
    if earlier.time and later.time:
        return later.time < earlier.time
    return earlier.position is not None and later.position is not None and later.position < earlier.position
