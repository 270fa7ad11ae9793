"""Calls of the merchant channel: sample offers, PUT and DELETE, and reads of their results."""

import json
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx2

from api.http.paths import MERCHANTS_PATH
from api.service import Service
from domain.access.partner import SetPartner
from domain.values import Channel, OfferKey
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Caller

MERCHANT, OFFER = "MER-310", "OFR-8841"
QUOTA_PATH = "/api/v1/partner/quota"
IMAGE_URL = "https://img.juniper.example/banner-1200x627.png"
PNG = f"data:image/png;base64,{'iVBORw0KGgoAAAANSUhEUgAA' * 20}"
OTHER_PNG = PNG.replace("i", "j")

SEED_SAMPLE: dict[str, Any] = {
    "offerId": "323232",
    "merchantId": "2121",
    "offerName": "Test merchant",
    "assets": {
        "logo": {"type": "IMAGE", "value": {"large": {"url": "htttps://google.com"}}},
        "largeRectangle": {"type": "IMAGE", "value": {"large": {"content": "<BASE_64_ENCODED_STRING>"}}},
    },
}
"""The vendor's sample, with its misspelt scheme and its placeholder."""


def merchant_offer(merchant: str = MERCHANT, offer: str = OFFER, image: str = PNG, **changes: Any) -> dict[str, Any]:
    """Returns a valid offer with one inline image and one image at a URL."""
    assets = {"logo": {"content": image}, "largeRectangle": {"url": IMAGE_URL}}
    return {
        "offerId": offer,
        "merchantId": merchant,
        "offerName": "Juniper Noodle House",
        "assets": {name: {"type": "IMAGE", "value": {"large": large}} for name, large in assets.items()},
        **changes,
    }


def offer_path(merchant: str | bytes = MERCHANT, offer: str | bytes = OFFER) -> str:
    """Returns the path of an offer. It escapes reserved characters, and dots: clients resolve dot segments."""
    ids = (quote(text, safe="").replace(".", "%2E") for text in (merchant, offer))
    return "{}/{}/offers/{}".format(MERCHANTS_PATH, *ids)


def put(
    caller: Caller,
    sent: Any = None,
    merchant: str | bytes = MERCHANT,
    offer: str | bytes = OFFER,
    content_type: str | None = "application/json",
    **headers: str,
) -> httpx2.Response:
    """Sends a document as JSON, or bytes unchanged; without `sent`, a valid offer."""
    if sent is None:
        sent = merchant_offer(_text(merchant), _text(offer))
    content = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    header_fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type is not None:
        header_fields["Content-Type"] = content_type
    return caller.http.put(offer_path(merchant, offer), content=content, headers=header_fields)


def delete(
    caller: Caller,
    merchant: str | bytes = MERCHANT,
    offer: str | bytes = OFFER,
    content: bytes | None = None,
    **headers: str,
) -> httpx2.Response:
    header_fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.http.request("DELETE", offer_path(merchant, offer), content=content, headers=header_fields)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


# Results


def trace_of(caller: Caller, reply: httpx2.Response) -> dict[str, Any]:
    """Reads the trace of an accepted request."""
    assert reply.status_code == 202, reply.text
    trace: dict[str, Any] = caller.get(reply.headers["Location"]).json()
    return trace


def outcome_and_version(caller: Caller, reply: httpx2.Response) -> tuple[str, int]:
    trace = trace_of(caller, reply)
    return trace["outcome"], trace["version"]


def uid_of(merchant: str = MERCHANT, offer: str = OFFER, partner: str = PARTNER) -> UUID:
    return OfferKey(partner, Channel.MERCHANT, merchant, offer).offer_uid


def offer_of(caller: Caller, merchant: str = MERCHANT, offer: str = OFFER) -> dict[str, Any]:
    reply = caller.get(f"/api/v1/offers/{uid_of(merchant, offer)}")
    assert reply.status_code == 200, reply.text
    document: dict[str, Any] = reply.json()
    return document


def history_of(caller: Caller, merchant: str = MERCHANT, offer: str = OFFER) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = caller.get(f"/api/v1/offers/{uid_of(merchant, offer)}/history").json()["items"]
    return items


def position(caller: Caller) -> int:
    """Returns the newest position of the ledger."""
    return int(caller.get("/api/v1/offers").json()["position"])


def quota_of(caller: Caller) -> dict[str, Any]:
    quota: dict[str, Any] = caller.get(QUOTA_PATH).json()
    return quota


def used_quota(caller: Caller) -> int:
    return int(quota_of(caller)["used"])


def limit(service: Service, partner: str = PARTNER, rps: int = 0, **quota: Any) -> None:
    """Sets a partner's limits on single requests; the default is no limit per second."""
    service.ledger.handle(SetPartner(partner, rps=rps, **quota), OPERATOR)
