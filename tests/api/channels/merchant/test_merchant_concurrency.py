"""Do many who change one offer at the same time leave it as if they had come one after the other?"""

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
from tests.support.histories.single_requests import EVENT_OF, SingleRequestModel, merchant_key, quota_used, send

CALLERS = 8
REQUESTS_EACH = 30
KEY = merchant_key("MO/1", "Mérchant 1")
NAMES = ["a", "b", "c", None]

Told = dict[str, Any]
Ask = Callable[[Caller, OfferKey, str | None], "Acknowledged"]


class Acknowledged(NamedTuple):
    """A request that was answered with 202: when it was on its way, and what its trace says."""

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
    """Connections of one partner, whose requests are not limited."""
    secret = token()
    service.ledger.handle(SetPartner(PARTNER, rps=0, daily_quota=0), OPERATOR)
    return [call(secret) for _ in range(CALLERS)]


def ask(caller: Caller, key: OfferKey, name: str | None) -> Acknowledged:
    sent = time.monotonic()
    reply = send(caller, key, name)
    answered = time.monotonic()
    assert reply.status_code == 202, reply.text
    trace = caller.get(reply.headers["Location"]).json()
    assert (trace["trace_id"], trace["offerUid"]) == (reply.json()["trace_id"], str(key.offer_uid))
    return Acknowledged(key, name, sent, answered, trace["trace_id"], TraceOutcome(trace["outcome"]), trace["version"])


def ask_at_once(callers: Sequence[Caller], keys: Sequence[OfferKey], seed: int) -> list[Acknowledged]:
    """Every caller asks for things of its own, as fast as it can."""

    def asking(number: int) -> list[Acknowledged]:
        chance = random.Random(seed * CALLERS + number)
        return [ask(callers[number], chance.choice(keys), chance.choice(NAMES)) for _ in range(REQUESTS_EACH)]

    with ThreadPoolExecutor(len(callers)) as threads:
        return list(itertools.chain.from_iterable(threads.map(asking, range(len(callers)))))


def history(caller: Caller, key: OfferKey) -> list[Told]:
    path: str | None = f"/api/v1/offers/{key.offer_uid}/history?limit=200"
    items: list[Told] = []
    while path:
        reply = caller.http.get(path)
        items += reply.json()["items"]
        path = reply.links.get("next", {}).get("url")
    return items


def in_some_order(requests: Sequence[Acknowledged]) -> list[Acknowledged]:
    """By what their traces say: what changed nothing comes after what made the version that it found."""
    return sorted(requests, key=lambda request: (request.version, not request.has_event, request.sent))


def require_explained(caller: Caller, key: OfferKey, requests: Sequence[Acknowledged]) -> None:
    """One order of the requests explains what each was told, the history, and how the offer stands in the end."""
    model, ordered = SingleRequestModel(), in_some_order(requests)
    for request in ordered:
        assert model.execute(key, request.name) == (request.outcome, request.version)
    events = [request for request in ordered if request.has_event]
    items = history(caller, key)
    assert [item["traceId"] for item in items] == [request.trace_id for request in events]
    assert [item["version"] for item in items] == list(range(1, len(events) + 1))
    assert [item["type"] for item in items] == [EVENT_OF[request.outcome] for request in events]
    offer = caller.get(f"/api/v1/offers/{key.offer_uid}").json()
    assert (offer["status"], offer["content"]["offerName"], offer["version"]) == model.offers[key]


def require_in_time(requests: Sequence[Acknowledged]) -> None:
    """Who was answered before another one asked comes before it."""
    newest, answered = 0, sorted(requests, key=lambda request: request.answered)
    behind = iter(answered)
    seen = next(behind, None)
    for request in sorted(requests, key=lambda request: request.sent):
        while seen is not None and seen.answered < request.sent:
            newest, seen = max(newest, seen.version), next(behind, None)
        assert request.version >= newest
        assert not request.has_event or request.version > newest


@pytest.mark.parametrize("seed", range(3))
def test_some_order_of_the_requests_explains_the_offer(callers: list[Caller], service: Service, seed: int) -> None:
    requests = ask_at_once(callers, [KEY], seed)
    require_explained(callers[0], KEY, requests)
    require_in_time(requests)
    assert quota_used(service.single_requests) == len(requests) == CALLERS * REQUESTS_EACH
    assert verify(service.ledger) == []


def test_several_offers_do_not_disturb_each_other(callers: list[Caller], service: Service) -> None:
    keys = [merchant_key(f"MO-{n}") for n in range(3)]
    requests = ask_at_once(callers, keys, 7)
    for key in keys:
        mine = [request for request in requests if request.key == key]
        require_explained(callers[0], key, mine)
        require_in_time(mine)
    assert verify(service.ledger) == []


def test_the_same_put_by_many_creates_the_offer_once(callers: list[Caller]) -> None:
    with ThreadPoolExecutor(CALLERS) as threads:
        requests = list(threads.map(lambda caller: ask(caller, KEY, "a"), callers))
    assert sorted(request.outcome for request in requests) == ["created", *["unchanged"] * (CALLERS - 1)]
    assert {request.version for request in requests} == {1}


def test_the_same_deletion_by_many_deletes_the_offer_once(callers: list[Caller]) -> None:
    ask(callers[0], KEY, "a")
    with ThreadPoolExecutor(CALLERS) as threads:
        requests = list(threads.map(lambda caller: ask(caller, KEY, None), callers))
    assert sorted(request.outcome for request in requests) == ["deleted", *["unchanged"] * (CALLERS - 1)]
    assert {request.version for request in requests} == {2}


def test_asking_again_after_an_answer_makes_no_event(callers: list[Caller]) -> None:
    """Each caller has an offer of its own, and repeats everything at once; the others are busy meanwhile."""

    def asking(number: int) -> None:
        key, chance = merchant_key(f"MO-{number}"), random.Random(number)
        for _ in range(REQUESTS_EACH // 2):
            name = chance.choice(NAMES)
            first, again = (ask(callers[number], key, name) for _ in range(2))
            assert (again.has_event, again.version) == (False, first.version)
            assert again.trace_id != first.trace_id

    with ThreadPoolExecutor(CALLERS) as threads:
        list(threads.map(asking, range(CALLERS)))


def test_asking_again_for_how_the_offer_stands_makes_no_event(callers: list[Caller]) -> None:
    """Whichever request came last: repeated by everyone, it changes nothing."""
    last = in_some_order([r for r in ask_at_once(callers, [KEY], 11) if r.has_event])[-1]
    before = history(callers[0], KEY)
    with ThreadPoolExecutor(CALLERS) as threads:
        again = list(threads.map(lambda caller: ask(caller, KEY, last.name), callers))
    assert {(request.outcome, request.version) for request in again} == {(TraceOutcome.UNCHANGED, last.version)}
    assert history(callers[0], KEY) == before


def test_a_quota_is_used_up_exactly_however_many_come_at_once(callers: list[Caller], service: Service) -> None:
    quota, each = 20, 5
    service.ledger.handle(SetPartner(PARTNER, daily_quota=quota), OPERATOR)

    def asking(number: int) -> list[httpx2.Response]:
        keys = [merchant_key(f"MO-{number}-{n}") for n in range(each)]
        return [send(callers[number], key, "a") for key in keys]

    with ThreadPoolExecutor(CALLERS) as threads:
        replies = list(itertools.chain.from_iterable(threads.map(asking, range(CALLERS))))
    assert sorted(reply.status_code for reply in replies) == [202] * quota + [429] * (CALLERS * each - quota)
    remaining = [re.findall('"daily";r=([0-9]+);', reply.headers["RateLimit"]) for reply in replies if reply.is_success]
    assert sorted(int(told) for (told,) in remaining) == [*range(quota)]
    assert all('"daily";r=0;' in reply.headers["RateLimit"] for reply in replies if reply.status_code == 429)
    assert (quota_used(service.single_requests), count_rows(service.ledger, "inventory")) == (quota, quota)
