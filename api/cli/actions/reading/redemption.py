"""Lists redemption windows, and decides whether a purchase is owed a reward."""

from datetime import datetime
from uuid import UUID

from api.cli.local_ledger import open_ledger
from api.cli.messages import print_line
from api.cli.option_errors import cursor_errors, state_errors
from api.cli.output import print_json, print_next_command, print_table
from api.redemption.redemption_routes import REFUSAL_MESSAGES
from api.redemption.verdict_routes import verdict_document
from api.redemption.window_routes import windows_document
from projections.access.partners import require_registered
from projections.redemption.windows_as_of import WindowFilter, WindowView

__all__ = ["WindowFilter", "print_verdict", "print_windows"]


def print_windows(
    window_filter: WindowFilter, at: datetime | None, limit: int, cursor: str | None, *, as_json: bool
) -> None:
    with open_ledger() as service, cursor_errors():
        require_registered(service.ledger, window_filter.partner)
        document = windows_document(service.ledger, window_filter, (window_filter, at), cursor, limit)
    if as_json:
        print_json(document)
        return
    print_table(
        ("offerUid", "customer", "version", "activated", "redeemable until", "state", "redeemed"),
        [_row(window) for window in document["items"]],
        empty="No redemption windows match.",
    )
    print_next_command(document["nextCursor"])


def _row(window: WindowView) -> tuple[object, ...]:
    redeemed = ", ".join(f"{part.amount} {part.currency}" for part in window.redeemed)
    times = (window.activated_at, window.redeemable_until)
    return (window.offer_uid, window.customer_id, window.offer_version, *times, window.state, redeemed)


def print_verdict(
    customer_id: str, offer_uid: UUID, transacted_at: datetime, as_of: datetime | None, *, as_json: bool
) -> None:
    with open_ledger() as service, state_errors():
        document = verdict_document(service.ledger, customer_id, offer_uid, transacted_at, as_of)
    if as_json:
        print_json(document)
        return
    if document["valid"]:
        print_line(
            f"Owed: activation {document['activationId']} of offer version {document['offerVersion']}"
            f" is redeemable from {document['activatedAt']} until {document['redeemableUntil']}."
        )
    else:
        print_line(f"Not owed: {REFUSAL_MESSAGES[document['reason']]}")
    for window in document["windows"]:
        print_line(f"  window {window['activationId']}  {window['activatedAt']} - {window['redeemableUntil']}")
    time = f" ({document['asOf']})" if document["asOf"] else ""
    print_line(f"As known at position {document['position']}{time}.")
