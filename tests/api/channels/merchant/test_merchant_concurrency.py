"""Concurrent changes of one offer have the same effect as some sequence of the same changes."""

import itertools
import random
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx2
import pytest

from api.service import Service
from domain.access.partner import SetPartner
from domain.single_requests.request import TraceOutcome
from domain.values import OfferKey
from projections.maintenance.verification import verify
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Call, Caller, MakeToken
from tests.support.histories.runs import count_rows
from tests.support.histories.single_requests import (
    EVENT_OF,
    SingleRequestModel,
    merchant_key,
    merchant_offer,
    path_of,
    quota_used,
    send,
)

CALLERS = 8
REQUESTS_EACH = 15
KEY = merchant_key("MO/1", "Mérchant 1")
NAMES = ["a", "b", "c", None]

Event = dict[str, Any]
Ask = Callable[[Caller, OfferKey, str | None], "Acknowledged"]


class Acknowledged(NamedTuple):
    """A request that was answered with 202: the times of sending and of the reply, and the contents of its trace."""

    key: OfferKey
    name: str | None
    sent: float
    answered: float
    trace_id: str
    outcome: TraceOutcome
    version: int

    @property
    def has_event(self) -> bool:
        return self.outcome in EVENT_OF


@pytest.fixture
def callers(service: Service, call: Call, token: MakeToken) -> list[Caller]:
    """Connections of one partner without limits."""
    secret = token()
    service.ledger.handle(SetPartner(PARTNER, rps=0, daily_quota=0), OPERATOR)
    return [call(secret) for _ in range(CALLERS)]


def send_and_trace(caller: Caller, key: OfferKey, name: str | None) -> Acknowledged:
    sent = time.monotonic()
    reply = send(caller, key, name)
    answered = time.monotonic()
    assert reply.status_code == 202, reply.text
    trace = caller.get(reply.headers["Location"]).json()
    assert (trace["trace_id"], trace["offerUid"]) == (reply.json()["trace_id"], str(key.offer_uid))
    return Acknowledged(key, name, sent, answered, trace["trace_id"], TraceOutcome(trace["outcome"]), trace["version"])


def send_concurrently(callers: Sequence[Caller], keys: Sequence[OfferKey], seed: int) -> list[Acknowledged]:
    """Every client sends random requests as fast as it can."""

    def send_all(number: int) -> list[Acknowledged]:
        chance = random.Random(seed * CALLERS + number)
        return [
            send_and_trace(callers[number], chance.choice(keys), chance.choice(NAMES)) for _ in range(REQUESTS_EACH)
        ]

    with ThreadPoolExecutor(len(callers)) as threads:
        return list(itertools.chain.from_iterable(threads.map(send_all, range(len(callers)))))


def history(caller: Caller, key: OfferKey) -> list[Event]:
    path: str | None = f"/api/v1/offers/{key.offer_uid}/history?limit=200"
    items: list[Event] = []
    while path:
        reply = caller.http.get(path)
        items += reply.json()["items"]
        path = reply.links.get("next", {}).get("url")
    return items


def in_trace_order(requests: Sequence[Acknowledged]) -> list[Acknowledged]:
    """Sorts requests by their traces. A request without a change comes after the request that made its version."""
    return sorted(requests, key=lambda request: (request.version, not request.has_event, request.sent))


def require_sequential_effect(caller: Caller, key: OfferKey, requests: Sequence[Acknowledged]) -> None:
    """Requires that the sorted requests, one after the other, explain all traces, the history and the final state."""
    model, ordered = SingleRequestModel(), in_trace_order(requests)
    for request in ordered:
        assert model.execute(key, request.name) == (request.outcome, request.version)
    events = [request for request in ordered if request.has_event]
    items = history(caller, key)
    assert [item["traceId"] for item in items] == [request.trace_id for request in events]
    assert [item["version"] for item in items] == list(range(1, len(events) + 1))
    assert [item["type"] for item in items] == [EVENT_OF[request.outcome] for request in events]
    offer = caller.get(f"/api/v1/offers/{key.offer_uid}").json()
    assert (offer["status"], offer["content"]["offerName"], offer["version"]) == model.offers[key]


def require_real_time_order(requests: Sequence[Acknowledged]) -> None:
    """Requires that a request that was answered before another one was sent also comes first in the history."""
    newest, answered = 0, iter(sorted(requests, key=lambda request: request.answered))
    earlier = next(answered, None)
    for request in sorted(requests, key=lambda request: request.sent):
        while earlier is not None and earlier.answered < request.sent:
            newest, earlier = max(newest, earlier.version), next(answered, None)
        assert request.version >= newest
        assert not request.has_event or request.version > newest


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 10))])
def test_concurrent_requests_have_the_effect_of_some_order(callers: list[Caller], service: Service, seed: int) -> None:
    requests = send_concurrently(callers, [KEY], seed)
    require_sequential_effect(callers[0], KEY, requests)
    require_real_time_order(requests)
    assert quota_used(service.single_requests) == len(requests) == CALLERS * REQUESTS_EACH
    assert verify(service.ledger) == []


def test_concurrent_requests_for_several_offers_are_independent(callers: list[Caller], service: Service) -> None:
    keys = [merchant_key(f"MO-{n}") for n in range(3)]
    requests = send_concurrently(callers, keys, 7)
    for key in keys:
        mine = [request for request in requests if request.key == key]
        require_sequential_effect(callers[0], key, mine)
        require_real_time_order(mine)
    assert verify(service.ledger) == []


def test_same_put_by_many_clients_creates_the_offer_once(callers: list[Caller]) -> None:
    with ThreadPoolExecutor(CALLERS) as threads:
        requests = list(threads.map(lambda caller: send_and_trace(caller, KEY, "a"), callers))
    assert sorted(request.outcome for request in requests) == ["created", *["unchanged"] * (CALLERS - 1)]
    assert {request.version for request in requests} == {1}


def test_same_delete_by_many_clients_deletes_the_offer_once(callers: list[Caller]) -> None:
    send_and_trace(callers[0], KEY, "a")
    with ThreadPoolExecutor(CALLERS) as threads:
        requests = list(threads.map(lambda caller: send_and_trace(caller, KEY, None), callers))
    assert sorted(request.outcome for request in requests) == ["deleted", *["unchanged"] * (CALLERS - 1)]
    assert {request.version for request in requests} == {2}


@pytest.mark.parametrize(("header", "value", "version"), [("If-Match", '"1.x"', 2), ("If-None-Match", "*", 1)])
def test_one_of_many_conditional_puts_succeeds(callers: list[Caller], header: str, value: str, version: int) -> None:
    """All clients replace the version that they have read, or create the offer. Each sends other content."""
    for _ in range(version - 1):
        send_and_trace(callers[0], KEY, "a")

    def send_conditionally(number: int) -> httpx2.Response:
        return callers[number].http.put(
            path_of(KEY), json=merchant_offer(KEY, f"from {number}"), headers={header: value}
        )

    with ThreadPoolExecutor(CALLERS) as threads:
        replies = list(threads.map(send_conditionally, range(CALLERS)))
    assert sorted(reply.status_code for reply in replies) == [202, *[412] * (CALLERS - 1)]
    (winner,) = (number for number, reply in enumerate(replies) if reply.status_code == 202)
    offer = callers[0].get(f"/api/v1/offers/{KEY.offer_uid}").json()
    assert (offer["content"]["offerName"], offer["version"]) == (f"from {winner}", version)


def test_request_repeated_after_its_reply_makes_no_event(callers: list[Caller]) -> None:
    """Each client has its own offer and repeats each request immediately, while the other clients send too."""

    def send_all(number: int) -> None:
        key, chance = merchant_key(f"MO-{number}"), random.Random(number)
        for _ in range(REQUESTS_EACH // 2):
            name = chance.choice(NAMES)
            first, repeated = (send_and_trace(callers[number], key, name) for _ in range(2))
            assert (repeated.has_event, repeated.version) == (False, first.version)
            assert repeated.trace_id != first.trace_id

    with ThreadPoolExecutor(CALLERS) as threads:
        list(threads.map(send_all, range(CALLERS)))


def test_last_request_repeated_by_all_makes_no_event(callers: list[Caller]) -> None:
    """All clients repeat the last request."""
    last = in_trace_order([r for r in send_concurrently(callers, [KEY], 11) if r.has_event])[-1]
    before = history(callers[0], KEY)
    with ThreadPoolExecutor(CALLERS) as threads:
        repeated = list(threads.map(lambda caller: send_and_trace(caller, KEY, last.name), callers))
    assert {(request.outcome, request.version) for request in repeated} == {(TraceOutcome.UNCHANGED, last.version)}
    assert history(callers[0], KEY) == before


def test_quota_is_exact_with_concurrent_requests(callers: list[Caller], service: Service) -> None:
    quota, each = 20, 5
    service.ledger.handle(SetPartner(PARTNER, daily_quota=quota), OPERATOR)

    def send_all(number: int) -> list[httpx2.Response]:
        keys = [merchant_key(f"MO-{number}-{n}") for n in range(each)]
        return [send(callers[number], key, "a") for key in keys]

    with ThreadPoolExecutor(CALLERS) as threads:
        replies = list(itertools.chain.from_iterable(threads.map(send_all, range(CALLERS))))
    assert sorted(reply.status_code for reply in replies) == [202] * quota + [429] * (CALLERS * each - quota)
    remaining = [re.findall('"daily";r=([0-9]+);', reply.headers["RateLimit"]) for reply in replies if reply.is_success]
    assert sorted(int(number) for (number,) in remaining) == [*range(quota)]
    assert all('"daily";r=0;' in reply.headers["RateLimit"] for reply in replies if reply.status_code == 429)
    assert (quota_used(service.single_requests), count_rows(service.ledger, "inventory")) == (quota, quota)
