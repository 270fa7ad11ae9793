"""Authentication, roles and the limits of tokens (contract, sections 6 and 7)."""

import httpx2
import pytest

from api.dependencies.authentication import digest_secret
from api.http.paths import BATCH_PATH
from api.service import Service
from domain.access.token import CreateToken, RevokeToken
from domain.values import Role, to_microseconds
from tests.support.examples import KEY, batch, body, item
from tests.support.harness import OPERATOR, Call, Caller, Clock, MakeToken

OFFERS = "/api/v1/offers"
OFFER = f"{OFFERS}/{KEY.offer_uid}"
HISTORY = f"{OFFER}/history"
OPENAPI = "/api/v1/openapi.json"
READS = (OFFERS, OFFER, HISTORY, OPENAPI)


def statuses(caller: Caller) -> dict[str, int]:
    """Returns the status of a call of each route, by path."""
    batch_status = caller.send(body(batch("Insert", [item()]))).status_code
    return {BATCH_PATH: batch_status} | {path: caller.get(path).status_code for path in READS}


def get(call: Call, authorization: str | bytes) -> httpx2.Response:
    value = authorization.encode() if isinstance(authorization, str) else authorization
    return call(None).http.get(OFFERS, headers=[(b"Authorization", value)])


# Authentication


def test_two_tokens_are_refused(call: Call, token: MakeToken) -> None:
    one = f"ApiToken {token()}".encode()
    assert call(None).http.get(OFFERS, headers=[(b"Authorization", one), (b"Authorization", one)]).status_code == 401


def test_no_route_is_open_without_a_token(call: Call) -> None:
    assert set(statuses(call(None)).values()) == {401}


def test_no_route_is_open_to_an_unknown_token(call: Call) -> None:
    assert set(statuses(call("unknown")).values()) == {401}


def test_token_is_accepted_with_both_schemes(call: Call, token: MakeToken) -> None:
    secret = token()
    schemes = ("ApiToken", "Bearer", "apitoken", "BEARER")
    assert {get(call, f"{scheme} {secret}").status_code for scheme in schemes} == {200}


def test_header_without_a_token_is_401(call: Call, token: MakeToken, subtests: pytest.Subtests) -> None:
    secret = token()
    for header in ("", "ApiToken", "Bearer", secret, f"Basic {secret}", f"Token {secret}", f"ApiToken{secret}"):
        with subtests.test(header):
            assert get(call, header).status_code == 401


def test_any_bytes_as_a_token_are_401(call: Call) -> None:
    secrets = (b"\xff\xfe", b"\xc3\xa9", b"x" * 5000, b"'; DROP TABLE tokens; --")
    assert {get(call, b"ApiToken " + secret).status_code for secret in secrets} == {401}


def test_401_names_the_authentication_schemes(call: Call) -> None:
    schemes = call(None).get(OFFERS).headers["WWW-Authenticate"]
    assert "ApiToken" in schemes
    assert "Bearer" in schemes


def test_revoked_token_is_refused_at_once(service: Service, partner: Caller) -> None:
    assert partner.get(OFFERS).status_code == 200
    service.ledger.handle(RevokeToken("partner-tidepool"), OPERATOR)
    assert set(statuses(partner).values()) == {401}


def test_reused_token_name_does_not_restore_the_old_secret(
    call: Call, service: Service, partner: Caller, token: MakeToken
) -> None:
    service.ledger.handle(RevokeToken("partner-tidepool"), OPERATOR)
    renewed = CreateToken("partner-tidepool", Role.AUDITOR, None, digest_secret("renewed"), 0, None)
    service.ledger.handle(renewed, OPERATOR)
    assert token(name="other")
    assert (partner.get(OFFERS).status_code, call("renewed").get(OFFERS).status_code) == (401, 200)


def test_token_is_valid_until_it_expires(call: Call, token: MakeToken, clock: Clock) -> None:
    clock.move(hours=1)
    caller = call(token(expires_at=to_microseconds(clock.now)))
    clock.move(microseconds=-1)
    assert caller.get(OFFERS).status_code == 200
    clock.move(microseconds=1)
    assert set(statuses(caller).values()) == {401}


# Roles


@pytest.mark.parametrize(
    ("role", "forbidden"),
    [
        (Role.PARTNER, set()),
        (Role.PUBLISHER, {BATCH_PATH, OFFER, HISTORY}),
        (Role.AUDITOR, {BATCH_PATH}),
        (Role.OPERATOR, {BATCH_PATH}),
    ],
)
def test_role_may_call_the_routes_of_the_contract(
    partner: Caller, call: Call, token: MakeToken, role: Role, forbidden: set[str]
) -> None:
    partner.send(body(batch("Insert", [item()])))
    expected = {path: 403 if path in forbidden else 200 for path in (BATCH_PATH, *READS)}
    assert statuses(call(token(role, name="caller"))) == expected


# Limits


def test_calls_over_the_limit_per_minute_are_429(call: Call, token: MakeToken) -> None:
    caller = call(token(requests_per_minute=2))
    replies = [caller.get(path) for path in (OFFERS, OPENAPI, OFFERS)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert replies[2].json()["type"] == "too-many-requests"
    assert 1 <= int(replies[2].headers["Retry-After"]) <= 60


def test_repeated_batch_counts_while_a_new_one_does_not(call: Call, token: MakeToken) -> None:
    caller = call(token(requests_per_minute=2))
    first, other = (body(batch("Insert", [item()])) for _ in range(2))
    replies = [caller.send(text) for text in (first, first, first, first, other)]
    assert [reply.status_code for reply in replies] == [200, 200, 200, 429, 200]
    assert replies[3].json()["type"] == "too-many-requests"
    assert 1 <= int(replies[3].headers["Retry-After"]) <= 60


def test_call_that_is_404_counts(call: Call, token: MakeToken) -> None:
    caller = call(token(requests_per_minute=1))
    assert [caller.get(path).status_code for path in (OFFER, OFFERS)] == [404, 429]


def test_batches_are_not_counted(call: Call, token: MakeToken) -> None:
    caller = call(token(requests_per_minute=1))
    sent = [caller.send(body(batch("Insert", [item()]))).status_code for _ in range(3)]
    read = [caller.get(OFFERS).status_code for _ in range(2)]
    assert (sent, read) == ([200, 200, 200], [200, 429])
    assert caller.send(body(batch("Insert", [item()]))).status_code == 200


def test_each_token_has_its_own_limit(call: Call, token: MakeToken) -> None:
    one, other = (call(token(name=name, requests_per_minute=1)) for name in ("one", "other"))
    assert [caller.get(OFFERS).status_code for caller in (one, one, other)] == [200, 429, 200]


def test_limit_of_0_means_no_limit(call: Call, token: MakeToken) -> None:
    caller = call(token(requests_per_minute=0))
    assert {caller.get(OFFERS).status_code for _ in range(5)} == {200}


def test_new_token_changes_the_limit_at_once(call: Call, token: MakeToken, service: Service) -> None:
    caller = call(token(name="n", requests_per_minute=1))
    assert [caller.get(OFFERS).status_code for _ in range(2)] == [200, 429]
    service.ledger.handle(RevokeToken("n"), OPERATOR)
    assert caller.get(OFFERS).status_code == 401
    token(name="n", requests_per_minute=3)
    assert caller.get(OFFERS).status_code == 200


def test_role_is_checked_before_the_limit(call: Call, token: MakeToken) -> None:
    caller = call(token(Role.PUBLISHER, requests_per_minute=1))
    assert [caller.get(path).status_code for path in (OFFERS, OFFERS, HISTORY)] == [200, 429, 403]
