"""offer-ledger windows, offer-ledger verdict"""

from typing import Annotated, Any

import typer

from api.cli.option_types import TIME, AsJson, PageCursor, RowLimit, parse_time, parse_time_or_now, parse_uid
from api.cli.registry import example
from domain.redemption.activation import WindowState


@example("offer-ledger windows --partner tidepool --at 2027-01-15 --state open")
def windows_command(
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
            parser=parse_time_or_now, metavar=TIME, help="Effective time, in the past or future. Default: now."
        ),
    ] = None,
    limit: RowLimit = 100,
    cursor: PageCursor = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List redemption windows and their redemptions.

    The list has all windows that have started by the effective time. It shows the ids of customers in clear."""
    from api.cli.actions.reading import redemption

    window_filter = redemption.WindowFilter(offer_uid, customer_id, partner, state)
    redemption.print_windows(window_filter, at, limit, cursor, as_json=as_json)


@example(
    "offer-ledger verdict --customer-id C-1001 --transacted-at 2026-12-24T12:00 \\",
    "    --offer-uid 6851e6d4-1908-5d30-b230-131c8e83c5db",
)
def verdict_command(
    customer_id: Annotated[str, typer.Option(help="Customer who made the purchase.")],
    offer_uid: Annotated[Any, typer.Option(parser=parse_uid, metavar="UUID", help="Offer of the purchase.")],
    transacted_at: Annotated[Any, typer.Option(parser=parse_time, metavar=TIME, help="Time of the purchase.")],
    as_of: Annotated[
        Any,
        typer.Option(
            parser=parse_time_or_now, metavar=TIME, help="Use only what was recorded by this time. Default: now."
        ),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Decide whether a purchase is owed a reward.

    The command prints the activation and its terms, or the reason for a refusal. The purchase need not be recorded."""
    from api.cli.actions.reading import redemption

    redemption.print_verdict(customer_id, offer_uid, transacted_at, as_of, as_json=as_json)
