"""Attacks by clients that do not read their replies, or that ask for many at the same moment."""

import gzip
import json
import time
from collections.abc import Sequence

import httpx2

from tests.support.calls.merchants import PNG, merchant_offer, offer_path
from tests.support.harness import plain_client
from tests.support.hostile.attack import Attack
from tests.support.hostile.bodies import BATCHES
from tests.support.hostile.target import Target
from tests.support.hostile.unread import UnreadReply, unread

STREAM = "/api/v1/audit/stream"
EVENTS = "/api/v1/audit/events?type=OfferCreated"
OFFERS = "/api/v1/offers?limit=1000"
REQUEST_ID = "7f2d6b1e-52f0-4f0c-9d6e-3f1a0b9c8d7e"
FAILING_ITEMS, REPLAYS = 20_000, 20
LINES = "application/x-ndjson"
LARGE_OFFERS, IMAGE_BYTES = 8, 3_100_000
STREAMS, PAGES = 105, 80
FOLLOWERS = 220
"""More than a server accepts from all tokens together."""


def _wait_unread(replies: Sequence[UnreadReply], seconds: float) -> int:
    """Sends the requests at the same moment, and reads none of the replies for some seconds."""
    with unread(replies) as opened:
        time.sleep(seconds)
    return sum(len(reply.request) for reply in opened)


def followers(target: Target) -> list[UnreadReply]:
    return [UnreadReply(target, target.attacker, STREAM) for _ in range(FOLLOWERS)]


def follow_at_the_same_moment(target: Target, seconds: float) -> int:
    """Connects more followers of one token, at the same moment, than the server has places."""
    return _wait_unread(followers(target), seconds)


def put_large_offers(target: Target, count: int = LARGE_OFFERS) -> None:
    """Puts offers, each with two images of nearly 3 MiB."""
    with plain_client(target.url, headers={"Authorization": f"ApiToken {target.attacker}"}) as client:
        for number in range(count):
            _put_large(client, number)


def _put_large(client: httpx2.Client, number: int) -> int:
    image = PNG + chr(ord("A") + number) * (IMAGE_BYTES - len(PNG))
    assets = {name: {"type": "IMAGE", "value": {"large": {"content": image}}} for name in ("logo", "largeRectangle")}
    body = json.dumps(merchant_offer("big", str(number), assets=assets)).encode()
    reply = client.put(
        offer_path("big", str(number)), content=body, headers={"Content-Type": "application/json"}, timeout=60
    )
    reply.raise_for_status()
    return len(body)


def event_streams(target: Target, *secrets: str, count: int = STREAMS) -> list[UnreadReply]:
    return [UnreadReply(target, secret, EVENTS, accept=LINES) for secret in secrets for _ in range(count)]


def stall_event_streams(target: Target, seconds: float) -> int:
    """Streams events of large offers, and reads nothing."""
    return _wait_unread(event_streams(target, target.attacker), seconds)


def pages(target: Target, *secrets: str, count: int = PAGES) -> list[UnreadReply]:
    return [UnreadReply(target, secret, OFFERS) for secret in secrets for _ in range(count)]


def stall_pages(target: Target, seconds: float) -> int:
    """Asks for many pages of large offers, and reads none."""
    return _wait_unread(pages(target, target.attacker), seconds)


def stall_followers_of_large_offers(target: Target, seconds: float) -> int:
    """Follows the ledger on many connections, reads nothing, and puts three large offers."""
    replies = [UnreadReply(target, target.attacker, STREAM) for _ in range(STREAMS)]
    client = plain_client(target.url, headers={"Authorization": f"ApiToken {target.attacker}"})
    with client, unread(replies) as opened:
        sent = sum(_put_large(client, LARGE_OFFERS + number) for number in range(3))
        time.sleep(seconds)
    return sent + sum(len(reply.request) for reply in opened)


def replays(target: Target, count: int = REPLAYS) -> list[UnreadReply]:
    """Returns repetitions of one batch. Its reply is far larger than its compressed body."""
    offers = [{"externalId": f"{number:05}{'x' * 200}", "offerData": {}} for number in range(FAILING_ITEMS)]
    request = {"concurrencyRequestId": REQUEST_ID, "operation": "Insert", "offers": offers}
    body = gzip.compress(json.dumps(request).encode())
    return [UnreadReply(target, target.attacker, BATCHES, method="POST", gzipped=body) for _ in range(count)]


def send_failing_batch(target: Target) -> None:
    """Sends the batch that is repeated, and reads its reply."""
    (first,) = replays(target, 1)
    with plain_client(target.url, headers={"Authorization": f"ApiToken {target.attacker}"}) as client:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        client.post(BATCHES, content=first.request.partition(b"\r\n\r\n")[2], headers=headers, timeout=60)
    first.close()


def replay_without_reading(target: Target, seconds: float) -> int:
    """Repeats a batch on many connections, and reads no reply."""
    return _wait_unread(replays(target), seconds)


ATTACKS = (
    Attack("replays that nobody reads", replay_without_reading, send_failing_batch),
    Attack("followers at the same moment", follow_at_the_same_moment),
    Attack("event streams that nobody reads", stall_event_streams, put_large_offers),
    Attack("pages that nobody reads", stall_pages, put_large_offers),
    Attack("followers that do not read large events", stall_followers_of_large_offers),
)
