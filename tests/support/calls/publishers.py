"""Calls of publishers: activations and purchases, and their problems."""

from datetime import datetime, timedelta
from typing import Any

import httpx2

from api.redemption.activation_routes import ACTIVATIONS_PATH
from api.redemption.redemption_routes import REDEMPTIONS_PATH
from domain.values import utc_text
from tests.support.examples import body
from tests.support.harness import Caller

JSON = {"Content-Type": "application/json"}
INSTANT = timedelta(microseconds=1)


def post(caller: Caller, path: str, **sent: Any) -> httpx2.Response:
    return caller.http.post(path, content=body(sent), headers=JSON)


def activate(caller: Caller, offer: str, customer: str = "C-1", **more: Any) -> httpx2.Response:
    return post(caller, ACTIVATIONS_PATH, customerId=customer, offerUid=offer, **more)


def purchase(offer: str, at: datetime, **changes: Any) -> dict[str, Any]:
    return {
        "transactionId": "T-1",
        "customerId": "C-1",
        "offerUid": offer,
        "amount": "12.50",
        "currency": "USD",
        "transactedAt": utc_text(at),
        **changes,
    }


def redeem(caller: Caller, offer: str, at: datetime, **changes: Any) -> httpx2.Response:
    return post(caller, REDEMPTIONS_PATH, **purchase(offer, at, **changes))


def problem(reply: httpx2.Response) -> tuple[int, str, list[str]]:
    """Returns the status and type of a problem, and the pointers of its errors."""
    document = reply.json()
    return reply.status_code, document["type"], [error["pointer"] for error in document["errors"]]
