"""offer-ledger windows, offer-ledger verdict"""

from typing import Annotated, Any

import typer

from api.cli.option_types import cursor_errors, parse_time, parse_uid
from api.cli.output import AsJson, print_json, print_line, print_next_command, print_table
from api.redemption.redemption_routes import REFUSAL_MESSAGES
from api.redemption.verdict_routes import verdict_document
from api.redemption.window_routes import page_document
from api.wiring import open_service
from domain.redemption.activation import WindowState
from projections.redemption.windows_as_of import WindowFilter, WindowView


def windows(
    offer_uid: Annotated[Any, typer.Option(parser=parse_uid, metavar="UUID", help="Only of this offer.")] = None,
    customer_id: Annotated[str | None, typer.Option(help="Only of this customer.")] = None,
    partner: Annotated[str | None, typer.Option(help="Only of this partner's offers.")] = None,
    state: Annotated[WindowState | None, typer.Option(help="Only in this state.")] = None,
    at: Annotated[
        Any,
        typer.Option(
            parser=parse_time, metavar="TIME", help="The moment to look at, past or future (RFC 3339); now by default."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(help="How many at the most.", min=1, max=1000)] = 100,
    cursor: Annotated[str | None, typer.Option(help="nextCursor of the page before.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List what customers are owed, and what has been redeemed."""
    wanted = WindowFilter(offer_uid, customer_id, partner, state)
    with open_service() as service, cursor_errors():
        document = page_document(service.ledger, wanted, (wanted, at), cursor, limit)
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


def verdict(
    customer_id: Annotated[str, typer.Option(help="Who made the purchase.")],
    offer_uid: Annotated[Any, typer.Option(parser=parse_uid, metavar="UUID", help="On which offer.")],
    transacted_at: Annotated[Any, typer.Option(parser=parse_time, metavar="TIME", help="When it was made (RFC 3339).")],
    as_of: Annotated[
        Any, typer.Option(parser=parse_time, metavar="TIME", help="By what had been recorded then; now by default.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Tell whether a purchase is owed a reward, and on which terms."""
    with open_service() as service:
        document = verdict_document(service.ledger, customer_id, offer_uid, transacted_at, as_of)
    if as_json:
        print_json(document)
        return
    if document["valid"]:
        print_line(
            f"Owed: on activation {document['activationId']} of version {document['offerVersion']},"
            f" redeemable from {document['activatedAt']} until {document['redeemableUntil']}."
        )
    else:
        print_line(f"Not owed: {REFUSAL_MESSAGES[document['reason']]}")
    for window in document["windows"]:
        print_line(f"  window {window['activationId']}  {window['activatedAt']} - {window['redeemableUntil']}")
    when = f" ({document['asOf']})" if document["asOf"] else ""
    print_line(f"As known at position {document['position']}{when}.")
