"""Bodies that never end hold little of the server, and the others are answered meanwhile."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.hostile.attacks.bodies import abandoned_batch
from tests.hostile.attacks.registry import ATTACKS
from tests.hostile.conftest import Serve
from tests.support.calls.merchants import merchant_offer
from tests.support.engine import only_sqlite
from tests.support.examples import batch, body, item
from tests.support.harness import Caller
from tests.support.hostile.attack import require_answers, run_attack
from tests.support.hostile.bodies import BATCHES, FILES, MIB, NOISE, OFFER, SIGN_IN, OpenRequest
from tests.support.hostile.others import watch_others
from tests.support.hostile.target import Target
from tests.support.waiting import POLL_SECONDS, wait_until

PUT, BATCH = f"PUT {OFFER.format('coffee')}", f"POST {BATCHES}"


def problem_in(reply: bytes) -> dict[str, Any]:
    """Returns the problem document of a reply."""
    assert b"content-type: application/problem+json" in reply, reply[:500]
    problem: dict[str, Any] = json.loads(reply.partition(b"\r\n\r\n")[2])
    return problem


def unfinished(target: Target, call: str, size: int, secret: str | None = None) -> OpenRequest:
    """Sends all of a body of this size but its last byte."""
    request = OpenRequest(target, secret or target.attacker, call, length=size)
    request.send(NOISE[: size - 1])
    wait_until(lambda: request.is_answered() or not unread_bytes(target))
    return request


def unread_bytes(target: Target) -> int:
    """Returns the number of bytes that the server has received and not yet read."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    port = f":{urlsplit(target.url).port:04X}"
    return sum(int(fields[4].partition(":")[2], 16) for fields in lines if fields[1].endswith(port))


@contextmanager
def calling(target: Target, secret: str) -> Iterator[Caller]:
    caller = Caller(target.url, secret)
    with closing(caller.http):
        yield caller


def size_of_database(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("ledger.db*"))


def test_unfinished_puts_wait_on_disk(target: Target) -> None:
    with watch_others(target) as others:
        report = run_attack(ATTACKS["unfinished PUTs"], target, others, seconds=1)
    require_answers(report)
    assert report.growth_mebibytes < report.sent_bytes / MIB / 2


@only_sqlite
def test_unfinished_uploads_leave_the_database_as_it_was(serve: Serve, tmp_path: Path) -> None:
    with serve() as target, watch_others(target) as others:
        before = size_of_database(tmp_path)
        report = run_attack(ATTACKS["unfinished uploads"], target, others, seconds=1)
        require_answers(report)
        assert size_of_database(tmp_path) - before < report.sent_bytes / 4


PAUSES = [
    (PUT, "application/json"),
    (BATCH, "application/json"),
    (f"POST {FILES}", "application/json"),
    (f"POST {FILES.partition('?')[0]}", "multipart/form-data; boundary=b"),
    (f"POST {SIGN_IN}", "application/x-www-form-urlencoded"),
]


def test_bodies_that_pause_get_408_and_are_removed(serve: Serve, tmp_path: Path) -> None:
    with serve(MAX_BODY_PAUSE_SECONDS="0.5") as target, ExitStack() as stack:
        before = size_of_database(tmp_path)
        requests = [stack.enter_context(closing(OpenRequest(target, target.attacker, *pause))) for pause in PAUSES]
        requests.append(stack.enter_context(closing(unfinished(target, BATCH, 5 * MIB))))
        for request, (_, content_type) in zip(requests, PAUSES, strict=False):
            request.send(b"--b\r\n" if "boundary" in content_type else b"{")
        for reply in (request.reply() for request in requests):
            assert re.match(rb"HTTP/1.1 408 ", reply), reply[:200]
            assert b"connection: close" in reply.lower()
        # The PUT counts.
        with calling(target, target.attacker) as caller:
            assert caller.get("/api/v1/partner/quota").json()["used"] == 1
        assert size_of_database(tmp_path) - before < MIB


def test_long_body_with_short_pauses_gets_408(serve: Serve) -> None:
    with serve(MAX_BODY_SECONDS="0.5") as target, closing(OpenRequest(target, target.attacker, PUT)) as request:
        while not request.is_answered():
            request.send(b" ")
            time.sleep(POLL_SECONDS)  # each byte gives the body more time
        assert "OFFER_LEDGER_MAX_BODY_SECONDS" in problem_in(request.reply())["detail"]


LOW_BOUNDS = {
    "MAX_UNFINISHED_BODY_BYTES_PER_TOKEN": str(3 * MIB),
    "MAX_UNFINISHED_BODY_BYTES": str(7 * MIB // 2),
    "MAX_WAITING_BYTES_PER_PARTNER": str(5 * MIB),
    "MAX_WAITING_BYTES": str(6 * MIB),
}
BOUNDS = [
    (PUT, 900_000, 4, "MAX_UNFINISHED_BODY_BYTES"),
    (PUT, 4 * MIB, 2, "MAX_WAITING_BYTES"),
    (BATCH, 4 * MIB, 2, "MAX_WAITING_BYTES"),
]


def test_unfinished_bodies_are_bounded_for_one_and_all(serve: Serve) -> None:
    with serve(**LOW_BOUNDS) as target:
        for call, size, count, setting in BOUNDS:
            with ExitStack() as stack:
                requests = [stack.enter_context(closing(unfinished(target, call, size))) for _ in range(count)]
                wait_until(lambda: any(request.is_answered() for request in requests))  # noqa: B023 - it runs now
                (refused,) = (request for request in requests if request.is_answered())
                problem = problem_in(refused.reply())
                assert (problem["status"], problem["type"]) == (429, "too-many-uploads")
                assert f"OFFER_LEDGER_{setting}_PER_" in problem["detail"]
                # The attacker holds its share, so the rest of all is not enough for a large body of the other.
                with closing(unfinished(target, call, size + size // 8, target.other)) as request:
                    problem = problem_in(request.reply())
                assert (problem["status"], problem["type"]) == (503, "server-busy")
                assert f"OFFER_LEDGER_{setting})" in problem["detail"]
                require_put(target, target.attacker)
                require_put(target, target.other)
            wait_until(lambda: fits(target, call, size + size // 8))  # noqa: B023 - it runs now


def fits(target: Target, call: str, size: int) -> bool:
    """Returns True if the service takes the whole body of the other, and finds that it is no JSON."""
    with closing(OpenRequest(target, target.other, call, length=size)) as request:
        request.send(NOISE[:size])
        return request.status() == 400


def require_put(target: Target, secret: str) -> None:
    """Requires that this caller's PUT succeeds."""
    sent = json.dumps(merchant_offer("shop", "milk")).encode()
    with closing(OpenRequest(target, secret, f"PUT {OFFER.format('milk')}", length=len(sent))) as request:
        request.send(sent)
        assert request.status() == 202


def test_fifth_large_upload_of_a_partner_is_refused(target: Target) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(closing(unfinished(target, BATCH, 2 * MIB))) for _ in range(4)]

        def fifth_is_refused() -> bool:
            # The fifth may have come before one of the four, which then lost its place.
            for request in [request for request in held if request.is_answered()]:
                held.remove(request)
                held.append(stack.enter_context(closing(unfinished(target, BATCH, 2 * MIB))))
            return refused_before_body(target) and not any(request.is_answered() for request in held)

        wait_until(fifth_is_refused)
        sent = body(batch("Insert", [item(str(n) * 200) for n in range(10)]))
        with calling(target, target.other) as other:
            assert other.send(sent).status_code == 200
            # All items of it fail.
            assert other.send(abandoned_batch(2 * MIB)).status_code == 422
        require_put(target, target.attacker)  # PUTs do not count
    wait_until(lambda: not refused_before_body(target))


def refused_before_body(target: Target) -> bool:
    """Sends the head of a large batch, and returns True if its partner has too many uploads in progress."""
    with closing(OpenRequest(target, target.attacker, BATCH, length=2 * MIB)) as request:
        # The reply to a request that comes later: the server has read the head before.
        with calling(target, target.attacker) as caller:
            assert caller.get("/api/v1/offers").status_code == 200
        if not request.is_answered():
            return False
        problem = problem_in(request.reply())
    assert (problem["status"], problem["type"]) == (429, "too-many-uploads")
    assert "OFFER_LEDGER_MAX_UPLOADS_PER_PARTNER" in problem["detail"]
    return True


def test_stop_during_an_upload_gets_503_with_retry_after(serve: Serve) -> None:
    with serve() as target, ExitStack() as stack:
        calls = [(PUT, 1000), (PUT, 3 * MIB), (BATCH, 5 * MIB)]
        requests = [stack.enter_context(closing(unfinished(target, call, size))) for call, size in calls]
        with calling(target, target.other) as other:
            assert other.get("/api/v1/offers").status_code == 200
        os.kill(target.pid, signal.SIGTERM)
        replies = [request.reply() for request in requests]
    assert {problem_in(reply)["type"] for reply in replies} == {"server-stopping"}
    assert all(re.match(rb"HTTP/1.1 503 ", reply) and b"retry-after: 5" in reply.lower() for reply in replies)
