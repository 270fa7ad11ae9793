"""Holds and releases offers."""

from datetime import datetime
from uuid import UUID

from api.cli.local_ledger import open_ledger
from api.cli.local_user import cli_origin
from api.cli.messages import exit_with_error, print_line
from api.cli.output import print_json
from api.offers.hold_routes import held_offer
from domain.redemption.hold import HoldCommand, HoldOffer, ReleaseOffer
from domain.refusals import HoldEndsInThePast
from domain.values import utc_text


def execute_hold(offer_uid: UUID, reason: str, until: datetime | None, *, as_json: bool) -> None:
    has_changed = _execute(HoldOffer(offer_uid, until), reason, as_json=as_json)
    if not as_json:
        end = f"until {utc_text(until)}" if until else "until it is released"
        print_line(f"The offer takes no new activations {end}." if has_changed else f"The offer is already held {end}.")


def execute_release(offer_uid: UUID, reason: str, *, as_json: bool) -> None:
    has_changed = _execute(ReleaseOffer(offer_uid), reason, as_json=as_json)
    if not as_json:
        print_line("Released the offer: it takes activations again." if has_changed else "The offer is not held.")


def _execute(command: HoldCommand, reason: str, *, as_json: bool) -> bool:
    with open_ledger() as service:
        try:
            has_changed = service.holds.execute(command, cli_origin(reason))
        except HoldEndsInThePast:
            exit_with_error("--until: must be in the future.", exit_code=2)
        if as_json:
            print_json(held_offer(service, command.offer_uid))
    return has_changed
