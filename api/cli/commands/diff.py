"""offer-ledger diff"""

from typing import Annotated, Any

import typer

from api.audit.diff_routes import DiffRequest, ReversedRange, diff_document
from api.cli.option_types import PageCursor, RowLimit, cursor_errors, parse_state
from api.cli.output import AsJson, exit_with_error, print_json, print_line, print_next_command, print_table
from api.http.as_of import NOW
from api.wiring import open_service
from projections.access.partners import require_registered
from projections.audit.diff import ChangeKind, NetChangeView

_STATE = "TIME|POSITION"
_Earlier = Annotated[
    Any,
    typer.Option(
        "--from",
        parser=parse_state,
        metavar=_STATE,
        help="Earlier state: a recorded time (RFC 3339) or a position.",
    ),
]
_Later = Annotated[
    Any,
    typer.Option(
        "--to",
        parser=parse_state,
        metavar=_STATE,
        help="Later state: a recorded time (RFC 3339) or a position. Default: now.",
    ),
]


def diff(
    earlier: _Earlier,
    later: _Later = None,
    partner: Annotated[str | None, typer.Option(help="Offers of this partner. Default: all partners.")] = None,
    kind: Annotated[ChangeKind | None, typer.Option(help="Only offers with this kind of change. Default: all.")] = None,
    limit: RowLimit = 100,
    cursor: PageCursor = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Compare two states and list the offers that differ.

    Each row has the changed fields, and the actors or the causes of the changes. An offer that was changed and
    changed back is not listed."""
    request = DiffRequest(earlier, later or NOW, partner, kind)
    with open_service() as service, cursor_errors():
        require_registered(service.ledger, partner)
        try:
            document = diff_document(service.ledger, request, cursor, limit)
        except ReversedRange:
            exit_with_error("--to: must not be before --from.", exit_code=2)
    if as_json:
        print_json(document)
        return
    counts = ", ".join(f"{count} {kind}" for kind, count in document["counts"].items() if count)
    print_line(f"From position {document['from']['position']} to {document['to']['position']}: {counts or 'nothing'}.")
    print_table(
        ("offerUid", "partner", "externalId", "change", "version", "by", "changed fields"),
        [_row(change) for change in document["items"]],
        empty="No offer differs.",
    )
    print_next_command(document["nextCursor"])


def _row(change: NetChangeView) -> tuple[object, ...]:
    by = {cause.cause or f"{cause.actor} ({cause.source})": None for cause in change.causes}
    fields = [field["field"] for field in change.changes]
    identity = (change.offer_uid, change.partner, change.external_id)
    return (*identity, ", ".join(change.kinds), change.after.version, ", ".join(by), ", ".join(fields))
