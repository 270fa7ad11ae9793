"""Compares two states."""

from api.audit.diff_routes import DiffRequest, ReversedRange, diff_document
from api.cli.local_ledger import open_ledger
from api.cli.messages import exit_with_error, print_line
from api.cli.option_errors import cursor_errors, print_inside_commits, state_errors
from api.cli.output import print_json, print_next_command, print_table
from api.http.as_of import NOW, AsOf
from projections.access.partners import require_registered
from projections.audit.change_kind import ChangeKind
from projections.audit.diff import NetChangeView


def print_diff(
    earlier: AsOf,
    later: AsOf | None,
    partner: str | None,
    kind: ChangeKind | None,
    limit: int,
    cursor: str | None,
    *,
    as_json: bool,
) -> None:
    request = DiffRequest(earlier, later or NOW, partner, kind)
    with open_ledger() as service, cursor_errors(), state_errors():
        require_registered(service.ledger, partner)
        try:
            document = diff_document(service.ledger, request, cursor, limit)
        except ReversedRange:
            exit_with_error("--to: must not be before --from.", exit_code=2)
        print_inside_commits(service, request.earlier, request.later)
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
