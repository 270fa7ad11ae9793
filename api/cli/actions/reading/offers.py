"""Lists offers, and shows the history of one offer."""

from uuid import UUID

import msgspec

from api.cli.local_ledger import open_ledger
from api.cli.messages import exit_with_error, print_line
from api.cli.option_errors import cursor_errors, print_inside_commits, state_errors
from api.cli.output import print_json, print_next_command, print_table
from api.http.as_of import NOW, AsOf
from api.offers.queries import offer_page
from projections.access.partners import require_registered
from projections.audit import offer_history
from projections.audit.event_item import EventView
from projections.offers import inventory as inventories
from projections.offers.inventory import OfferFilter, OfferView

__all__ = ["OfferFilter", "print_inventory", "print_offer_history"]

ALL_VERSIONS = 1_000_000
MAX_SHOWN_CHARACTERS = 60


def print_inventory(
    offer_filter: OfferFilter, as_of: AsOf | None, limit: int, cursor: str | None, *, as_json: bool
) -> None:
    with open_ledger() as service, cursor_errors(), state_errors():
        require_registered(service.ledger, offer_filter.partner)
        document = offer_page(service.ledger, offer_filter, as_of or NOW, cursor, limit)
        print_inside_commits(service, as_of or NOW)
    if as_json:
        print_json(document)
        return
    if as_of and not as_of.is_now:
        print_line(f"As of position {document['position']}{_recorded_at(document['asOf'])}.")
    print_table(
        ("offerUid", "partner", "channel", "merchantId", "externalId", "status", "version", "updated", "honoured"),
        [_row(offer) for offer in document["items"]],
        empty="No offers match.",
    )
    print_next_command(document["nextCursor"])


def _recorded_at(time: str | None) -> str:
    return f", recorded at {time}" if time else ""


def _row(offer: OfferView) -> tuple[object, ...]:
    identity = (offer.offer_uid, offer.partner, offer.channel, offer.merchant_id, offer.external_id)
    return (*identity, offer.status, offer.version, offer.updated_at, offer.honoured_until)


def print_offer_history(offer_uid: str | None, offer_filter: OfferFilter, *, as_json: bool) -> None:
    external_id = offer_filter.external_id
    if (offer_uid is None) == (offer_filter == OfferFilter()) or (offer_uid is None and external_id is None):
        exit_with_error(
            "Name one offer: by OFFER_UID alone, or by --external-id with --partner, --channel or --merchant-id.",
            exit_code=2,
        )
    with open_ledger() as service, service.ledger.recorder.read() as tx:
        require_registered(service.ledger, offer_filter.partner)
        offer = (
            inventories.find(tx, _uid(offer_uid), service.ledger.now(tx))
            if offer_uid is not None
            else _single(inventories.page(tx, offer_filter, service.ledger.now(tx), 0, 2).items)
        )
        if offer is None:
            exit_with_error("There is no such offer.")
        items = offer_history.page(tx, offer.offer_uid, 0, ALL_VERSIONS).items
    if as_json:
        print_json({"items": items, "nextCursor": None})
    else:
        _print_history(offer, items)


def _print_history(offer: OfferView, items: list[EventView]) -> None:
    identity = f"{offer.partner} / {offer.merchant_id or offer.channel} / {offer.external_id}"
    print_line(f"{identity}   {offer.offer_uid}   {offer.status}")
    for item in items:
        print()
        reasons = [
            item.cause,
            item.run_id and f"run {item.run_id}",
            item.trace_id and f"trace {item.trace_id}",
            item.reason and f"reason: {item.reason}",
        ]
        notes = [f"by {item.actor} ({item.source})", *filter(None, reasons)]
        print_line(f"{item.version}. {item.recorded_at}  {item.type}  {', '.join(notes)}")
        rows = [(change["field"], _short(change["before"]), "->", _short(change["after"])) for change in item.changes]
        print_table(("", "", "", ""), rows)


def _uid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        exit_with_error("OFFER_UID: must be a UUID.", exit_code=2)


def _single(offers: list[OfferView]) -> OfferView | None:
    if len(offers) > 1:
        exit_with_error(
            "Several offers have this id. Add --partner, --channel or --merchant-id, or use the OFFER_UID instead."
        )
    return offers[0] if offers else None


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 3] + "..."
