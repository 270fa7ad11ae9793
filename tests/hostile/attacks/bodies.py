"""Attacks by bodies that never end, or that nobody waits for."""

import time
from collections.abc import Callable
from uuid import uuid4

from tests.support.hostile.attack import Attack
from tests.support.hostile.bodies import BATCHES, MIB, NOISE, OFFER, OpenRequest
from tests.support.hostile.target import Target

PUTS = 60
BODY_BYTES = 16 * MIB - 1024
UPLOADS = 40


def send_unfinished_puts(target: Target, seconds: float) -> int:
    """Sends bodies of PUTs without their last byte, and keeps the connections open."""
    return _hold(target, seconds, max(4, int(PUTS * target.size)), lambda n: f"PUT {OFFER.format(n)}", BODY_BYTES)


def send_unfinished_uploads(target: Target, seconds: float) -> int:
    """Sends batches without their last byte, and disconnects; again and again."""
    end, sent = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        sent += _hold(target, 0, max(4, int(UPLOADS * target.size)), lambda _: f"POST {BATCHES}", BODY_BYTES)
    return sent


def abandoned_batch(size: int) -> bytes:
    """Returns a valid batch of about so many bytes: its items are small, so reading it takes long."""
    item = b'{"externalId":"%s","offerData":{}},' % (b"x" * 70)
    head = f'{{"concurrencyRequestId":"{uuid4()}","operation":"Insert","offers":['
    return head.encode() + item * (size // len(item)) + b"{}]}"


def _hold(target: Target, seconds: float, count: int, call: Callable[[int], str], size: int) -> int:
    end = time.monotonic() + seconds
    requests = [OpenRequest(target, target.attacker, call(n), length=size) for n in range(count)]
    for request in requests:
        request.send(NOISE[: size - 1])
    time.sleep(max(0.0, end - time.monotonic()))
    return _close(requests)


def _close(requests: list[OpenRequest]) -> int:
    for request in requests:
        request.close()
    return sum(request.sent_bytes for request in requests)


ATTACKS = (
    Attack("unfinished PUTs", send_unfinished_puts),
    Attack("unfinished uploads", send_unfinished_uploads),
)
