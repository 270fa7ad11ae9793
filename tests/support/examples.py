"""Example offers, batches and events for tests."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from msgspec import Raw

from api.bounds.body import BodyBounds
from api.intake.batch import validate_items
from domain.events import (
    Event,
    OfferActivated,
    OfferCreated,
    OfferDeleted,
    OfferEvent,
    OfferPaused,
    OfferRedeemed,
    OfferRestored,
    OfferResumed,
    OfferUpdated,
    PauseCause,
    RedemptionRefused,
    RedemptionReversed,
    RefusalReason,
)
from domain.offers.content import Content, SentContent, digest
from domain.runs.batch_reconciliation import InvalidItem, SentItem, ValidItem
from domain.values import Channel, OfferKey

PARTNER = "tidepool"
KEY = OfferKey(PARTNER, Channel.CUSTOM, None, "TP-1")


def offer_data(**changes: Any) -> dict[str, Any]:
    """A valid single-event offer, as a partner sends it."""
    return {
        "offerLink": "https://track.example/c/1?sub1={gk_click_id}",
        "trackingSystem": "Adjust",
        "name": "Tidepool Savings",
        "advertiserCampaignName": None,
        "headline": "Open a jar",
        "shortDescription": None,
        "keyPoints": None,
        "offerDetails": "Open a savings jar.",
        "termsAndDisclaimers": None,
        "creativeFileExternalUrl": None,
        "creatives": [{"order": 0, "url": "https://cdn.example/0.png"}],
        "dailyCap": 50,
        **changes,
    }


def item(external_id: Any = "TP-1", **changes: Any) -> dict[str, Any]:
    return {"externalId": external_id, "offerData": [offer_data(**changes)]}


def batch(operation: str, items: Sequence[Any], request_id: str | None = None) -> dict[str, Any]:
    return {"concurrencyRequestId": request_id or str(uuid4()), "operation": operation, "offers": list(items)}


def body(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()


def validated_item(sent: Any, index: int = 0) -> SentItem:
    """Returns the item after serialization and validation, at that index among the offers."""
    return validated_item_text(json.dumps(sent), index)


def validated_item_text(text: str, index: int = 0) -> SentItem:
    """Returns the validated item of this JSON text."""
    offers = ",".join([*["null"] * index, text])
    whole = body(batch("Insert", ["HERE"])).replace(b'"HERE"', offers.encode())
    return validate_items(lambda: [whole], BodyBounds()).items[index]


def valid_item(**changes: Any) -> ValidItem:
    """Returns the sample offer with these changes, which must be valid."""
    validated = validated_item(item(**changes))
    assert isinstance(validated, ValidItem), validated
    return validated


def messages_of_invalid_item(**changes: Any) -> tuple[str, ...]:
    """Returns the messages about the sample offer with these changes, which must be invalid."""
    validated = validated_item(item(**changes))
    assert isinstance(validated, InvalidItem), validated
    return validated.messages


# Events


def sent_content(content: Content) -> SentContent:
    """Returns a content as sent, without the digest of the item's bytes."""
    return SentContent(Raw(body(content)), digest(content))


CONTENT: Content = offer_data()
OTHER_CONTENT: Content = offer_data(headline="Open two jars")


def created(content: Content = CONTENT, key: OfferKey = KEY) -> OfferCreated:
    return OfferCreated(
        partner=key.partner,
        channel=key.channel,
        merchant_id=key.merchant_id,
        external_id=key.external_id,
        content=Raw(body(content)),
        content_digest=digest(content),
    )


def updated(content: Content = OTHER_CONTENT) -> OfferUpdated:
    return OfferUpdated(content=Raw(body(content)), content_digest=digest(content))


def restored(content: Content = CONTENT) -> OfferRestored:
    return OfferRestored(content=Raw(body(content)), content_digest=digest(content))


PAUSED = OfferPaused(cause=PauseCause.ABSENT_FROM_SYNCHRONIZE)
RESUMED = OfferResumed()
DELETED = OfferDeleted()

ACTIVATION_ID = UUID("2815796d-32cc-418c-a021-9de8957116f2")
ACTIVATED = OfferActivated(
    customer_id="C-1",
    offer_uid=str(KEY.offer_uid),
    offer_version=1,
    activated_at=1_795_350_605_000_000,
    redemption_window_days=45,
    redeemable_until=1_799_238_605_000_000,
)
PURCHASE: dict[str, Any] = {
    "transaction_id": "T-1",
    "customer_id": "C-1",
    "offer_uid": str(KEY.offer_uid),
    "amount": "12.50",
    "currency": "USD",
    "transacted_at": 1_795_350_605_000_000,
}
REDEEMED = OfferRedeemed(**PURCHASE, activation_id=str(ACTIVATION_ID), offer_version=1)
REFUSED = RedemptionRefused(**PURCHASE, reason=RefusalReason.NOT_ACTIVATED)
REVERSED = RedemptionReversed(reversal_id="R-1", amount="2.50")

EVERY_OFFER_EVENT: list[OfferEvent] = [created(), updated(), PAUSED, RESUMED, DELETED, restored()]
EVERY_CUSTOMER_EVENT: list[Event] = [ACTIVATED, REDEEMED, REFUSED, REVERSED]
