"""offer-ledger runs, offer-ledger events, offer-ledger requests, offer-ledger quota"""

from typing import Annotated, Any
from uuid import UUID

import typer

from api.cli.option_types import TIME, AsJson, PageCursor, RequiredReason, RowLimit, parse_time, parse_uid
from api.cli.registry import example, group_of
from domain.runs.run import RunState
from domain.values import Channel, EventOrder, Operation, Source

_RunId = Annotated[UUID, typer.Argument(parser=parse_uid, metavar="RUN_ID", help="UUID of the run.")]
_Partner = Annotated[str | None, typer.Option(help="Only this partner. Default: all partners.")]


@example("offer-ledger runs list --partner tidepool --state completed")
def list_runs_command(
    partner: _Partner = None,
    channel: Annotated[Channel | None, typer.Option(help="Runs of this channel. Default: both channels.")] = None,
    operation: Annotated[Operation | None, typer.Option(help="Runs with this operation. Default: all runs.")] = None,
    state: Annotated[RunState | None, typer.Option(help="Runs in this state. Default: all states.")] = None,
    concurrency_request_id: Annotated[
        Any, typer.Option(parser=parse_uid, metavar="UUID", help="The run of this request, whose reply was lost.")
    ] = None,
    limit: RowLimit = 100,
    cursor: PageCursor = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first.

    A run is one accepted batch, offers file or undo."""
    from api.cli.actions.reading import runs

    run_filter = runs.RunFilter(partner, channel, operation, state, concurrency_request_id)
    runs.print_runs(run_filter, limit, cursor, as_json=as_json)


@example("offer-ledger runs show 7be2c2fa-7d57-4cc0-b0a0-3d1bd3a7c2a6")
def show_run_command(run_id: _RunId, *, as_json: AsJson = False) -> None:
    """Show one run with its counts and its progress."""
    from api.cli.actions.reading import runs

    runs.print_run(run_id, as_json=as_json)


@example("offer-ledger runs items 7be2c2fa-7d57-4cc0-b0a0-3d1bd3a7c2a6")
def list_items_command(
    run_id: _RunId,
    outcome: Annotated[
        str | None, typer.Option(help="Items with this outcome, such as failed. Default: all outcomes.")
    ] = None,
    limit: RowLimit = 100,
    cursor: PageCursor = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the outcomes of a run's offers.

    The list is empty until the run is finished."""
    from api.cli.actions.reading import runs

    runs.print_items(run_id, outcome, limit, cursor, as_json=as_json)


@example("offer-ledger runs undo 7be2c2fa-7d57-4cc0-b0a0-3d1bd3a7c2a6 --reason Typo")
def undo_run_command(
    run_id: _RunId,
    reason: RequiredReason,
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what the undo would do.")] = False,
    as_json: AsJson = False,
) -> None:
    """Undo a run: each offer that it changed last gets back its state before the run.

    Offers that have changed since are kept as they are. The undo is a run, too, and can be undone."""
    from api.cli.actions.decisions import undo

    undo.undo(run_id, reason, is_plan=plan, as_json=as_json)


runs_app = group_of(
    "runs",
    "Read runs and the outcomes of their offers, and undo runs.",
    list=list_runs_command,
    show=show_run_command,
    items=list_items_command,
    undo=undo_run_command,
)


_EventType = Annotated[
    str | None, typer.Option("--type", metavar="TYPE", help="Events of this type, such as OfferPaused. Default: all.")
]
_EitherTraceId = Annotated[
    str | None, typer.Option(help="Events of this single request (req-…), or of this Trace-Id (32 digits).")
]
_Since = Annotated[
    Any, typer.Option("--from", parser=parse_time, metavar=TIME, help="Events recorded at this time or later.")
]
_Before = Annotated[
    Any, typer.Option("--to", parser=parse_time, metavar=TIME, help="Events recorded before this time.")
]


@example("offer-ledger events --partner tidepool --from 2026-11-30 --type OfferPaused")
def events_command(
    partner: _Partner = None,
    offer_uid: Annotated[
        Any, typer.Option(parser=parse_uid, metavar="UUID", help="Events of this offer. Default: all offers.")
    ] = None,
    kind: _EventType = None,
    run_id: Annotated[Any, typer.Option(parser=parse_uid, metavar="UUID", help="Events of this run.")] = None,
    trace_id: _EitherTraceId = None,
    actor: Annotated[str | None, typer.Option(help="Events by this token or user of the command line.")] = None,
    source: Annotated[Source | None, typer.Option(help="Events from this interface. Default: all.")] = None,
    since: _Since = None,
    before: _Before = None,
    after_position: Annotated[int, typer.Option(help="Events after this position.", min=0, max=10**15)] = 0,
    order: Annotated[EventOrder, typer.Option(help="asc: the oldest first. desc: the newest first.")] = EventOrder.ASC,
    limit: RowLimit = 100,
    cursor: PageCursor = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List events of the ledger, oldest or newest first."""
    from api.cli.actions.reading import events

    event_filter = events.EventFilter(
        partner=partner,
        offer_uid=offer_uid,
        type=kind,
        run_id=run_id,
        trace_id=trace_id,
        actor=actor,
        source=source,
        since=since,
        before=before,
    )
    events.print_events(event_filter, after_position, order, limit, cursor, as_json=as_json)


@example("offer-ledger requests show req-0d3fb6e41f2c4b0f8a4a2f0f5f1f7a11")
def show_request_command(
    trace: Annotated[str, typer.Argument(metavar="TRACE", help="trace_id of the request, from its reply (req-…).")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show the outcome of one accepted PUT or DELETE."""
    from api.cli.actions.reading import events

    events.print_request(trace, as_json=as_json)


requests_app = group_of("requests", "Read single requests (PUT, DELETE).", show=show_request_command)


@example("offer-ledger quota --partner tidepool")
def quota_command(
    partner: Annotated[str, typer.Option(help="Partner whose quota is shown.")], *, as_json: AsJson = False
) -> None:
    """Show what is left of a partner's daily quota.

    The command is not counted."""
    from api.cli.actions.reading import events

    events.print_quota(partner, as_json=as_json)
