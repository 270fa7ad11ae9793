"""Offers of the usual size, the same ones every time."""

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
    """Offers of about 1.7 KB each; of every ten, `changed_share` times ten say something else than usual."""
    return (_offer(n, prefix, changed=n % 10 < changed_share * 10) for n in range(count))


def batch(operation: str, items: Iterable[dict[str, Any]]) -> bytes:
    """Made item by item: a million of them take their room only once."""
    told = b",".join(json.dumps(item, separators=(",", ":")).encode() for item in items)
    return f'{{"{ID}":"{uuid4()}","operation":"{operation}","offers":['.encode() + told + b"]}"


def anew(body: bytes) -> bytes:
    """The same batch as another request."""
    begin = len(f'{{"{ID}":"')
    return body[:begin] + str(uuid4()).encode() + body[begin + len(str(uuid4())) :]


def _offer(n: int, prefix: str, *, changed: bool) -> dict[str, Any]:
    words = random.Random(n)

    def text(length: int) -> str:
        return " ".join(words.choices(WORDS, k=length))

    data = {
        "offerLink": f"https://track.example/c/{n}?sub1={{gk_click_id}}",
        "trackingSystem": "Impact",
        "name": text(4),
        "advertiserCampaignName": None,
        "headline": text(7) + (" anew" if changed else ""),
        "shortDescription": text(14),
        "keyPoints": text(30),
        "offerDetails": text(50),
        "termsAndDisclaimers": text(40),
        "creativeFileExternalUrl": f"https://cdn.example/{n}/banner.png",
        "creatives": [{"order": i, "url": f"https://cdn.example/{n}/{i}.png"} for i in range(3)],
        "dailyCap": 50 + n % 50,
    }
    return {"externalId": f"{prefix}-{n:07}", "offerData": [data]}
