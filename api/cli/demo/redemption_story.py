"""The part of the demo about customers: an offer is deleted, and a customer who activated it keeps the reward."""

from http import HTTPStatus
from typing import Any

from api.cli.demo.client import Day
from api.cli.demo.narration import activation_lines, offer_lines, redemption_lines, refusal_lines, window_lines
from api.redemption.activation_routes import ACTIVATIONS_PATH
from api.redemption.redemption_routes import REDEMPTIONS_PATH
from domain.single_requests.request import TraceOutcome
from domain.values import Role

PUBLISHER = "Publisher"
WINDOW_DAYS = 45


def play(day: Day, partner: str, offer: tuple[str, str]) -> None:
    """Plays the steps. `offer`: the path and the externalId of an active offer of the partner, which deletes it."""
    path, external_id = offer
    uid = _activate(day, external_id)
    _delete_offer(day, partner, path, uid)
    _expire_window(day, uid)


def _activate(day: Day, external_id: str) -> str:
    day.begin(
        "A customer activates an offer",
        "A publisher shows the offers to customers. A customer who activates an offer can redeem it for 45 days, on the"
        " terms of that time. (The settings of the partner or a flight can set 30 to 45 days.)",
    )
    day.create_token(PUBLISHER, "publisher", Role.PUBLISHER)
    page = day.get(PUBLISHER, f"/api/v1/offers?externalId={external_id}", lambda page: offer_lines(page["items"]))
    offer_uid: str = page["items"][0]["offerUid"]
    document = {"customerId": "C-42", "offerUid": offer_uid}
    activation = day.post(PUBLISHER, ACTIVATIONS_PATH, document, HTTPStatus.CREATED, activation_lines)
    day.require("the days", activation["redemptionWindowDays"], WINDOW_DAYS)
    _require_windows(day, offer_uid, "open")
    return offer_uid


def _delete_offer(day: Day, partner: str, path: str, offer_uid: str) -> None:
    day.begin(
        "The offer is deleted",
        "The partner deletes the offer. Other customers can no longer activate it. The window of the first customer"
        " winds down: until it ends, a purchase is owed the reward.",
    )
    day.change(partner, "DELETE", path, None, TraceOutcome.DELETED)
    document = {"customerId": "C-43", "offerUid": offer_uid}
    day.post(PUBLISHER, ACTIVATIONS_PATH, document, HTTPStatus.CONFLICT, refusal_lines)
    _redeem(day, offer_uid, "T-1", day.now(), HTTPStatus.CREATED)
    _require_windows(day, offer_uid, "winding_down")


def _expire_window(day: Day, offer_uid: str) -> None:
    day.begin(
        "Forty-six days later",
        "(The demo sets its clock ahead.) The window has ended, so a purchase of today is not owed the reward. An"
        " earlier purchase, made inside the window, is owed it, although it is reported late: the time of the purchase"
        " decides.",
    )
    day.skip(WINDOW_DAYS + 1)
    _redeem(day, offer_uid, "T-2", day.now(), HTTPStatus.CONFLICT)
    _redeem(day, offer_uid, "T-3", day.now(days=-2), HTTPStatus.CREATED)
    _require_windows(day, offer_uid, "expired")


def _redeem(day: Day, offer_uid: str, transaction_id: str, transacted_at: str, status: HTTPStatus) -> None:
    document = {
        "transactionId": transaction_id,
        "customerId": "C-42",
        "offerUid": offer_uid,
        "amount": "12.50",
        "currency": "USD",
        "transactedAt": transacted_at,
    }
    day.post(
        PUBLISHER,
        REDEMPTIONS_PATH,
        document,
        status,
        redemption_lines if status < HTTPStatus.BAD_REQUEST else refusal_lines,
    )


def _require_windows(day: Day, offer_uid: str, state: str) -> None:
    path = f"/api/v1/redemption-windows?offerUid={offer_uid}"
    page: dict[str, Any] = day.get(PUBLISHER, path, lambda page: window_lines(page["items"]))
    day.require("the window's state", [window["state"] for window in page["items"]], [state])
