"""offer-ledger windows, offer-ledger verdict"""

from typing import Annotated, Any

import typer

from api.cli.option_types import PageCursor, RowLimit, cursor_errors, parse_time, parse_uid
from api.cli.output import AsJson, print_json, print_line, print_next_command, print_table
from api.redemption.redemption_routes import REFUSAL_MESSAGES
from api.redemption.verdict_routes import verdict_document
from api.redemption.window_routes import windows_document
from api.wiring import open_service
from domain.redemption.activation import WindowState
from projections.access.partners import require_registered
from projections.redemption.windows_as_of import WindowFilter, WindowView


def windows(
    offer_uid: Annotated[
        Any, typer.Option(parser=parse_uid, metavar="UUID", help="Windows of this offer. Default: all offers.")
    ] = None,
    customer_id: Annotated[str | None, typer.Option(help="Windows of this customer. Default: all customers.")] = None,
    partner: Annotated[
        str | None, typer.Option(help="Windows of this partner's offers. Default: all partners.")
    ] = None,
    state: Annotated[WindowState | None, typer.Option(help="Windows in this state. Default: all states.")] = None,
    at: Annotated[
        Any,
        typer.Option(
            parser=parse_time, metavar="TIME", help="Effective time (RFC 3339), in the past or future. Default: now."
        ),
    ] = None,
    limit: RowLimit = 100,
    cursor: PageCursor = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List redemption windows and their redemptions.

    The list has all windows that have started by the effective time. It shows the ids of customers in clear."""
    window_filter = WindowFilter(offer_uid, customer_id, partner, state)
    with open_service() as service, cursor_errors():
        require_registered(service.ledger, partner)
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


def verdict(
    customer_id: Annotated[str, typer.Option(help="Customer who made the purchase.")],
    offer_uid: Annotated[Any, typer.Option(parser=parse_uid, metavar="UUID", help="Offer of the purchase.")],
    transacted_at: Annotated[
        Any, typer.Option(parser=parse_time, metavar="TIME", help="Time of the purchase (RFC 3339).")
    ],
    as_of: Annotated[
        Any,
        typer.Option(
            parser=parse_time, metavar="TIME", help="Use only what was recorded by this time (RFC 3339). Default: now."
        ),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Decide whether a purchase is owed a reward.

    The command prints the activation and its terms, or the reason for a refusal. The purchase need not be recorded."""
    with open_service() as service:
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
