"""Every refusal and every failure is a problem document (contract, section 7; RFC 9457)."""

from uuid import UUID, uuid4

import httpx2
import pytest

from api.http.exception_handlers import problem_of
from api.http.paths import BATCH_PATH, run_path
from api.http.problem_schemas import ProblemReply
from api.http.problems import MEDIA_TYPE
from api.service import Service
from domain.store.errors import OutcomeUnknown
from domain.values import Role
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, MakeToken

OFFERS = "/api/v1/offers"
MEMBERS = {"type", "title", "status", "detail", "instance", "errors", "traceId"}
VENDOR_MEMBERS = {"responseId", "isSuccessful", "responseTitle", "responseType", "messages", "data"}
JSON = "application/json"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def assert_problem(reply: httpx2.Response, status: int) -> ProblemReply:
    assert reply.status_code == status
    assert reply.headers["content-type"] == MEDIA_TYPE
    vendor = VENDOR_MEMBERS if reply.request.url.path == BATCH_PATH else set()
    assert set(reply.json()) == MEMBERS | vendor
    problem = ProblemReply.model_validate(reply.json())
    assert (problem.status, problem.instance) == (status, reply.request.url.path)
    assert problem.type
    assert problem.title
    assert problem.detail
    return problem


REFUSED = [
    (400, Role.PARTNER, "POST", BATCH_PATH, JSON),
    (401, None, "GET", OFFERS, None),
    (401, None, "POST", BATCH_PATH, None),
    (403, Role.AUDITOR, "POST", BATCH_PATH, None),
    (403, Role.PUBLISHER, "GET", f"{OFFERS}/x", None),
    (404, None, "GET", "/nowhere", None),
    (404, None, "POST", "/api/v1/offers/x/y/z", JSON),
    (404, Role.AUDITOR, "GET", f"{OFFERS}/{uuid4()}", None),
    (405, None, "DELETE", OFFERS, None),
    (405, Role.PARTNER, "GET", BATCH_PATH, None),
    (415, Role.PARTNER, "POST", BATCH_PATH, "text/plain"),
    (422, Role.AUDITOR, "GET", f"{OFFERS}?limit=0", None),
]


def test_refusal_has_all_members_of_a_problem(call: Call, token: MakeToken, subtests: pytest.Subtests) -> None:
    callers = {role: call(token(role)) for role in Role} | {None: call(None)}
    for status, role, method, path, kind in REFUSED:
        with subtests.test(f"{status} {method} {path}"):
            headers = {"Content-Type": kind} if kind else {}
            problem = assert_problem(callers[role].http.request(method, path, headers=headers), status)
            assert [error.pointer for error in problem.errors] == (["/query/limit"] if status == 422 else [])


def test_too_many_requests_are_a_problem(call: Call, token: MakeToken) -> None:
    caller = call(token(requests_per_minute=1))
    caller.get(OFFERS)
    assert assert_problem(caller.get(OFFERS), 429).type == "too-many-requests"


def test_unbuilt_projection_is_503_with_the_rebuild_command(auditor: Caller, service: Service) -> None:
    with service.ledger.recorder.write() as tx:
        tx.execute("DROP TABLE redemption_windows")
    problem = assert_problem(auditor.get("/api/v1/redemption-windows", customerId="C-1"), 503)
    assert problem.type == "projection-not-built"
    assert problem.detail.endswith(" offer-ledger projections rebuild --only redemption_windows")


def test_wrong_method_is_405_with_the_allowed_methods(call: Call, subtests: pytest.Subtests) -> None:
    cases = [
        ("POST", OFFERS, "GET, HEAD"),
        ("PUT", BATCH_PATH, "POST"),
        ("DELETE", f"{OFFERS}/x/history", "GET, HEAD"),
        ("BREW", "/healthz", "GET, HEAD"),
        ("OPTIONS", "/api/v1/openapi.json", "GET, HEAD"),
    ]
    for method, path, allowed in cases:
        with subtests.test(f"{method} {path}"):
            reply = call(None).http.request(method, path)
            assert assert_problem(reply, 405).type == "method-not-allowed"
            assert reply.headers["Allow"] == allowed


def test_no_redirect_leads_to_another_host(call: Call, subtests: pytest.Subtests) -> None:
    for path in (f"{OFFERS}/", "/healthz/", f"{BATCH_PATH}/"):
        with subtests.test(path):
            reply = call(None).get(path, {"Host": "elsewhere.example"})
            assert not reply.headers.get("Location", "").startswith(("http:", "https:", "//"))


# Trace ids


def trace_id(caller: Caller, **headers: str) -> str:
    value: str = caller.get("/nowhere", headers).json()["traceId"]
    return value


def test_problem_has_the_trace_id_of_the_caller(call: Call) -> None:
    assert trace_id(call(None), traceparent=f"00-{TRACE_ID}-00f067aa0ba902b7-01") == TRACE_ID


def test_invalid_traceparent_is_replaced(call: Call, subtests: pytest.Subtests) -> None:
    caller = call(None)
    for traceparent in (
        "",
        TRACE_ID,
        f"00-{TRACE_ID}",
        f"00-{TRACE_ID.upper()}-00f067aa0ba902b7-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE_ID}0-00f067aa0ba902b7-01",
        f"00-{'<script>':x<32}-00f067aa0ba902b7-01",
    ):
        with subtests.test(traceparent):
            created = trace_id(caller, traceparent=traceparent)
            assert created not in {TRACE_ID, "0" * 32}
            assert len(bytes.fromhex(created)) == 16


def test_each_request_has_its_own_trace_id(call: Call) -> None:
    caller = call(None)
    assert trace_id(caller) != trace_id(caller)


# Confidential values


def test_problem_does_not_contain_sent_values(auditor: Caller, subtests: pytest.Subtests) -> None:
    for name in ("limit", "status", "channel", "redeemable", "cursor", "unknown"):
        with subtests.test(name):
            reply = auditor.get(OFFERS, None, **{name: "s3cret"})
            assert_problem(reply, 422)
            assert "s3cret" not in reply.text


def test_problem_does_not_contain_the_token(call: Call) -> None:
    assert "s3cret" not in call("s3cret").get(OFFERS).text


# Failures


def break_storage(service: Service, *tables: str) -> None:
    with service.ledger.recorder.write() as tx:
        for table in tables:
            tx.execute(f"DROP TABLE {table}")


def test_unknown_outcome_does_not_claim_that_nothing_changed() -> None:
    problem = problem_of(OutcomeUnknown("the connection is lost"))
    assert (problem.status, problem.kind, "nothing has been changed" in problem.detail) == (
        503,
        "outcome-unknown",
        False,
    )


@pytest.mark.parametrize("tables", [("head", "runs"), ("tokens",)], ids=", ".join)
def test_storage_failure_is_503_with_retry_after(
    partner: Caller, service: Service, subtests: pytest.Subtests, tables: tuple[str, ...]
) -> None:
    break_storage(service, *tables)
    for reply in (partner.get(OFFERS), partner.send(body(batch("Insert", [item()])))):
        with subtests.test(reply.request.url.path):
            assert assert_problem(reply, 503).errors == []
            assert int(reply.headers["Retry-After"]) > 0
            assert "no such table" not in reply.text


def test_run_stays_accepted_after_a_storage_failure(partner: Caller, service: Service) -> None:
    break_storage(service, "run_outcomes")
    reply = partner.send(body(batch("Insert", [item()])), Prefer="wait=1")
    assert (reply.status_code, reply.json()["responseType"]) == (202, "Accepted")
    assert reply.headers["Location"] == run_path(UUID(reply.json()["data"]["runId"]))
    assert "no such table" not in reply.text


def test_internal_error_is_a_problem_without_details(partner: Caller, service: Service) -> None:
    partner.send(body(batch("Insert", [item()])))
    with service.ledger.recorder.write() as tx:
        tx.execute("UPDATE events SET state = 'spoilt' WHERE topic = 'OfferCreated'")
    reply = partner.get(OFFERS)
    assert assert_problem(reply, 500).type == "internal-server-error"
    assert "spoilt" not in reply.text
    assert "Error" not in reply.json()["detail"]
