"""Offers of a typical size. They are the same in every run."""

import json
import random
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import uuid4

WORDS = [
    "cashback",
    "travel",
    "savings",
    "loan",
    "voucher",
    "fitness",
    "mobile",
    "solar",
    "student",
    "gaming",
    "insurance",
    "starter",
    "weekend",
]

ID = "concurrencyRequestId"


def offers(count: int, prefix: str = "o", *, changed_share: float = 0.0) -> Iterator[dict[str, Any]]:
    """Yields offers of about 1.7 KB each. A share of them, `changed_share`, has another headline."""
    return (_offer(n, prefix, changed=n % 10 < changed_share * 10) for n in range(count))


def batch(operation: str, items: Iterable[dict[str, Any]]) -> bytes:
    """Returns the body of a batch. Items are encoded one by one, so that a million of them are in memory only once."""
    body = b",".join(json.dumps(item, separators=(",", ":")).encode() for item in items)
    return f'{{"{ID}":"{uuid4()}","operation":"{operation}","offers":['.encode() + body + b"]}"


def with_new_id(body: bytes) -> bytes:
    """Returns the same batch with a new request id."""
    start = len(f'{{"{ID}":"')
    return body[:start] + str(uuid4()).encode() + body[start + len(str(uuid4())) :]


def _offer(n: int, prefix: str, *, changed: bool) -> dict[str, Any]:
    words = random.Random(n)

    def text(length: int) -> str:
        return " ".join(words.choices(WORDS, k=length))

    data = {
        "offerLink": f"https://track.example/c/{n}?sub1={{gk_click_id}}",
        "trackingSystem": "Impact",
        "name": text(4),
        "advertiserCampaignName": None,
        "headline": text(7) + (" updated" if changed else ""),
        "shortDescription": text(14),
        "keyPoints": text(30),
        "offerDetails": text(50),
        "termsAndDisclaimers": text(40),
        "creativeFileExternalUrl": f"https://cdn.example/{n}/banner.png",
        "creatives": [{"order": i, "url": f"https://cdn.example/{n}/{i}.png"} for i in range(3)],
        "dailyCap": 50 + n % 50,
    }
    return {"externalId": f"{prefix}-{n:07}", "offerData": [data]}
