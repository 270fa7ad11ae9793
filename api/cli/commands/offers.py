"""offer-ledger inventory, offer-ledger history"""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import typer

from api.cli.option_types import cursor_errors, parse_state
from api.cli.output import AsJson, exit_with_error, print_json, print_line, print_next_command, print_table
from api.http.as_of import NOW
from api.offers.queries import offer_page
from api.wiring import open_service
from domain.values import Channel, Status
from projections.audit import offer_history
from projections.offers import inventory as inventories
from projections.offers.inventory import OfferFilter, OfferView

ALL_VERSIONS = 1_000_000
SHOWN_CHARACTERS = 60


class ShownStatus(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    DELETED = "deleted"


def inventory(
    partner: Annotated[str | None, typer.Option(help="Only this partner's.")] = None,
    channel: Annotated[Channel | None, typer.Option(help="Only of this channel.")] = None,
    merchant_id: Annotated[str | None, typer.Option(help="Only of this merchant.")] = None,
    external_id: Annotated[str | None, typer.Option(help="Only with this id.")] = None,
    status: Annotated[ShownStatus | None, typer.Option(help="Only in this state.")] = None,
    redeemable: Annotated[
        bool | None, typer.Option("--redeemable/--not-redeemable", help="Only what customers can be owed a reward for.")
    ] = None,
    query: Annotated[str | None, typer.Option("--query", "-q", help="Sought in the ids and the offer's names.")] = None,
    limit: Annotated[int, typer.Option(help="How many at the most.", min=1, max=1000)] = 100,
    as_of: Annotated[
        Any,
        typer.Option(
            parser=parse_state, metavar="TIME|POSITION", help="As they were by a recorded time, or a position."
        ),
    ] = None,
    cursor: Annotated[str | None, typer.Option(help="nextCursor of the page before.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List offers as they are now, or as they were."""
    wanted = OfferFilter(
        partner, channel, merchant_id, external_id, Status(status) if status else None, query, redeemable
    )
    with open_service() as service, cursor_errors():
        document = offer_page(service.ledger, wanted, as_of or NOW, cursor, limit)
    if as_json:
        print_json(document)
        return
    if as_of:
        print_line(f"As of position {document['position']}{_recorded(document['asOf'])}.")
    print_table(
        ("offerUid", "partner", "channel", "merchantId", "externalId", "status", "version", "updated", "honoured"),
        [_row(offer) for offer in document["items"]],
        empty="No offers match.",
    )
    print_next_command(document["nextCursor"])


def _recorded(time: str | None) -> str:
    return f", recorded at {time}" if time else ""


def _row(offer: OfferView) -> tuple[object, ...]:
    known_as = (offer.offer_uid, offer.partner, offer.channel, offer.merchant_id, offer.external_id)
    return (*known_as, offer.status, offer.version, offer.updated_at, offer.honoured_until)


def history(
    offer_uid: Annotated[
        str | None, typer.Argument(metavar="OFFER_UID", help="The offer; or name it by --external-id.")
    ] = None,
    external_id: Annotated[str | None, typer.Option(help="The offer's id as its partner knows it.")] = None,
    partner: Annotated[str | None, typer.Option(help="With --external-id: whose offer.")] = None,
    channel: Annotated[Channel | None, typer.Option(help="With --external-id: on which channel.")] = None,
    merchant_id: Annotated[str | None, typer.Option(help="With --external-id: which merchant's offer.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Tell everything that has happened to one offer, oldest first."""
    wanted = OfferFilter(partner=partner, channel=channel, merchant_id=merchant_id, external_id=external_id)
    if (offer_uid is None) == (wanted == OfferFilter()) or (offer_uid is None and external_id is None):
        exit_with_error(
            "Name the offer: by OFFER_UID alone, or by --external-id and what else tells it apart.", exit_code=2
        )
    with open_service() as service, service.ledger.recorder.read() as tx:
        offer = (
            inventories.find(tx, _uid(offer_uid), service.ledger.now(tx))
            if offer_uid is not None
            else _only(inventories.page(tx, wanted, service.ledger.now(tx), 0, 2).items)
        )
        if offer is None:
            exit_with_error("There is no such offer.")
        items = offer_history.page(tx, offer.offer_uid, 0, ALL_VERSIONS).items
    if as_json:
        print_json({"items": items, "nextCursor": None})
        return
    identity = f"{offer.partner} / {offer.merchant_id or offer.channel} / {offer.external_id}"
    print_line(f"{identity}   {offer.offer_uid}   {offer.status}")
    for item in items:
        print()
        why = [item.cause, item.run_id and f"run {item.run_id}", item.trace_id and f"trace {item.trace_id}"]
        said = [f"by {item.actor} ({item.source})", *filter(None, why)]
        print_line(f"{item.version}. {item.recorded_at}  {item.type}  {', '.join(said)}")
        rows = [(change["field"], _short(change["before"]), "->", _short(change["after"])) for change in item.changes]
        print_table(("", "", "", ""), rows)


def _uid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        exit_with_error("OFFER_UID: must be a UUID.", exit_code=2)


def _only(found: list[OfferView]) -> OfferView | None:
    if len(found) > 1:
        exit_with_error(
            "Several offers have this id: tell the --partner, --channel or --merchant-id too, or the OFFER_UID."
        )
    return found[0] if found else None


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
