"""The limits on batches of a partner: by default one Synchronize per UTC day and one Insert per UTC hour."""

from datetime import UTC, datetime
from uuid import uuid4

import httpx2
import pytest

from api.http.problems import MEDIA_TYPE
from api.service import Service
from domain.access.partner import SetPartner
from tests.support.examples import PARTNER, batch, body, item
from tests.support.harness import OPERATOR, Call, Caller, Clock, MakeToken


def at(time: str, day: int) -> datetime:
    return datetime.fromisoformat(f"2026-12-{day:02}T{time}").replace(tzinfo=UTC)


def set_limits(service: Service, limit: int, partner: str = PARTNER) -> None:
    service.ledger.handle(SetPartner(partner, synchronize_per_day=limit, insert_per_hour=limit), OPERATOR)


@pytest.fixture
def limited(partner: Caller, service: Service) -> Caller:
    """A partner with one Synchronize per day and one Insert per hour."""
    set_limits(service, 1)
    return partner


def send(caller: Caller, operation: str, request_id: str | None = None) -> httpx2.Response:
    return caller.send(body(batch(operation, [item()], request_id)))


def send_broken(caller: Caller, operation: str) -> httpx2.Response:
    return caller.send(body(batch(operation, [item(name="")])))


def test_second_run_in_a_window_is_refused_until_the_next(
    limited: Caller, clock: Clock, subtests: pytest.Subtests
) -> None:
    cases = [
        ("Insert", at("12:00:00", day=1), at("12:00:00", day=1), 3600),
        ("Insert", at("12:00:00", day=2), at("12:59:59.999999", day=2), 1),
        ("Insert", at("12:59:59.999999", day=3), at("12:59:59.999999", day=3), 1),
        ("Insert", at("23:30:00", day=4), at("23:59:58.5", day=4), 2),
        ("Synchronize", at("00:00:00", day=5), at("00:00:00", day=5), 86400),
        ("Synchronize", at("00:00:00", day=6), at("23:59:59.999999", day=6), 1),
        ("Synchronize", at("12:30:00", day=7), at("18:00:00", day=7), 21600),
    ]
    for operation, first, second, seconds in cases:
        with subtests.test(f"{operation} {first} {second}"):
            clock.now = first
            assert send(limited, operation).status_code == 200
            clock.now = second
            reply = send(limited, operation)
            assert (reply.status_code, reply.headers["Retry-After"]) == (429, str(seconds))


def test_next_window_starts_at_the_exact_time(limited: Caller, clock: Clock, subtests: pytest.Subtests) -> None:
    cases = [
        ("Insert", at("12:59:59.999999", day=1), at("13:00:00", day=1)),
        ("Insert", at("23:59:59.999999", day=2), at("00:00:00", day=3)),
        ("Synchronize", at("23:59:59.999999", day=4), at("00:00:00", day=5)),
    ]
    for operation, first, second in cases:
        with subtests.test(f"{operation} {first}"):
            clock.now = first
            assert send(limited, operation).status_code == 200
            clock.now = second
            assert send(limited, operation).status_code == 200


def test_refusal_has_the_members_of_both_documents(limited: Caller) -> None:
    send(limited, "Insert")
    reply = send(limited, "Insert")
    document = reply.json()
    assert reply.headers["content-type"] == MEDIA_TYPE
    assert {"type", "title", "status", "detail", "instance", "errors", "traceId"} <= set(document)
    assert {"responseId", "responseTitle", "responseType"} <= set(document)
    assert (document["isSuccessful"], document["messages"], document["data"]) == (False, [document["detail"]], None)


def test_run_beyond_the_limit_changes_nothing(limited: Caller) -> None:
    send(limited, "Synchronize")
    before = limited.get("/api/v1/offers").json()
    assert limited.send(body(batch("Synchronize", [item("TP-2")]))).status_code == 429
    assert limited.get("/api/v1/offers").json() == before


def test_refused_run_may_be_repeated_with_its_id(limited: Caller, clock: Clock) -> None:
    send(limited, "Insert")
    request_id = str(uuid4())
    assert send(limited, "Insert", request_id).status_code == 429
    clock.move(hours=1)
    reply = send(limited, "Insert", request_id)
    assert (reply.status_code, "Idempotency-Replayed" in reply.headers) == (200, False)


@pytest.mark.parametrize(("operation", "ahead"), [("Insert", 2), ("Synchronize", 24)])
def test_run_accepted_ahead_of_the_clock_uses_no_present_slot(
    limited: Caller, clock: Clock, operation: str, ahead: int
) -> None:
    clock.move(hours=ahead)
    assert send(limited, operation).status_code == 200
    clock.move(hours=-ahead)
    assert [send(limited, operation).status_code for _ in range(2)] == [200, 429]
    clock.move(hours=ahead)
    assert send(limited, operation).status_code == 429


def test_limits_of_the_two_operations_are_independent(limited: Caller) -> None:
    replies = [send(limited, operation).status_code for operation in ("Insert", "Synchronize", "Insert", "Synchronize")]
    assert replies == [200, 200, 429, 429]


def test_every_partner_has_its_own_slots(limited: Caller, call: Call, token: MakeToken, service: Service) -> None:
    other = call(token(partner="harbor"))
    set_limits(service, 1, "harbor")
    assert [send(caller, "Insert").status_code for caller in (limited, other)] == [200, 200]


def test_all_tokens_of_a_partner_share_its_slots(
    limited: Caller, call: Call, service: Service, token: MakeToken
) -> None:
    other = call(token(name="another token"))
    set_limits(service, 1)
    assert [send(caller, "Insert").status_code for caller in (limited, other)] == [200, 429]


def test_changed_limit_applies_to_the_next_request(limited: Caller, service: Service) -> None:
    assert [send(limited, "Insert").status_code for _ in range(2)] == [200, 429]
    set_limits(service, 2)
    assert [send(limited, "Insert").status_code for _ in range(2)] == [200, 429]
    set_limits(service, 0)
    assert [send(limited, "Insert").status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("operation", ["Insert", "Synchronize"])
def test_batch_with_only_failed_items_uses_no_slot(limited: Caller, operation: str) -> None:
    assert send_broken(limited, operation).status_code == 422
    assert [send(limited, operation).status_code for _ in range(2)] == [200, 429]


# The order of checks


def test_replay_is_not_limited_and_uses_no_slot(limited: Caller, clock: Clock) -> None:
    request_id = str(uuid4())
    assert [send(limited, "Insert", request_id).status_code for _ in range(3)] == [200, 200, 200]
    clock.move(hours=1)
    assert send(limited, "Insert", request_id).status_code == 200
    assert [send(limited, "Insert").status_code for _ in range(2)] == [200, 429]


def test_invalid_envelope_is_reported_before_the_limit(limited: Caller) -> None:
    assert limited.send(body(batch("Insert", []))).status_code == 422
    assert send(limited, "Insert").status_code == 200
    assert limited.send(body(batch("Insert", []))).status_code == 422


def test_reused_id_is_reported_before_the_limit(limited: Caller) -> None:
    request_id = str(uuid4())
    send(limited, "Insert", request_id)
    assert limited.send(body(batch("Insert", [item("TP-2")], request_id))).status_code == 422


def test_items_are_validated_after_the_limit_is_checked(limited: Caller) -> None:
    send(limited, "Insert")
    assert send_broken(limited, "Insert").status_code == 429
