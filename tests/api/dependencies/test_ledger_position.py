"""Tests of the header Ledger-Position: a client can read its own writes by their position."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from api.http.ledger_position import LEDGER_POSITION
from api.redemption.redemption_routes import REDEMPTIONS_PATH
from api.service import Service
from domain.values import redemption_uid
from tests.support.calls.merchants import QUOTA_PATH, delete, put
from tests.support.calls.offers_files import record, send_file
from tests.support.calls.positions import event_paths, get_with_position, position_of, request_paths
from tests.support.calls.publishers import activate, post, problem, redeem
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, Clock, MakeToken

ACTIVATIONS = "/api/v1/activations"
Write = tuple[Callable[[], httpx2.Response], int]
"""A call and the expected status of its reply."""
PATHS_WITHOUT_POSITION = {"/", "/api/v1/audit/stream", QUOTA_PATH, "/healthz", "/readyz", "/problems/{type}"}


def newest(service: Service) -> int:
    return service.ledger.recorder.max_notification_id() or 0


def test_every_reply_to_a_partners_write_has_the_position(partner: Caller, offer: str, service: Service) -> None:
    header = body(batch("Insert", [item()]))
    writes: list[Write] = [
        (lambda: put(partner, offer="another"), 202),
        (lambda: put(partner), 202),  # no change
        (lambda: delete(partner), 202),
        (lambda: put(partner, b"{"), 400),  # counts toward the quota
        (lambda: partner.send(header), 200),
        (lambda: partner.send(header), 200),
        (lambda: partner.send(body(batch("Insert", [item(headline=None)]))), 422),  # the whole batch is refused
        (lambda: send_file(partner, record("OFR-1")), 200),
    ]
    for write, status in writes:
        reply = write()
        assert (reply.status_code, position_of(reply)) == (status, newest(service)), reply.text
    assert offer


def test_reply_to_unfinished_run_has_the_position_of_acceptance(partner: Caller, offer: str, service: Service) -> None:
    before = newest(service)
    reply = partner.send(body(batch("Insert", [item()])), Prefer="respond-async")
    assert (reply.status_code, position_of(reply)) == (202, before)
    assert offer


def test_every_reply_to_a_publishers_write_has_the_position(
    publisher: Caller, offer: str, service: Service, clock: Clock
) -> None:
    line = body({"customerId": "C-2", "offerUid": offer})
    lines = {"Content-Type": "application/x-ndjson"}
    reversals = f"{REDEMPTIONS_PATH}/{redemption_uid('T-1')}/reversals"
    starts = {"startsAt": "2026-12-01T00:00:00Z", "redemptionWindowDays": 40}
    writes: list[Write] = [
        (lambda: activate(publisher, offer), 201),
        (lambda: activate(publisher, offer), 200),
        (lambda: publisher.http.post(f"{ACTIVATIONS}/batch", content=line, headers=lines), 200),
        (lambda: post(publisher, f"/api/v1/offers/{offer}/flights", **starts), 201),
        (lambda: redeem(publisher, offer, clock.now), 201),
        (lambda: redeem(publisher, offer, clock.now, transactionId="T-2", customerId="C-9"), 409),  # recorded
        (lambda: post(publisher, reversals, reversalId="R-1", amount="1"), 201),
        (lambda: post(publisher, reversals, reversalId="R-2", amount="100"), 409),
    ]
    for write, status in writes:
        reply = write()
        assert (reply.status_code, position_of(reply)) == (status, newest(service)), reply.text


def test_every_read_returns_the_position_that_it_saw(auditor: Caller, busy: str, service: Service) -> None:
    for path in (*event_paths(auditor, busy), *request_paths(auditor)):
        reply = get_with_position(auditor, path)
        assert (reply.status_code, position_of(reply)) == (200, newest(service)), path
        repeated = get_with_position(auditor, path, position_of(reply))
        assert (repeated.status_code, repeated.content) == (200, reply.content), path


def test_stream_of_events_has_the_position(auditor: Caller, offer: str, service: Service) -> None:
    reply = get_with_position(auditor, "/api/v1/audit/events", Accept="text/csv")
    assert (reply.status_code, position_of(reply)) == (200, newest(service))
    assert offer


@pytest.mark.parametrize("header", ["", "x", "-1", "1.5", "1, 2", "1000000", "9" * 16])
def test_invalid_or_future_position_is_422_with_header_pointer(auditor: Caller, busy: str, header: str) -> None:
    for path in (*event_paths(auditor, busy), *request_paths(auditor)):
        reply = get_with_position(auditor, path, header)
        assert problem(reply) == (422, "validation-error", [f"/header/{LEDGER_POSITION}"]), path


def test_repeated_position_header_is_422(auditor: Caller, busy: str, service: Service) -> None:
    headers = [(LEDGER_POSITION, str(position)) for position in (1, newest(service))]
    for path in (*event_paths(auditor, busy), *request_paths(auditor)):
        reply = auditor.http.get(path, headers=headers)
        assert problem(reply) == (422, "validation-error", [f"/header/{LEDGER_POSITION}"]), path


def test_openapi_has_the_position_header_of_all_calls(call: Call, token: MakeToken) -> None:
    document: dict[str, Any] = call(token()).get("/api/v1/openapi.json").json()
    with_parameter, with_header = set(), set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if any(parameter["name"] == LEDGER_POSITION for parameter in operation.get("parameters", ())):
                with_parameter.add((method, path))
            if any(LEDGER_POSITION in answer.get("headers", {}) for answer in operation["responses"].values()):
                with_header.add((method, path))
    all_calls = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert with_header == {(method, path) for method, path in all_calls if path not in PATHS_WITHOUT_POSITION}
    assert with_parameter == {(method, path) for method, path in with_header if method == "get"}
