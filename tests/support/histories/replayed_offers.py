"""Offers as the API returns them, computed by a replay of the recorded events."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from domain.events import (
    OfferActivated,
    OfferCreated,
    OfferEvent,
    OfferHeld,
    OfferReleased,
    OfferRestored,
    OfferUpdated,
)
from domain.offers.offer import STATUS_AFTER
from domain.values import OfferKey, recorded_text, to_microseconds
from tests.support.harness import OPERATOR
from tests.support.histories.traffic import HOLD_REASON, RecordedEvent


def replayed_offers(events: Sequence[RecordedEvent], position: int, time: datetime) -> list[dict[str, Any]]:
    """Returns offers as the API returns them, in the order of their streams."""
    offers: dict[int, dict[str, Any]] = {}
    ends: dict[str, list[int]] = {}
    holds: dict[str, RecordedEvent] = {}
    for recorded in events:
        if recorded.position > position:
            break
        if isinstance(recorded.event, OfferActivated):
            ends.setdefault(recorded.event.offer_uid, []).append(recorded.event.redeemable_until)
        elif isinstance(recorded.event, OfferHeld | OfferReleased):
            holds[recorded.event.offer_uid] = recorded
        elif isinstance(recorded.event, OfferEvent):
            _apply(offers, recorded)
    for offer in offers.values():
        last = max(ends.get(offer["offerUid"], [0]))
        offer["honouredUntil"] = recorded_text(last) if last > to_microseconds(time) else None
        offer["hold"] = _hold(holds.get(offer["offerUid"]), to_microseconds(time))
    return [offers[stream_id] for stream_id in sorted(offers)]


def _hold(newest: RecordedEvent | None, time: int) -> dict[str, Any] | None:
    if newest is None or not isinstance(newest.event, OfferHeld):
        return None
    until = newest.event.until
    if until is not None and until <= time:
        return None
    return {
        "reason": HOLD_REASON,
        "since": recorded_text(newest.recorded_at),
        "until": None if until is None else recorded_text(until),
        "actor": OPERATOR.actor,
    }


def _apply(offers: dict[int, dict[str, Any]], recorded: RecordedEvent) -> None:
    event, recorded_at = recorded.event, recorded_text(recorded.recorded_at)
    if isinstance(event, OfferCreated):
        key = OfferKey(event.partner, event.channel, event.merchant_id, event.external_id)
        offers[recorded.stream_id] = {
            "offerUid": str(key.offer_uid),
            "partner": key.partner,
            "channel": str(key.channel),
            "merchantId": key.merchant_id,
            "externalId": key.external_id,
            "version": 0,
            "createdAt": recorded_at,
        }
    offer = offers[recorded.stream_id]
    offer |= {"version": offer["version"] + 1, "updatedAt": recorded_at}
    if status := STATUS_AFTER[type(event)]:
        since = {f"{name}At": recorded_at if status == name else None for name in ("paused", "deleted")}
        offer |= {"status": str(status), **since}
    if isinstance(event, OfferCreated | OfferUpdated | OfferRestored):
        offer |= {"content": json.loads(bytes(event.content)), "contentDigest": event.content_digest}
