"""What has been written is found again by its position, wherever it is read. (README, "On PostgreSQL".)"""

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
"""And how it is answered."""
NEITHER_READ_NOR_WRITTEN = {"/api/v1/audit/stream", QUOTA_PATH}


def newest(service: Service) -> int:
    return service.ledger.recorder.max_notification_id() or 0


def test_every_answer_to_a_partner_who_writes_tells_the_position(partner: Caller, offer: str, service: Service) -> None:
    sent = body(batch("Insert", [item()]))
    writes: list[Write] = [
        (lambda: put(partner, offer="another"), 202),
        (lambda: put(partner), 202),  # it is so already
        (lambda: delete(partner), 202),
        (lambda: put(partner, b"{"), 400),  # counts for the quota
        (lambda: partner.send(sent), 200),
        (lambda: partner.send(sent), 200),
        (lambda: partner.send(body(batch("Insert", [item(headline=None)]))), 422),  # all of it
        (lambda: send_file(partner, record("OFR-1")), 200),
    ]
    for write, status in writes:
        reply = write()
        assert (reply.status_code, position_of(reply)) == (status, newest(service)), reply.text
    assert offer


def test_a_run_that_is_not_finished_tells_the_position_at_which_it_was_accepted(
    partner: Caller, offer: str, service: Service
) -> None:
    before = newest(service)
    reply = partner.send(body(batch("Insert", [item()])), Prefer="respond-async")
    assert (reply.status_code, position_of(reply)) == (202, before)
    assert offer


def test_every_answer_to_a_publisher_who_writes_tells_the_position(
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


def test_every_read_tells_the_position_that_it_has_seen(auditor: Caller, busy: str, service: Service) -> None:
    for path in (*event_paths(auditor, busy), *request_paths(auditor)):
        reply = get_with_position(auditor, path)
        assert (reply.status_code, position_of(reply)) == (200, newest(service)), path
        again = get_with_position(auditor, path, position_of(reply))
        assert (again.status_code, again.content) == (200, reply.content), path


def test_a_long_answer_tells_the_position_too(auditor: Caller, offer: str, service: Service) -> None:
    reply = get_with_position(auditor, "/api/v1/audit/events", Accept="text/csv")
    assert (reply.status_code, position_of(reply)) == (200, newest(service))
    assert offer


@pytest.mark.parametrize("sent", ["", "x", "-1", "1.5", "1, 2", "1000000", "9" * 16])
def test_a_position_that_is_none_or_lies_ahead_is_422_and_named(auditor: Caller, busy: str, sent: str) -> None:
    for path in (*event_paths(auditor, busy), *request_paths(auditor)):
        reply = get_with_position(auditor, path, sent)
        assert problem(reply) == (422, "validation-error", [f"/header/{LEDGER_POSITION}"]), path


def test_two_positions_are_none(auditor: Caller, busy: str, service: Service) -> None:
    told = [(LEDGER_POSITION, str(position)) for position in (1, newest(service))]
    for path in (*event_paths(auditor, busy), *request_paths(auditor)):
        reply = auditor.http.get(path, headers=told)
        assert problem(reply) == (422, "validation-error", [f"/header/{LEDGER_POSITION}"]), path


def test_the_description_has_the_header_with_all_that_reads_and_all_that_answers(call: Call, token: MakeToken) -> None:
    document: dict[str, Any] = call(token()).get("/api/v1/openapi.json").json()
    taking, telling = set(), set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if any(parameter["name"] == LEDGER_POSITION for parameter in operation.get("parameters", ())):
                taking.add((method, path))
            if any(LEDGER_POSITION in answer.get("headers", {}) for answer in operation["responses"].values()):
                telling.add((method, path))
    all_calls = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert telling == {one for one in all_calls if one[1] not in NEITHER_READ_NOR_WRITTEN}
    assert taking == {one for one in telling if one[0] == "get"}
