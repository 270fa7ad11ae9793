"""offer-ledger diff"""

from typing import Annotated, Any

import typer

from api.audit.diff_routes import DiffRequest, ReversedRange, diff_document
from api.cli.option_types import cursor_errors, parse_state
from api.cli.output import AsJson, exit_with_error, print_json, print_line, print_next_command, print_table
from api.http.as_of import NOW
from api.wiring import open_service
from projections.audit.diff import NetChangeView


def diff(
    earlier: Annotated[
        Any, typer.Option("--from", parser=parse_state, metavar="TIME|POSITION", help="The earlier state.")
    ],
    later: Annotated[
        Any, typer.Option("--to", parser=parse_state, metavar="TIME|POSITION", help="The later state; now by default.")
    ] = None,
    partner: Annotated[str | None, typer.Option(help="Only this partner's offers.")] = None,
    limit: Annotated[int, typer.Option(help="How many at the most.", min=1, max=1000)] = 100,
    cursor: Annotated[str | None, typer.Option(help="nextCursor of the page before.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Tell what has changed between two states, and by whose doing."""
    asking = DiffRequest(earlier, later or NOW, partner)
    with open_service() as service, cursor_errors():
        try:
            document = diff_document(service.ledger, asking, cursor, limit)
        except ReversedRange:
            exit_with_error("--to: must not be before --from.", exit_code=2)
    if as_json:
        print_json(document)
        return
    counts = ", ".join(f"{count} {kind}" for kind, count in document["counts"].items() if count)
    print_line(f"From position {document['from']['position']} to {document['to']['position']}: {counts or 'nothing'}.")
    print_table(
        ("offerUid", "partner", "externalId", "what", "version", "by", "changed fields"),
        [_row(change) for change in document["items"]],
        empty="No offer differs.",
    )
    print_next_command(document["nextCursor"])


def _row(change: NetChangeView) -> tuple[object, ...]:
    by = {cause.cause or f"{cause.actor} ({cause.source})": None for cause in change.causes}
    fields = [field["field"] for field in change.changes]
    known_as = (change.offer_uid, change.partner, change.external_id)
    return (*known_as, ", ".join(change.kinds), change.after.version, ", ".join(by), ", ".join(fields))
