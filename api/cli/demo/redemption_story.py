"""The part of the demo about customers: an offer is taken down, and who has activated it keeps what was promised."""

from http import HTTPStatus
from typing import Any

from api.cli.demo.client import Day
from api.cli.demo.narration import of_activation, of_offers, of_redemption, of_refusal, of_windows
from api.redemption.activation_routes import ACTIVATIONS_PATH
from api.redemption.redemption_routes import REDEMPTIONS_PATH
from domain.single_requests.request import TraceOutcome
from domain.values import Role

PUBLISHER = "Publisher"
WINDOW_DAYS = 45


def play(day: Day, partner: str, offer: tuple[str, str]) -> None:
    """`offer`: that of the partner which is taken down, by its path and its externalId; it is active."""
    path, external_id = offer
    uid = _activate(day, external_id)
    _take_down(day, partner, path, uid)
    _let_it_end(day, uid)


def _activate(day: Day, external_id: str) -> str:
    day.begin(
        "A customer activates an offer",
        "A publisher shows the offers to customers. Whoever activates one may redeem it for 45 days (30 to 45, as the"
        " partner or a flight says), on the terms of that moment.",
    )
    day.create_token(PUBLISHER, "publisher", Role.PUBLISHER)
    page = day.get(PUBLISHER, f"/api/v1/offers?externalId={external_id}", lambda page: of_offers(page["items"]))
    offer_uid: str = page["items"][0]["offerUid"]
    document = {"customerId": "C-42", "offerUid": offer_uid}
    told = day.post(PUBLISHER, ACTIVATIONS_PATH, document, HTTPStatus.CREATED, of_activation)
    day.require("the days", told["redemptionWindowDays"], WINDOW_DAYS)
    _require_windows(day, offer_uid, "open")
    return offer_uid


def _take_down(day: Day, partner: str, path: str, offer_uid: str) -> None:
    day.begin(
        "The offer is taken down",
        "The partner deletes it. Nobody else can activate it any more, but the customer's window winds down: a purchase"
        " is rewarded as promised.",
    )
    day.change(partner, "DELETE", path, None, TraceOutcome.DELETED)
    document = {"customerId": "C-43", "offerUid": offer_uid}
    day.post(PUBLISHER, ACTIVATIONS_PATH, document, HTTPStatus.CONFLICT, of_refusal)
    _redeem(day, offer_uid, "T-1", day.now(), HTTPStatus.CREATED)
    _require_windows(day, offer_uid, "winding_down")


def _let_it_end(day: Day, offer_uid: str) -> None:
    day.begin(
        "Forty-six days later",
        "(The demo sets its clock ahead.) The window has ended, and a purchase of today is not rewarded. One that was made"
        " in time is, though it is reported only now: the time of the purchase decides.",
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
        PUBLISHER, REDEMPTIONS_PATH, document, status, of_redemption if status < HTTPStatus.BAD_REQUEST else of_refusal
    )


def _require_windows(day: Day, offer_uid: str, state: str) -> None:
    path = f"/api/v1/redemption-windows?offerUid={offer_uid}"
    page: dict[str, Any] = day.get(PUBLISHER, path, lambda page: of_windows(page["items"]))
    day.require("the window's state", [window["state"] for window in page["items"]], [state])
