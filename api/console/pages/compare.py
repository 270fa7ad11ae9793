"""The page Compare: the changes between two states, grouped by their cause."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response
from msgspec import Struct

from api.audit.diff_routes import DiffRequest, is_reversed, resolve_ends
from api.console.change_groups import ChangeGroup, group_by_cause
from api.console.page_context import AuditPage, PageContext
from api.console.rendering import COMPARE, render
from api.console.routing import ConsoleRoute
from api.console.time_travel import input_value, parse_time_field
from api.http.as_of import AsOf
from api.http.pagination import PageCursors
from api.http.problems import validation_error
from api.validation.field_errors import InvalidField
from domain.store.commit import CommitSpan, LedgerHead, commit_around
from domain.store.cursor import Cursor
from domain.values import EPOCH
from projections.audit import diff
from projections.audit.change_kind import ChangeKind
from projections.audit.diff import PositionRange

CHANGES_PER_PAGE = 50
KINDS = tuple(map(str, ChangeKind))
MAX_COUNTED_EVENTS = 200_000
"""The changes of more events are listed but not counted: counting would take longer than a reader waits for a page."""
DEFAULT_SPAN = timedelta(days=1)
"""Without a chosen start, the comparison starts this long before the viewed state."""

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


class ComparisonPage(Struct, frozen=True):
    """A page of a comparison.

    `counts` covers all pages. It is None on every page but the first, and if there are too many events to count.
    `next_after` is the position that the next page starts after."""

    counts: dict[str, int] | None
    groups: list[ChangeGroup]
    next_after: int | None


def compare_states(
    tx: Cursor, position_range: PositionRange, request: DiffRequest, after: int, limit: int
) -> ComparisonPage:
    """Returns the page that starts after a position: the changes of the requested partner and kind."""
    counts = None
    if after == position_range.since and position_range.until - position_range.since <= MAX_COUNTED_EVENTS:
        counts = diff.count(tx, position_range, request.partner)
    page = diff.page(tx, position_range, request.partner, after, limit, request.kinds)
    return ComparisonPage(counts, group_by_cause(tx, page.items), page.next_after)


@router.get(COMPARE)
def show_comparison(context: AuditPage) -> Response:
    kind = context.choice("kind", KINDS)
    request = DiffRequest(
        _earlier(context), _later(context), context.partner_filter, ChangeKind(kind) if kind else None
    )
    with context.service.ledger.read() as tx:
        first, last = resolve_ends(context.service.ledger, tx, request)
        if is_reversed(request) or last.position < first.position:
            raise validation_error([InvalidField(("query", "to"), "must not be before from")])
        position_range = PositionRange(first.position, last.position)
        spans = [commit_around(tx, head.position) for head in (first, last)]
        scope = ("compare", position_range, request.partner, request.kind)
        cursors = PageCursors(context.service.ledger.name_in(tx), scope)
        comparison = ComparisonPage({}, [], None)
        if context.sees(request.partner):
            after = max(position_range.since, cursors.decode(context.param("cursor")))
            comparison = compare_states(tx, position_range, request, after, CHANGES_PER_PAGE)
    # All pages compare the same two states, also if events are recorded meanwhile.
    pinned = {"from": "", "to": "", "fromPosition": first.position, "toPosition": last.position}
    cursor = cursors.encode(comparison.next_after)
    return render(
        context,
        "compare.html",
        "Compare two states",
        earlier=_as_shown(request.earlier, first),
        later=_as_shown(request.later, last),
        inside_commits=_inside_commits(context, spans, pinned),
        partner=request.partner,
        kind=kind,
        kinds=KINDS,
        # The link of the chosen kind ends the choice.
        links={word: context.this_page(**pinned, cursor="", kind="" if word == kind else word) for word in KINDS},
        comparison=comparison,
        most_counted=MAX_COUNTED_EVENTS,
        next_page=cursor and context.this_page(**pinned, cursor=cursor),
    )


def _inside_commits(
    context: PageContext, spans: Sequence[CommitSpan | None], pinned: Mapping[str, object]
) -> list[tuple[CommitSpan, str, str]]:
    """Returns the commits that the compared states are inside of, with links to the states before and after each."""
    found = ((name, span) for name, span in zip(("fromPosition", "toPosition"), spans, strict=True) if span)
    pinned = {**pinned, "cursor": ""}
    return [
        (span, context.this_page(**{**pinned, name: span.first - 1}), context.this_page(**{**pinned, name: span.last}))
        for name, span in found
    ]


def _earlier(context: PageContext) -> AsOf:
    as_of = _requested(context, "from", "fromPosition")
    return as_of or AsOf(time=max(EPOCH, context.state.evaluated_at - DEFAULT_SPAN))


def _later(context: PageContext) -> AsOf:
    return _requested(context, "to", "toPosition") or context.state.as_of


def _requested(context: PageContext, time_name: str, position_name: str) -> AsOf | None:
    """Returns the requested state; a time wins over a position. Raises Problem 422.

    The form keeps the position of the previous page in a hidden field, until a time is chosen."""
    time, position = context.param(time_name), context.number(position_name)
    if time is None and position is None:
        return None
    return AsOf(time=parse_time_field(time, time_name)) if time else AsOf(position=position)


def _as_shown(as_of: AsOf, head: LedgerHead) -> dict[str, Any]:
    field_value = input_value(as_of.time) if as_of.time else ""
    return {"position": head.position, "recorded_at": head.recorded_at, "as_of": as_of, "field_value": field_value}
