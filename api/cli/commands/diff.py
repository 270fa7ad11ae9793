"""offer-ledger diff"""

from typing import Annotated, Any

import typer

from api.audit.diff_routes import Asking, Turned, diff_document
from api.cli.option_types import a_cursor_of_this_list, a_state
from api.cli.output import AsJson, fail, print_json, print_table, say, tell_what_follows
from api.http.as_of import PRESENT
from api.wiring import open_service
from projections.audit.diff import NetChange


def diff(
    earlier: Annotated[Any, typer.Option("--from", parser=a_state, metavar="TIME|POSITION", help="The earlier state.")],
    later: Annotated[
        Any, typer.Option("--to", parser=a_state, metavar="TIME|POSITION", help="The later state; now by default.")
    ] = None,
    partner: Annotated[str | None, typer.Option(help="Only this partner's offers.")] = None,
    limit: Annotated[int, typer.Option(help="How many at the most.", min=1, max=1000)] = 100,
    cursor: Annotated[str | None, typer.Option(help="nextCursor of the page before.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Tell what has changed between two states, and by whose doing."""
    asking = Asking(earlier, later or PRESENT, partner)
    with open_service() as service, a_cursor_of_this_list():
        try:
            document = diff_document(service.ledger, asking, cursor, limit)
        except Turned:
            fail("--to: must not be before --from.", exit_code=2)
    if as_json:
        print_json(document)
        return
    counts = ", ".join(f"{count} {kind}" for kind, count in document["counts"].items() if count)
    say(f"From position {document['from']['position']} to {document['to']['position']}: {counts or 'nothing'}.")
    print_table(
        ("offerUid", "partner", "externalId", "what", "version", "by", "changed fields"),
        [_row(change) for change in document["items"]],
        empty="No offer differs.",
    )
    tell_what_follows(document["nextCursor"])


def _row(change: NetChange) -> tuple[object, ...]:
    by = {cause.cause or f"{cause.actor} ({cause.source})": None for cause in change.causes}
    fields = [field["field"] for field in change.changes]
    known_as = (change.offer_uid, change.partner, change.external_id)
    return (*known_as, ", ".join(change.kinds), change.after.version, ", ".join(by), ", ".join(fields))
