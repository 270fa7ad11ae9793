"""Lists events, and shows single requests and quotas."""

from typing import get_args

from msgspec.structs import replace

from api.audit.event_schemas import EventType
from api.cli.local_ledger import open_ledger
from api.cli.messages import exit_with_error, print_line
from api.cli.option_errors import cursor_errors, state_errors
from api.cli.output import print_json, print_next_command, print_table
from api.http.as_of import require_reached_position
from api.http.pagination import PageCursors
from domain.single_requests.quota import seconds_to_next_day
from domain.store.records.traces import find_trace
from domain.values import EventOrder
from projections.access.partners import require_registered
from projections.audit import event_list
from projections.audit.event_item import EventView
from projections.audit.event_list import EventFilter, Span, rest_of, split_trace_id

__all__ = ["EventFilter", "print_events", "print_quota", "print_request"]


def print_events(
    event_filter: EventFilter, after_position: int, order: EventOrder, limit: int, cursor: str | None, *, as_json: bool
) -> None:
    _require_valid(event_filter)
    trace_id, request_trace_id = split_trace_id(event_filter.trace_id)
    event_filter = replace(event_filter, trace_id=trace_id, request_trace_id=request_trace_id)
    scope = ("events", event_filter, after_position, order)
    with open_ledger() as service, cursor_errors():
        require_registered(service.ledger, event_filter.partner)
        with service.ledger.read() as tx, state_errors():
            cursors = PageCursors(service.ledger.name_in(tx), scope)
            after, until = rest_of(order, cursors.decode(cursor), Span(after_position, None))
            require_reached_position(tx, after_position, "afterPosition")
            page = event_list.page(tx, event_filter, after, limit, until, order)
    next_cursor = cursors.encode(page.next_after)
    if as_json:
        print_json({"items": page.items, "nextCursor": next_cursor})
        return
    print_table(
        ("position", "recorded", "type", "partner", "offerUid", "version", "by", "run or request"),
        [_event_row(item) for item in page.items],
        empty="No events match.",
    )
    print_next_command(next_cursor)


def _require_valid(event_filter: EventFilter) -> None:
    known = get_args(EventType)
    if event_filter.type is not None and event_filter.type not in known:
        exit_with_error(f"--type: must be one of {', '.join(known)}.", exit_code=2)
    if event_filter.since and event_filter.before and event_filter.before < event_filter.since:
        exit_with_error("--to: must not be before --from.", exit_code=2)


def _event_row(item: EventView) -> tuple[object, ...]:
    by = f"{item.actor} ({item.source})"
    return (
        item.position,
        item.recorded_at,
        item.type,
        item.partner,
        item.offer_uid,
        item.version,
        by,
        item.run_id or item.trace_id,
    )


def print_request(trace_id: str, *, as_json: bool) -> None:
    with open_ledger() as service, service.ledger.recorder.read() as tx:
        trace = find_trace(tx, trace_id)
    if trace is None:
        exit_with_error("There is no such request.")
    if as_json:
        members = ("trace_id", "outcome", "version", "warnings")
        print_json({name: getattr(trace, name) for name in members} | {"offerUid": trace.offer_uid})
        return
    print_line(f"{trace.trace_id} of {trace.partner}, by {trace.actor}: {trace.outcome}")
    print_line(f"offer {trace.offer_uid}, version {trace.version}")
    for warning in trace.warnings:
        print_line(f"warning: {warning}")


def print_quota(partner: str, *, as_json: bool) -> None:
    with open_ledger() as service:
        _, quota = service.single_requests.terms(partner)
        reset = seconds_to_next_day(service.clock())
    if as_json:
        print_json({"limit": quota.limit, "used": quota.used, "remaining": quota.remaining, "reset": reset})
        return
    shown = (
        quota.limit or "unlimited",
        quota.used,
        quota.remaining if quota.limit else "unlimited",
        f"{reset} seconds",
    )
    print_table(("limit", "used", "remaining", "resets in"), [shown])
