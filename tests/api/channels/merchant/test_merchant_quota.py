"""The limits on single requests of a partner per second and per day, and their headers."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.events import OfferCreated
from domain.single_requests.group import CountedRefusal
from domain.single_requests.request import CountRefusal
from domain.store.commit import CommitContext
from domain.values import Channel, OfferKey, Role
from tests.support.calls.merchants import (
    QUOTA_PATH,
    delete,
    limit,
    merchant_offer,
    outcome_and_version,
    position,
    put,
    quota_of,
    uid_of,
    used_quota,
)
from tests.support.examples import PARTNER, batch, body, created, item
from tests.support.harness import OPERATOR, Call, Caller, Clock, MakeToken

pytestmark = pytest.mark.usefixtures("no_rate_limit")

MAX_OFFER_BYTES = 20_000
SECONDS_LEFT = 11 * 3600 + 1800
"""The rest of the day at the time of the clock."""

SendRequest = Callable[[Caller], httpx2.Response]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", max_offer_bytes=MAX_OFFER_BYTES)


COUNTED: list[tuple[int, SendRequest]] = [
    (202, put),
    (202, delete),
    (202, lambda caller: delete(caller, offer="unknown")),
    (400, lambda caller: put(caller, b"{")),
    (400, lambda caller: put(caller, merchant_offer(offerName=""))),
    (400, lambda caller: put(caller, offer="x" * 257)),
    (400, lambda caller: delete(caller, offer=b"\xff")),
    (413, lambda caller: put(caller, b" " * (MAX_OFFER_BYTES + 1))),
    (415, lambda caller: put(caller, content_type="text/plain")),
]


def require_refused(reply: httpx2.Response, kind: str) -> None:
    problem = reply.json()
    assert (reply.status_code, problem["limit"]) == (429, kind)
    assert problem["message"].startswith(kind)
    assert problem["trace_id"]


# Counting


def test_every_authorised_request_is_counted(partner: Caller, subtests: pytest.Subtests) -> None:
    for count, (status, send) in enumerate(COUNTED, 1):
        with subtests.test(status=status, count=count):
            assert send(partner).status_code == status
            assert used_quota(partner) == count


def test_unauthorised_request_is_not_counted(partner: Caller, call: Call, token: MakeToken) -> None:
    for other in (call(None), call("unknown"), *(call(token(role)) for role in set(Role) - {Role.PARTNER})):
        put(other)
        delete(other)
    assert used_quota(partner) == 0


def test_reads_are_not_counted(partner: Caller, auditor: Caller) -> None:
    location = put(partner).headers["Location"]
    for caller in (partner, auditor):
        for path in (location, QUOTA_PATH, f"/api/v1/offers/{uid_of()}", "/api/v1/offers"):
            caller.get(path)
    assert used_quota(partner) == 1


def test_batches_and_other_partners_do_not_use_the_quota(partner: Caller, call: Call, token: MakeToken) -> None:
    other = call(token(partner="harbor"))
    assert partner.send(body(batch("Insert", [item()]))).status_code == 200
    put(other)
    assert (used_quota(partner), used_quota(other)) == (0, 1)


def test_refusal_for_the_quota_is_not_counted_and_changes_nothing(partner: Caller, service: Service) -> None:
    limit(service, daily_quota=1)
    put(partner)
    before = position(partner)
    for _ in range(3):
        require_refused(put(partner, merchant_offer(offerName="Other")), "daily")
    assert (used_quota(partner), position(partner)) == (1, before)


# The day


def test_requests_over_the_daily_quota_are_refused_until_midnight(
    partner: Caller, service: Service, clock: Clock
) -> None:
    limit(service, daily_quota=2)
    assert [put(partner).status_code for _ in range(3)] == [202, 202, 429]
    reply = put(partner)
    require_refused(reply, "daily")
    assert reply.headers["Retry-After"] == str(SECONDS_LEFT)
    clock.now = clock.now.replace(hour=23, minute=59, second=59, microsecond=999_999)
    reply = put(partner)
    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "1")
    clock.move(microseconds=1)
    assert [put(partner).status_code for _ in range(3)] == [202, 202, 429]


def test_delete_has_a_reserve_beyond_the_quota(partner: Caller, service: Service) -> None:
    limit(service, daily_quota=2)
    assert [put(partner).status_code for _ in range(3)] == [202, 202, 429]
    assert outcome_and_version(partner, delete(partner)) == ("deleted", 2)
    assert put(partner).status_code == 429
    assert [delete(partner).status_code for _ in range(10)] == [202] * 9 + [429]
    require_refused(delete(partner), "daily")
    assert quota_of(partner) == {"limit": 2, "used": 12, "remaining": 0, "reset": SECONDS_LEFT}


def test_invalid_delete_uses_the_reserve_too(partner: Caller, service: Service) -> None:
    limit(service, daily_quota=1)
    put(partner)
    assert [delete(partner, offer=b"\xff").status_code for _ in range(11)] == [400] * 10 + [429]


def test_reserve_of_a_large_quota_is_five_percent(partner: Caller, service: Service, clock: Clock) -> None:
    limit(service, daily_quota=220)
    set_used(service, 230, clock)
    assert put(partner).status_code == 429
    assert [delete(partner).status_code for _ in range(2)] == [202, 429]


def set_used(service: Service, count: int, clock: Clock) -> None:
    """Sets the number of requests that were counted today."""
    day = (clock.now.date() - type(clock.now.date())(1970, 1, 1)).days
    with service.ledger.recorder.write() as tx:
        tx.execute("INSERT INTO quota_use (partner, day, used) VALUES (?, ?, ?)", (PARTNER, day, count))


def test_changed_quota_applies_to_the_next_request(partner: Caller, service: Service) -> None:
    limit(service, daily_quota=1)
    assert [put(partner).status_code for _ in range(2)] == [202, 429]
    limit(service, daily_quota=2)
    assert [put(partner).status_code for _ in range(2)] == [202, 429]
    limit(service, daily_quota=0)
    assert put(partner).status_code == 202


def test_quota_of_0_is_unlimited(partner: Caller, service: Service, clock: Clock) -> None:
    limit(service, daily_quota=0)
    set_used(service, 1_000_000, clock)
    assert (put(partner).status_code, delete(partner).status_code) == (202, 202)
    assert quota_of(partner) == {"limit": 0, "used": 1_000_002, "remaining": None, "reset": SECONDS_LEFT}


def test_default_quota_grows_with_the_offers(partner: Caller, service: Service) -> None:
    assert quota_of(partner) == {"limit": 1000, "used": 0, "remaining": 1000, "reset": SECONDS_LEFT}
    create_offers(service, 900, Channel.MERCHANT)
    create_offers(service, 900, Channel.CUSTOM)
    assert quota_of(partner)["limit"] == 1080
    for n in range(5):
        put(partner, offer=f"more-{n}")
    assert quota_of(partner) == {"limit": 1086, "used": 5, "remaining": 1081, "reset": SECONDS_LEFT}


def create_offers(service: Service, count: int, channel: Channel) -> None:
    keys = [OfferKey(PARTNER, channel, "m" if channel is Channel.MERCHANT else None, f"o-{n}") for n in range(count)]
    streams: list[tuple[Any, int, list[OfferCreated]]] = [(key.offer_uid, 0, [created(key=key)]) for key in keys]
    with service.ledger.recorder.write() as tx:
        service.ledger.commit(tx, CommitContext(OPERATOR, PARTNER), streams)


def test_used_quota_is_durable(partner: Caller, service: Service, clock: Clock) -> None:
    put(partner)
    put(partner, b"{")
    with open_service(service.settings, clock) as elsewhere:
        assert elsewhere.single_requests.terms(PARTNER)[1].used == 2


def test_used_quota_survives_a_restart(settings: Settings, clock: Clock) -> None:
    for used_before in range(3):
        with open_service(settings, clock) as service:
            limit(service, daily_quota=2)
            assert service.single_requests.terms(PARTNER)[1].used == used_before
            (result,) = service.single_requests.execute([CountRefusal(PARTNER, is_deletion=False)])
            assert isinstance(result, CountedRefusal) is (used_before < 2)


# The second


def test_requests_over_the_rate_are_refused_and_not_counted(partner: Caller, service: Service) -> None:
    limit(service, rps=2)
    replies = [send(partner) for _ in range(10) for send in (put, delete)]
    refused = [reply for reply in replies if reply.status_code == 429]
    assert refused
    for reply in refused:
        require_refused(reply, "rps")
        assert reply.headers["Retry-After"] == "1"
    assert used_quota(partner) == len(replies) - len(refused)


def test_invalid_request_counts_towards_the_rate(partner: Caller, service: Service) -> None:
    limit(service, rps=1)
    assert {put(partner, b"{").status_code for _ in range(10)} == {400, 429}


def test_rate_applies_to_the_partner_with_all_its_tokens(
    partner: Caller, service: Service, call: Call, token: MakeToken
) -> None:
    same, other = call(token(name="another")), call(token(partner="harbor"))
    limit(service, "harbor")
    limit(service, rps=1)
    assert 429 in {reply.status_code for _ in range(10) for reply in (put(partner), put(same))}
    assert {put(other).status_code for _ in range(5)} == {202}
    assert {partner.get(QUOTA_PATH).status_code for _ in range(5)} == {200}


# Headers


@pytest.mark.parametrize(("status", "send"), COUNTED)
def test_every_reply_has_the_limits_and_the_remaining_requests(
    partner: Caller, service: Service, status: int, send: SendRequest
) -> None:
    limit(service, rps=100, daily_quota=7)
    reply = send(partner)
    assert reply.status_code == status
    require_limit_headers(reply, 6)


def require_limit_headers(reply: httpx2.Response, remaining: int) -> None:
    policies = re.split(r",\s*", reply.headers["RateLimit-Policy"])
    assert sorted(policies) == ['"daily";q=7;w=86400', '"rps";q=100;w=1']
    assert f'"daily";r={remaining};t={SECONDS_LEFT}' in reply.headers["RateLimit"]


def test_refusals_and_quota_replies_have_the_limits_too(partner: Caller, service: Service, clock: Clock) -> None:
    limit(service, rps=100, daily_quota=7)
    set_used(service, 5, clock)
    require_limit_headers(partner.get(QUOTA_PATH), 2)
    require_limit_headers(put(partner), 1)
    require_limit_headers(put(partner), 0)
    reply = put(partner)
    require_refused(reply, "daily")
    require_limit_headers(reply, 0)
    require_limit_headers(delete(partner), 0)
