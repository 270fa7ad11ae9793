"""offer-ledger inventory, offer-ledger history, offer-ledger offers"""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import typer

from api.cli.option_types import TIME, AsJson, AsOfState, PageCursor, RequiredReason, RowLimit, parse_time, parse_uid
from api.cli.registry import example, group_of
from domain.values import Channel, Status

_Redeemable = Annotated[
    bool | None,
    typer.Option(
        "--redeemable/--not-redeemable",
        help="Offers that are active and not held or have an open redemption window, or the other offers. Default: all.",
    ),
]


class ShownStatus(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    DELETED = "deleted"


@example("offer-ledger inventory --as-of 2026-11-30 --status active")
def inventory_command(
    partner: Annotated[str | None, typer.Option(help="Offers of this partner. Default: all partners.")] = None,
    channel: Annotated[Channel | None, typer.Option(help="Offers of this channel. Default: both channels.")] = None,
    merchant_id: Annotated[str | None, typer.Option(help="Offers of this merchant. Default: all merchants.")] = None,
    external_id: Annotated[str | None, typer.Option(help="Offers with exactly this id. Default: all ids.")] = None,
    status: Annotated[ShownStatus | None, typer.Option(help="Offers in this state. Default: all states.")] = None,
    redeemable: _Redeemable = None,
    query: Annotated[
        str | None, typer.Option("--query", "-q", help="Text to search for in the ids and names of offers.")
    ] = None,
    limit: RowLimit = 100,
    as_of: AsOfState = None,
    cursor: PageCursor = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List offers as they are now, or as of the past.

    The list has the offers that match all given filters."""
    from api.cli.actions.reading import offers

    offer_filter = offers.OfferFilter(
        partner, channel, merchant_id, external_id, Status(status) if status else None, query, redeemable
    )
    offers.print_inventory(offer_filter, as_of, limit, cursor, as_json=as_json)


@example("offer-ledger history --external-id TP-1001 --partner tidepool")
def history_command(
    offer_uid: Annotated[
        str | None, typer.Argument(metavar="OFFER_UID", help="UUID of the offer. Use it without --external-id.")
    ] = None,
    external_id: Annotated[str | None, typer.Option(help="Id of the offer at its partner.")] = None,
    partner: Annotated[str | None, typer.Option(help="With --external-id: partner of the offer.")] = None,
    channel: Annotated[Channel | None, typer.Option(help="With --external-id: channel of the offer.")] = None,
    merchant_id: Annotated[str | None, typer.Option(help="With --external-id: merchant of the offer.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show all events of one offer, oldest first.

    Name the offer by OFFER_UID or by --external-id. If several offers have that id, add --partner, --channel or
    --merchant-id."""
    from api.cli.actions.reading import offers

    offer_filter = offers.OfferFilter(partner, channel, merchant_id, external_id)
    offers.print_offer_history(offer_uid, offer_filter, as_json=as_json)


_OfferUid = Annotated[UUID, typer.Argument(parser=parse_uid, metavar="OFFER_UID", help="UUID of the offer.")]


@example("offer-ledger offers hold 6851e6d4-1908-5d30-b230-131c8e83c5db --reason fraud")
def hold_offer_command(
    offer_uid: _OfferUid,
    reason: RequiredReason,
    until: Annotated[
        Any, typer.Option(parser=parse_time, metavar=TIME, help="End of the hold. Default: only a release ends it.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Hold an offer: it takes no new activations.

    Customers who have activated it keep their redemption windows. The partner can still change it."""
    from api.cli.actions.decisions import holds

    holds.execute_hold(offer_uid, reason, until, as_json=as_json)


@example("offer-ledger offers release 6851e6d4-1908-5d30-b230-131c8e83c5db --reason ok")
def release_offer_command(offer_uid: _OfferUid, reason: RequiredReason, *, as_json: AsJson = False) -> None:
    """Release a held offer: it takes new activations again."""
    from api.cli.actions.decisions import holds

    holds.execute_release(offer_uid, reason, as_json=as_json)


offers_app = group_of(
    "offers",
    "Hold offers and release them.",
    hold=hold_offer_command,
    release=release_offer_command,
)
