"""Attacks by contents and envelopes of very many values: reading one of them would keep the interpreter busy."""

import gzip
import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from urllib.parse import quote
from uuid import uuid4

import httpx2

from tests.support.calls.merchants import merchant_offer
from tests.support.hostile.attack import Attack
from tests.support.hostile.bodies import BATCHES, MIB, OFFER
from tests.support.hostile.target import ATTACKER, Target

PUTS_AT_ONCE, BATCHES_AT_ONCE = 6, 4
ENVELOPE_MEMBERS = 320_000
HUGE = "huge"


def offer_of_many_members(size: int, offer: str = HUGE) -> bytes:
    """Returns a valid offer of about so many bytes, whose unknown members are as small as possible."""
    start = json.dumps(merchant_offer("shop", offer))[:-1].encode()
    names = (b',"%07d":1' % number for number in range((size - len(start)) // 12))
    return start + b"".join(names) + b"}"


def envelope_of_many_members(members: int) -> bytes:
    """Returns a compressed batch of one offer, with so many more members."""
    names = b"".join(b'"%07d":1,' % number for number in range(members))
    end = json.dumps({"concurrencyRequestId": str(uuid4()), "operation": "Insert", "offers": [{}]})[1:].encode()
    return gzip.compress(b"{" + names + end, 1)


def send(target: Target, method: str, path: str, body: bytes, **headers: str) -> httpx2.Response:
    """Sends a JSON body with the attacker's token."""
    named = {"Authorization": f"Bearer {target.attacker}", "Content-Type": "application/json"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(httpx2.Client(base_url=target.url, timeout=300, trust_env=False)) as client:
        return client.request(method, path, content=body, headers=named)


def put_many_members(target: Target, seconds: float) -> int:
    """Sends PUTs of 16 MiB of small members, several at the same time."""
    body = offer_of_many_members(int((16 * MIB - 1024) * max(target.size, 0.2)))
    return _repeat(seconds, PUTS_AT_ONCE, lambda: send(target, "PUT", OFFER.format(HUGE), body), len(body))


def send_many_envelope_members(target: Target, seconds: float) -> int:
    """Sends compressed batches whose envelope has very many members."""
    body = envelope_of_many_members(int(ENVELOPE_MEMBERS * max(target.size, 0.2)))
    call = lambda: send(target, "POST", BATCHES, body, Content_Encoding="gzip")  # noqa: E731
    return _repeat(seconds, BATCHES_AT_ONCE, call, len(body))


def store_many_members(target: Target) -> None:
    """Sends an offer of very many members. A server that bounds contents refuses it."""
    send(target, "PUT", OFFER.format(HUGE), offer_of_many_members(int(15 * MIB * max(target.size, 0.2))))


def open_many_members(target: Target, seconds: float) -> int:
    """Opens the page of an offer of very many members, and reads its history."""
    with closing(httpx2.Client(base_url=target.url, timeout=300, trust_env=False)) as client:
        form = f"token={quote(target.auditor)}"
        client.post("/console/sign-in", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
        headers = {"Authorization": f"Bearer {target.auditor}"}
        query = {"partner": ATTACKER, "externalId": HUGE}
        offers = client.get("/api/v1/offers", params=query, headers=headers).json()["items"]
        uid = offers[0]["offerUid"] if offers else uuid4()
        end = time.monotonic() + seconds
        while True:
            client.get(f"/console/offers/{uid}")
            client.get(f"/api/v1/offers/{uid}/history", headers=headers)
            if time.monotonic() > end:
                return 0


def _repeat(seconds: float, at_once: int, call: Callable[[], httpx2.Response], size: int) -> int:
    """Calls repeatedly in several threads, and returns the bytes that they sent."""
    end, sent = time.monotonic() + seconds, [0] * at_once

    def run(index: int) -> None:
        while sent[index] == 0 or time.monotonic() < end:
            call()
            sent[index] += size

    threads = [threading.Thread(target=run, args=(index,)) for index in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(sent)


ATTACKS = (
    Attack("PUTs of many small members", put_many_members),
    Attack("envelopes of many members", send_many_envelope_members),
    Attack("page of an offer of many members", open_many_members, prepare=store_many_members),
)
