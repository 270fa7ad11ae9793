"""The limits on single requests are in every reply, and exact with concurrent requests."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from api.channels.merchant_routes import TRACES_PATH
from api.service import Service
from domain.values import Role
from tests.support.calls.merchants import QUOTA_PATH, delete, limit, offer_path, put, quota_of, trace_of, used_quota
from tests.support.harness import Call, Caller, MakeToken
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("no_rate_limit")

CLIENTS = 16


def test_refusal_for_the_rate_has_the_limit_headers(partner: Caller, service: Service) -> None:
    limit(service, rps=1)
    refused = next(reply for reply in (put(partner) for _ in range(20)) if reply.status_code == 429)
    assert '"rps";q=1;w=1' in refused.headers["RateLimit-Policy"]
    assert '"daily";r=' in refused.headers["RateLimit"]


def test_rate_is_in_the_headers_without_a_daily_quota(partner: Caller, service: Service) -> None:
    limit(service, rps=100, daily_quota=0)
    headers = put(partner).headers
    assert headers["RateLimit-Policy"] == '"rps";q=100;w=1'
    assert '"rps"' in headers["RateLimit"]


def test_refusal_of_a_parameter_has_the_limit_headers(partner: Caller) -> None:
    headers = partner.http.delete(f"{offer_path()}?a=1&a=2").headers
    assert all(name in headers for name in ("RateLimit", "RateLimit-Policy"))


def test_put_with_a_lost_connection_is_counted(partner: Caller) -> None:
    base = partner.http.base_url
    head = f"PUT {offer_path()} HTTP/1.1\r\nHost: x\r\nAuthorization: {partner.http.headers['Authorization']}\r\n"
    with socket.create_connection((base.host, base.port)) as connection:
        connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{{".encode())
        time.sleep(0.2)
    wait_until(lambda: used_quota(partner) > 0)


# Reads


def test_quota_is_reported(partner: Caller, service: Service) -> None:
    limit(service, daily_quota=3)
    quotas = [quota_of(partner)]
    for _ in range(4):
        put(partner)
        quotas.append(quota_of(partner))
    assert [(quota["limit"], quota["used"], quota["remaining"]) for quota in quotas] == [
        (3, 0, 3),
        (3, 1, 2),
        (3, 2, 1),
        (3, 3, 0),
        (3, 3, 0),
    ]
    assert {tuple(quota) for quota in quotas} == {("limit", "used", "remaining", "reset")}


@pytest.mark.parametrize(("role", "status"), [(None, 401), (Role.PUBLISHER, 403)])
def test_only_partners_may_read_the_quota(call: Call, token: MakeToken, role: Role | None, status: int) -> None:
    assert call(token(role) if role else None).get(QUOTA_PATH).status_code == status


def test_each_partner_has_its_own_quota(partner: Caller, call: Call, token: MakeToken) -> None:
    other = call(token(partner="harbor"))
    put(partner)
    assert (used_quota(partner), used_quota(other)) == (1, 0)


def test_unknown_query_parameter_is_refused(partner: Caller) -> None:
    location = put(partner).headers["Location"]
    assert partner.get(QUOTA_PATH, day="today").status_code == 422
    assert partner.get(location, x="1").status_code == 422


@pytest.mark.parametrize(
    ("role", "status"), [(Role.AUDITOR, 200), (Role.OPERATOR, 200), (Role.PUBLISHER, 403), (None, 401)]
)
def test_auditor_and_operator_may_read_a_trace(
    partner: Caller, call: Call, token: MakeToken, role: Role | None, status: int
) -> None:
    reply = put(partner)
    other = call(token(role) if role else None)
    assert other.get(reply.headers["Location"]).status_code == status


@pytest.mark.parametrize("trace_id", ["req-", "%00", "%FF", "a%2Fb", "x" * 5000, "'", "req-%F0%9F%98%80"])
def test_any_other_trace_id_is_404(partner: Caller, trace_id: str) -> None:
    assert partner.get(f"{TRACES_PATH}/{trace_id}").status_code == 404


# Concurrency


def put_concurrently(call: Call, token: MakeToken, count: int) -> list[httpx2.Response]:
    """Sends `count` PUTs of different offers over several connections. Every fourth body is invalid."""
    secret = token(name="crowd")
    clients = [call(secret) for _ in range(CLIENTS)]

    def send(n: int) -> httpx2.Response:
        return put(clients[n % CLIENTS], b"{" if n % 4 == 3 else None, offer=f"OFR-{n}")

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(send, range(count)))


def test_daily_quota_is_exact_with_concurrent_requests(
    partner: Caller, service: Service, call: Call, token: MakeToken
) -> None:
    limit(service, daily_quota=50)
    statuses = [reply.status_code for reply in put_concurrently(call, token, 8 * CLIENTS)]
    assert set(statuses) == {202, 400, 429}
    assert sum(status != 429 for status in statuses) == 50
    assert used_quota(partner) == 50
    assert len(partner.get("/api/v1/offers").json()["items"]) == statuses.count(202)


def test_reserve_for_deletes_is_exact_with_concurrent_requests(
    partner: Caller, service: Service, call: Call, token: MakeToken
) -> None:
    limit(service, daily_quota=20)
    clients = [call(token(name="crowd"))] * CLIENTS
    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = [reply.status_code for reply in pool.map(delete, clients * 4)]
    assert (statuses.count(202), statuses.count(429)) == (30, 4 * CLIENTS - 30)
    assert used_quota(partner) == 30


def test_every_accepted_concurrent_request_has_a_trace(partner: Caller, call: Call, token: MakeToken) -> None:
    accepted = [reply for reply in put_concurrently(call, token, 4 * CLIENTS) if reply.status_code == 202]
    traces = [trace_of(partner, reply) for reply in accepted]
    assert {trace["outcome"] for trace in traces} == {"created"}
    assert len({trace["trace_id"] for trace in traces}) == len({trace["offerUid"] for trace in traces}) == 48
