"""Tests of batches of activations: each line is answered like a single request."""

import gzip
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from api.parsing.json_body import MAX_BYTES
from api.redemption.activation_batch_routes import LINES_PER_TRANSACTION, MAX_BATCH_BYTES, MAX_LINES
from api.redemption.activation_routes import ACTIVATIONS_PATH
from api.service import Service
from domain.ledgers.ledger import OfferLedger
from domain.values import Role, utc_text
from projections.maintenance.verification import verify
from tests.support.calls.merchants import delete, limit, merchant_offer, put, uid_of
from tests.support.engine import only_sqlite
from tests.support.harness import Call, Caller, Clock, MakeToken
from tests.support.histories.runs import count_rows

PATH = f"{ACTIVATIONS_PATH}/batch"
LINES = "application/x-ndjson"
DELETED = "OFR-GONE"
INSTANT = timedelta(microseconds=1)


@pytest.fixture
def offer(partner: Caller, service: Service, clock: Clock) -> str:
    """The id of an offer that has been active for twenty days."""
    limit(service)
    assert put(partner).status_code == 202
    clock.move(days=20)
    return str(uid_of())


def line(offer: str, customer: str = "C-1", **members: Any) -> bytes:
    return json.dumps({"customerId": customer, "offerUid": offer, **members}).encode()


def send(caller: Caller, content: bytes, content_type: str | None = LINES, **headers: str) -> httpx2.Response:
    sent_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type is not None:
        sent_headers["Content-Type"] = content_type
    return caller.http.post(PATH, content=content, headers=sent_headers)


def document_of(reply: httpx2.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    document: dict[str, Any] = reply.json()
    return document


def send_lines(caller: Caller, *lines: bytes) -> list[dict[str, Any]]:
    """Sends a batch. Returns the outcomes of its lines."""
    items: list[dict[str, Any]] = document_of(send(caller, b"\n".join(lines)))["items"]
    return items


def send_single(caller: Caller, sent: bytes) -> httpx2.Response:
    return caller.http.post(ACTIVATIONS_PATH, content=sent, headers={"Content-Type": "application/json"})


def statuses(items: Sequence[dict[str, Any]]) -> list[tuple[int, str, int]]:
    return [(item["line"], item["outcome"], item["status"]) for item in items]


def counts(created: int = 0, existing: int = 0, refused: int = 0) -> dict[str, int]:
    return {"created": created, "existing": existing, "refused": refused}


def problem(reply: httpx2.Response) -> tuple[int, str, list[str]]:
    document = reply.json()
    return reply.status_code, document["type"], [error["pointer"] for error in document["errors"]]


def row_counts(ledger: OfferLedger) -> dict[str, int]:
    return {table: count_rows(ledger, table) for table in ("commits", "events", "streams", "redemption_windows")}


# Outcomes


def test_each_line_has_its_own_outcome(publisher: Caller, offer: str) -> None:
    reply = send(publisher, b"\n".join([line(offer), b"{}", line(offer)]))
    document = document_of(reply)
    first, refused, repeated = document["items"]
    activation = send_single(publisher, line(offer)).json()
    assert reply.headers["content-type"] == "application/json"
    assert document["counts"] == counts(created=1, existing=1, refused=1)
    assert first == {"line": 1, "outcome": "created", "status": 201, "activation": activation}
    assert repeated == {"line": 3, "outcome": "existing", "status": 200, "activation": activation}
    assert refused == {
        "line": 2,
        "outcome": "refused",
        "status": 422,
        "problem": {
            "type": "validation-error",
            "title": "Validation error",
            "status": 422,
            "detail": refused["problem"]["detail"],
            "errors": [
                {"pointer": "/customerId", "message": "required"},
                {"pointer": "/offerUid", "message": "required"},
            ],
        },
    }


def test_new_activation_has_the_terms_of_a_single_request(publisher: Caller, offer: str, clock: Clock) -> None:
    at = utc_text(clock.now - timedelta(days=1))
    (item,) = send_lines(publisher, line(offer, "C-1", activatedAt=at))
    single = send_single(publisher, line(offer, "C-2", activatedAt=at)).json()
    own = {"activationId": item["activation"]["activationId"], "customerId": "C-1"}
    assert item["activation"] == {**single, **own}
    assert item["activation"]["activationId"] != single["activationId"]
    assert publisher.get(f"{ACTIVATIONS_PATH}/{own['activationId']}").json()["state"] == "open"


def lines_without_new_activation(offer: str, deleted_offer: str, now: datetime) -> dict[str, tuple[bytes, int]]:
    """Returns lines of all kinds that do not create an activation, each with its status."""
    late, long_ago = now - timedelta(days=14), now - timedelta(days=14) - INSTANT
    return {
        "existing": (line(offer, "C-0"), 200),
        "existing, by another time in its window": (line(offer, "C-0", activatedAt=utc_text(now)), 200),
        "not JSON": (b"{", 400),
        "not a JSON value": (b'{"customerId": NaN}', 400),
        "not UTF-8": (b'{"customerId":"\xff"}', 400),
        "two objects on a line": (line(offer) + line(offer), 400),
        "unknown offer": (line(str(uuid4())), 404),
        "not active at that time": (line(deleted_offer, "C-9"), 409),
        "too late": (line(offer, "C-9", activatedAt=utc_text(long_ago)), 409),
        "before the offer was created": (line(deleted_offer, "C-9", activatedAt=utc_text(late)), 409),
        "an array": (b"[]", 422),
        "nested too deeply": (b"[" * 70 + b"]" * 70, 422),
        "a string": (b'"x"', 422),
        "null": (b"null", 422),
        "empty object": (b"{}", 422),
        "unknown member": (line(offer, unknown=1), 422),
        "a member twice": (line(offer)[:-1] + b',"customerId":"C-2"}', 422),
        "a lone surrogate": (b'{"customerId":"\\ud800","offerUid":"%b"}' % offer.encode(), 422),
        "no customer": (line(offer, ""), 422),
        "customer too long": (line(offer, "x" * 257), 422),
        "no uid": (line("x"), 422),
        "no time": (line(offer, activatedAt="yesterday"), 422),
        "time of another type": (line(offer, activatedAt=1), 422),
        "time in the future": (line(offer, "C-9", activatedAt=utc_text(now + timedelta(minutes=5) + INSTANT)), 422),
    }


def test_each_line_is_answered_like_a_single_request(
    publisher: Caller, partner: Caller, offer: str, clock: Clock, subtests: pytest.Subtests
) -> None:
    put(partner, offer=DELETED)
    clock.move(seconds=1)
    delete(partner, offer=DELETED)
    assert send_single(publisher, line(offer, "C-0")).status_code == 201
    clock.move(days=1)
    cases = lines_without_new_activation(offer, str(uid_of(offer=DELETED)), clock.now)
    items = send_lines(publisher, *(sent for sent, _ in cases.values()))
    assert [item["line"] for item in items] == list(range(1, len(cases) + 1))
    for item, (name, (sent, status)) in zip(items, cases.items(), strict=True):
        with subtests.test(name):
            single = send_single(publisher, sent)
            assert item["status"] == single.status_code == status
            if status == 200:
                assert item["activation"] == single.json()
            else:
                assert item["outcome"] == "refused"
                assert item["problem"] == {name: single.json()[name] for name in item["problem"]}


def test_line_may_be_as_large_as_a_single_body(publisher: Caller, offer: str) -> None:
    fits, exceeds = (line(offer).ljust(size) for size in (MAX_BYTES, MAX_BYTES + 1))
    items = send_lines(publisher, exceeds, fits)
    assert statuses(items) == [(1, "refused", 413), (2, "created", 201)]
    assert items[0]["problem"]["type"] == problem(send_single(publisher, exceeds))[1] == "content-too-large"
    assert send_single(publisher, fits).status_code == 200


def test_activation_before_deletion_is_accepted_as_late(
    publisher: Caller, partner: Caller, offer: str, clock: Clock
) -> None:
    deleted_at = clock.now
    delete(partner)
    clock.move(days=14)
    times = (deleted_at - INSTANT, deleted_at, clock.now)
    items = send_lines(publisher, *(line(offer, f"C-{n}", activatedAt=utc_text(at)) for n, at in enumerate(times)))
    assert statuses(items) == [(1, "refused", 409), (2, "refused", 409), (3, "refused", 409)]
    clock.now = deleted_at - INSTANT + timedelta(days=14)
    items = send_lines(publisher, *(line(offer, f"C-{n}", activatedAt=utc_text(at)) for n, at in enumerate(times[:2])))
    assert statuses(items) == [(1, "created", 201), (2, "refused", 409)]
    assert items[0]["activation"]["late"] is True


def test_each_line_gets_the_terms_of_its_own_time(publisher: Caller, partner: Caller, offer: str, clock: Clock) -> None:
    first = utc_text(clock.now)
    clock.move(days=1)
    put(partner, merchant_offer(offerName="Another"))
    items = send_lines(publisher, line(offer, "C-1"), line(offer, "C-2", activatedAt=first))
    assert [item["activation"]["offerVersion"] for item in items] == [2, 1]


# Lines


def test_line_numbers_count_blank_lines_too(publisher: Caller, offer: str, subtests: pytest.Subtests) -> None:
    bodies = {
        b"%b": [1],
        b"%b\n": [1],
        b"%b\n%b": [1, 2],
        b"%b\n%b\n": [1, 2],
        b"%b\r\n%b\r\n": [1, 2],
        b"%b\r\n%b": [1, 2],
        b"\n\n%b\n\n\n%b\n\n": [3, 6],
        b"\r\n%b\r\n\r\n%b\r\n\r\n": [2, 4],
        b" \t\n  %b  \n\t\n\t%b": [2, 4],
    }
    for content, numbers in bodies.items():
        with subtests.test(repr(content)):
            customers = [str(uuid4()) for _ in numbers]
            items = send_lines(publisher, content % tuple(line(offer, customer) for customer in customers))
            assert statuses(items) == [(number, "created", 201) for number in numbers]
            assert [item["activation"]["customerId"] for item in items] == customers


def test_escaped_line_break_does_not_end_a_line(publisher: Caller, offer: str) -> None:
    (item,) = send_lines(publisher, line(offer, "C-1\n\u2028\x85"))
    assert (item["status"], item["activation"]["customerId"]) == (201, "C-1\n\u2028\x85")
    (item,) = send_lines(publisher, f'{{"customerId":"C-2\u2028\x85","offerUid":"{offer}"}}'.encode())
    assert (item["status"], item["activation"]["customerId"]) == (201, "C-2\u2028\x85")


def test_object_spread_over_several_lines_is_invalid(publisher: Caller, offer: str) -> None:
    indented = json.dumps({"customerId": "C-1", "offerUid": offer}, indent=1).encode()
    assert [item["status"] for item in send_lines(publisher, indented)] == [400] * 4


# Repetition


def test_repeated_body_returns_the_existing_activations(
    publisher: Caller, offer: str, service: Service, clock: Clock
) -> None:
    body = b"\n".join(line(offer, f"C-{n}") for n in range(5))
    first = document_of(send(publisher, body))
    before = row_counts(service.ledger)
    clock.move(days=44)
    repeated = document_of(send(publisher, body))
    assert (first["counts"], repeated["counts"]) == (counts(created=5), counts(existing=5))
    assert [item["activation"] for item in repeated["items"]] == [item["activation"] for item in first["items"]]
    assert row_counts(service.ledger) == before
    clock.move(days=1)
    assert document_of(send(publisher, body))["counts"] == counts(created=5)


def test_repeated_line_returns_the_first_activation(publisher: Caller, offer: str, service: Service) -> None:
    items = send_lines(publisher, line(offer, "C-1"), line(offer, "C-2"), line(offer, "C-1"), line(offer, "C-1"))
    assert statuses(items) == [(1, "created", 201), (2, "created", 201), (3, "existing", 200), (4, "existing", 200)]
    assert items[0]["activation"] == items[2]["activation"] == items[3]["activation"]
    assert count_rows(service.ledger, "redemption_windows") == 2


def test_repeated_line_in_another_transaction_is_existing(publisher: Caller, offer: str) -> None:
    items = send_lines(publisher, line(offer), *[b"{}"] * LINES_PER_TRANSACTION, line(offer))
    assert (items[0]["outcome"], items[-1]["outcome"]) == ("created", "existing")
    assert items[0]["activation"] == items[-1]["activation"]


# Records


def test_each_activation_is_one_commit_and_refusals_record_nothing(
    publisher: Caller, offer: str, service: Service
) -> None:
    send_lines(publisher, line(offer, "C-0"))
    before = row_counts(service.ledger)
    send_lines(publisher, b"{", line(offer, "C-1"), line(str(uuid4())), line(offer, "C-0"), line(offer, "C-2"), b"{}")
    assert row_counts(service.ledger) == {table: count + 2 for table, count in before.items()}
    with service.ledger.recorder.read() as tx:
        commits = tx.execute(
            "SELECT actor, source, event_count FROM commits ORDER BY commit_id DESC LIMIT 2"
        ).fetchall()
    assert {tuple(row) for row in commits} == {(f"{Role.PUBLISHER}-None", "publisher", 1)}
    assert verify(service.ledger) == []


# Limits


def test_body_has_at_most_10000_lines(publisher: Caller, offer: str, service: Service) -> None:
    assert MAX_LINES == 10_000
    before = row_counts(service.ledger)
    refused = send(publisher, line(offer) + b"\nx" * MAX_LINES)
    assert problem(refused) == (422, "validation-error", [""])
    assert row_counts(service.ledger) == before
    document = document_of(send(publisher, line(offer) + b"\nx" * (MAX_LINES - 1) + b"\n\n \n"))
    assert document["counts"] == counts(created=1, refused=MAX_LINES - 1)
    assert [item["line"] for item in document["items"]] == list(range(1, MAX_LINES + 1))
    assert {item["status"] for item in document["items"][1:]} == {400}


def test_body_has_at_least_one_line(publisher: Caller) -> None:
    for content in (b"", b"\n", b" \r\n\t\n"):
        assert problem(send(publisher, content)) == (422, "validation-error", [""])


def test_body_has_at_most_16_mib(publisher: Caller, offer: str, service: Service) -> None:
    before = row_counts(service.ledger)
    # White space between two tokens has a bound of its own, so the rest is a line that is refused.
    fits = (line(offer) + b"\n" + b"0").ljust(MAX_BATCH_BYTES - 1, b"0") + b"\n"
    assert problem(send(publisher, fits + b" "))[:2] == (413, "content-too-large")
    assert row_counts(service.ledger) == before
    assert document_of(send(publisher, fits))["counts"] == counts(created=1, refused=1)


# Media types and encodings


def test_json_lines_have_several_media_types(publisher: Caller, offer: str, subtests: pytest.Subtests) -> None:
    for content_type in (
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "Application/X-NDJSON; charset=UTF-8",
        'application/x-ndjson;charset="utf-8"',
        "application/x-ndjson; version=1",
    ):
        with subtests.test(content_type):
            assert document_of(send(publisher, line(offer, content_type), content_type))["counts"] == counts(created=1)


def test_other_media_type_is_415(publisher: Caller, offer: str, service: Service, subtests: pytest.Subtests) -> None:
    before = row_counts(service.ledger)
    other_types = ("", "application/json", "text/plain", "multipart/form-data", "application/x-ndjson; charset=latin-1")
    for content_type in (None, *other_types):
        with subtests.test(str(content_type)):
            assert problem(send(publisher, line(offer), content_type))[:2] == (415, "unsupported-media-type")
    assert row_counts(service.ledger) == before


def test_encoded_body_is_415(publisher: Caller, offer: str, subtests: pytest.Subtests) -> None:
    for coding in ("gzip", "zstd", "br", "identity, gzip"):
        with subtests.test(coding):
            reply = send(publisher, gzip.compress(line(offer)), Content_Encoding=coding)
            assert problem(reply)[:2] == (415, "unsupported-media-type")
            assert reply.headers["Accept-Encoding"] == "identity"


def test_identity_encoding_is_accepted(publisher: Caller, offer: str) -> None:
    assert send(publisher, line(offer), Content_Encoding="identity").status_code == 200


def test_query_parameter_of_batch_is_422(publisher: Caller, offer: str) -> None:
    reply = publisher.http.post(f"{PATH}?dryRun=true", content=line(offer), headers={"Content-Type": LINES})
    assert problem(reply) == (422, "validation-error", ["/query/dryRun"])


# Roles


def test_only_publisher_may_send_batches(
    publisher: Caller, partner: Caller, auditor: Caller, call: Call, token: MakeToken, offer: str, service: Service
) -> None:
    before = row_counts(service.ledger)
    operator = call(token(Role.OPERATOR))
    callers = (call(None), partner, auditor, operator)
    assert [send(caller, line(offer)).status_code for caller in callers] == [401, 403, 403, 403]
    assert count_rows(service.ledger, "redemption_windows") == before["redemption_windows"]
    assert send(publisher, line(offer)).status_code == 200


def test_batch_counts_as_one_request_per_minute(call: Call, token: MakeToken, offer: str) -> None:
    slow = call(token(Role.PUBLISHER, name="slow", requests_per_minute=2))
    body = b"\n".join(line(offer, f"C-{n}") for n in range(10))
    assert [send(slow, body).status_code for _ in range(2)] == [200, 200]
    reply = send(slow, body)
    assert problem(reply)[:2] == (429, "too-many-requests")
    assert 1 <= int(reply.headers["Retry-After"]) <= 60


# Storage failures


def let_storage_fail(ledger: OfferLedger, customer: str) -> None:
    """Makes the write of this customer's activation fail."""
    with ledger.recorder.write() as tx:
        tx.execute(
            f"CREATE TRIGGER failure BEFORE INSERT ON redemption_windows WHEN NEW.customer_id = '{customer}'"
            " BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )


def repair_storage(ledger: OfferLedger) -> None:
    with ledger.recorder.write() as tx:
        tx.execute("DROP TRIGGER failure")


@only_sqlite
def test_storage_failure_keeps_recorded_lines_and_refuses_the_rest(
    publisher: Caller, offer: str, service: Service
) -> None:
    """Lines share a transaction in groups. One line of the second group fails, so all lines of that group fail."""
    count = 2 * LINES_PER_TRANSACTION + 100
    body = b"\n".join(line(offer, f"C-{n}") for n in range(count))
    let_storage_fail(service.ledger, f"C-{LINES_PER_TRANSACTION + 10}")
    first = document_of(send(publisher, body))
    assert first["counts"] == counts(created=LINES_PER_TRANSACTION, refused=count - LINES_PER_TRANSACTION)
    assert [item["line"] for item in first["items"]] == list(range(1, count + 1))
    outcomes = [(item["outcome"], item["status"]) for item in first["items"]]
    assert outcomes == [("created", 201)] * LINES_PER_TRANSACTION + [("refused", 503)] * (count - LINES_PER_TRANSACTION)
    assert {item["problem"]["type"] for item in first["items"][LINES_PER_TRANSACTION:]} == {"storage-unavailable"}
    assert count_rows(service.ledger, "redemption_windows") == LINES_PER_TRANSACTION

    repair_storage(service.ledger)
    repeated = document_of(send(publisher, body))
    assert repeated["counts"] == counts(created=count - LINES_PER_TRANSACTION, existing=LINES_PER_TRANSACTION)
    recorded = [item["activation"] for item in first["items"][:LINES_PER_TRANSACTION]]
    assert [item["activation"] for item in repeated["items"][:LINES_PER_TRANSACTION]] == recorded
    assert count_rows(service.ledger, "redemption_windows") == count
    assert verify(service.ledger) == []


@only_sqlite
def test_invalid_lines_keep_their_outcome_after_storage_failure(
    publisher: Caller, offer: str, service: Service
) -> None:
    let_storage_fail(service.ledger, "C-1")
    lines = [b"{}"] * LINES_PER_TRANSACTION + [line(offer, "C-0"), b"{", line(offer, "C-1"), b"[]"]
    items = send_lines(publisher, *lines)
    assert [item["status"] for item in items[LINES_PER_TRANSACTION:]] == [503, 400, 503, 422]
    assert count_rows(service.ledger, "redemption_windows") == 0


@only_sqlite
def test_storage_failure_before_the_first_record_is_503(publisher: Caller, offer: str, service: Service) -> None:
    before = row_counts(service.ledger)
    let_storage_fail(service.ledger, "C-1")
    body = b"\n".join(line(offer, f"C-{n}") for n in range(3))
    reply = send(publisher, body)
    assert problem(reply)[:2] == (503, "storage-unavailable")
    assert int(reply.headers["Retry-After"]) >= 1
    assert row_counts(service.ledger) == before
    repair_storage(service.ledger)
    assert document_of(send(publisher, body))["counts"] == counts(created=3)


def test_body_of_many_blank_lines_is_422(publisher: Caller) -> None:
    reply = send(publisher, b" \n" * 500_000)
    assert (reply.status_code, reply.json()["type"]) == (422, "validation-error")
