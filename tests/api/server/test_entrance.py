"""HEAD, the trace id of each reply, the log line of each request, targets in absolute form and ambiguous lengths."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from api.access.console_sessions import CONSOLE
from api.audit.stream_routes import SERVER_SENT_EVENTS
from api.dependencies.roles import ROLES_BY_CALL
from api.http.paths import BATCH_PATH
from api.http.problems import MEDIA_TYPE
from api.server.entrance import MAX_PARAMETERS, _first_parameters
from domain.values import Role
from tests.support.calls.merchants import limit, put
from tests.support.harness import Call, Caller, MakeToken, SendBytes

STREAM = "/api/v1/audit/stream"
EVENTS = "/api/v1/audit/events"
OFFERS = "/api/v1/offers"
OFFER = "/api/v1/partner/merchants/M-1/offers/O-1"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
VARYING = {"date", "trace-id"}

Headers = dict[str, str]


def headers_of(caller: Caller, method: str, path: str, headers: Headers | None = None) -> tuple[int, Headers]:
    """Sends a request, and reads no body. Returns the status and the headers that do not vary."""
    with caller.http.stream(method, path, headers=headers) as reply:
        if method == "HEAD":
            assert reply.read() == b""
        return reply.status_code, {name: value for name, value in reply.headers.items() if name not in VARYING}


# Parameters


@pytest.mark.parametrize("parameter", ["limit=1", "%", "a"])
def test_very_many_parameters_are_refused_like_a_few(auditor: Caller, partner: Caller, parameter: str) -> None:
    for caller, path in ((auditor, OFFERS), (auditor, STREAM), (partner, OFFER), (partner, "/api/v1/partner/quota")):
        method = "DELETE" if path == OFFER else "GET"
        few, many = (caller.http.request(method, f"{path}?" + "&".join([parameter] * count)) for count in (2, 5_000))
        assert many.status_code == few.status_code >= 400
        assert many.json()["errors"] == few.json()["errors"]


def test_parameters_beyond_the_bound_are_not_decoded() -> None:
    query = b"&".join([b"", *(b"%d" % number for number in range(10_000))])
    assert _first_parameters(query) == b"&".join(b"%d" % number for number in range(MAX_PARAMETERS + 1))


def test_empty_parameters_do_not_count(auditor: Caller) -> None:
    reply = auditor.http.get(f"{OFFERS}?{'&' * 10_000}limit=x")
    assert reply.json()["errors"][0]["pointer"] == "/query/limit"


# HEAD


def test_head_has_the_headers_of_get_everywhere(
    auditor: Caller, partner: Caller, busy: str, subtests: pytest.Subtests
) -> None:
    calls = [call.removeprefix("GET ") for call in ROLES_BY_CALL if call.startswith("GET ")]
    known = [path.replace("{offerUid}", busy) for path in calls]
    pages = [CONSOLE, f"{CONSOLE}/sign-in", f"{CONSOLE}/static/console.css", f"{CONSOLE}/static/none", f"{CONSOLE}/x"]
    for path in (*known, *pages, "/nowhere"):
        caller = partner if path.startswith("/api/v1/partner") else auditor
        with subtests.test(path):
            expected = headers_of(caller, "GET", path)
            assert headers_of(caller, "HEAD", path) == expected
            assert {"content-length", "transfer-encoding"} & expected[1].keys()


@pytest.mark.parametrize(
    ("path", "media_type"), [(STREAM, SERVER_SENT_EVENTS), (EVENTS, "application/x-ndjson"), (EVENTS, "text/csv")]
)
def test_head_of_a_stream_ends_at_once(auditor: Caller, busy: str, path: str, media_type: str) -> None:
    # One connection: the second request waits for the end of the first reply.
    for _ in range(2):
        status, headers = headers_of(auditor, "HEAD", path, {"Accept": media_type})
        assert (status, headers["content-type"].partition(";")[0]) == (200, media_type)
        assert "content-length" not in headers


def test_head_of_the_feed_ends_at_once(partner: Caller, busy: str) -> None:
    path = "/api/v1/partner/redemptions?date=2026-11-22"
    status, headers = headers_of(partner, "HEAD", path)
    assert (status, headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert (status, headers) == headers_of(partner, "GET", path)


def test_head_counts_as_a_request(call: Call, token: MakeToken) -> None:
    caller = call(token(Role.AUDITOR, requests_per_minute=1))
    assert [caller.http.head(OFFERS).status_code for _ in range(2)] == [200, 429]


def test_allow_names_all_methods_of_a_path(auditor: Caller, subtests: pytest.Subtests) -> None:
    cases = [
        ("DELETE", "/api/v1/offers/x/flights", "GET, HEAD, POST"),
        ("GET", OFFER, "DELETE, PUT"),
        ("HEAD", OFFER, "DELETE, PUT"),
        ("HEAD", BATCH_PATH, "POST"),
        ("TRACE", OFFERS, "GET, HEAD"),
        ("POST", f"{CONSOLE}/static/console.css", "GET, HEAD"),
        ("PUT", f"{CONSOLE}/sign-in", "GET, HEAD, POST"),
        ("POST", "/", "GET, HEAD"),
    ]
    for method, path, allowed in cases:
        with subtests.test(f"{method} {path}"):
            reply = auditor.http.request(method, path)
            assert (reply.status_code, reply.headers.get("Allow")) == (405, allowed)


# Trace ids and the log


def test_every_reply_has_its_trace_id(auditor: Caller, subtests: pytest.Subtests) -> None:
    for path in ("/healthz", "/", OFFERS, f"{CONSOLE}/sign-in", f"{CONSOLE}/static/console.css", "/nowhere"):
        with subtests.test(path):
            assert re.fullmatch("[0-9a-f]{32}", auditor.get(path).headers["Trace-Id"])
            sent = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}
            assert auditor.get(path, sent).headers.get_list("Trace-Id") == [TRACE_ID]


def test_refusal_has_one_trace_id_in_reply_and_log(
    auditor: Caller, logged: Callable[[str], str], subtests: pytest.Subtests
) -> None:
    token = "token=auditor-None"
    cases = [
        (
            "GET",
            f"{OFFERS}/C-SECRET?asOf=x",
            f"route={OFFERS}/{{offerUid}} status=422 {token} problem=validation-error",
        ),
        (
            "POST",
            "/api/v1/activations?customerId=C-SECRET",
            f"route=/api/v1/activations status=403 {token} problem=forbidden",
        ),
        ("GET", "/C-SECRET", "route=- status=404 token=- problem=not-found"),
        ("BREW", "/healthz", "route=/healthz status=405 token=- problem=method-not-allowed"),
    ]
    for method, path, expected in cases:
        with subtests.test(path):
            reply = auditor.http.request(method, path)
            line = logged(reply.headers["Trace-Id"])
            assert re.sub(r" ms=[\d.]+", "", line).startswith(
                f"method={method if method != 'BREW' else 'other'} {expected}"
            )
            assert reply.json()["traceId"] == reply.headers["Trace-Id"]
            assert "SECRET" not in line


def test_unauthorised_request_is_logged_without_a_token(call: Call, logged: Callable[[str], str]) -> None:
    reply = call("wrong").get(OFFERS)
    assert " status=401 " in logged(reply.headers["Trace-Id"])
    assert " token=- problem=unauthorized " in logged(reply.headers["Trace-Id"])


def test_fault_has_one_trace_id_in_reply_and_log(
    auditor: Caller, logged: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("api.offers.routes.offer_page", fail)
    reply = auditor.get(OFFERS)
    assert (reply.status_code, reply.json()["traceId"]) == (500, reply.headers["Trace-Id"])
    assert " status=500 " in logged(reply.headers["Trace-Id"])
    assert " problem=internal-server-error " in logged(reply.headers["Trace-Id"])


def test_log_line_has_no_ids_of_an_accepted_offer(partner: Caller, service: Any, logged: Callable[[str], str]) -> None:
    limit(service)
    reply = put(partner)
    line = logged(reply.headers["Trace-Id"])
    path = "/api/v1/partner/merchants/{external_merchant_id}/offers/{external_offer_id}"
    assert f"method=PUT route={path} status=202 " in line


def test_token_name_cannot_imitate_log_members(call: Call, token: MakeToken, logged: Callable[[str], str]) -> None:
    reply = call(token(Role.AUDITOR, name="x problem=none")).get(OFFERS, limit="0")
    assert ' token="x problem=none" problem=validation-error ' in logged(reply.headers["Trace-Id"])


# Requests as bytes


def request(target: str, token: str, more: str = "") -> bytes:
    return (
        f"GET {target} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n{more}Connection: close\r\n\r\n".encode()
    )


def test_target_in_absolute_form_is_answered_like_its_path(
    send_raw: SendBytes, token: MakeToken, logged: Callable[[str], str], subtests: pytest.Subtests
) -> None:
    secret = token(Role.AUDITOR)
    cases = [
        (f"http://h{OFFERS}?limit=1", OFFERS, 200),
        (f"HTTPS://elsewhere.example:99{OFFERS}", OFFERS, 200),
        (f"http://user@[::1]:80{OFFERS}", OFFERS, 200),
        (f"http://h{OFFERS}?limit=0", OFFERS, 422),
        (f"http://h{OFFERS}/http:%2F%2Fh", "-", 404),
        ("http://h", "/", 200),
        ("http://h?x=1", "/", 200),
        ("http://", "-", 404),
        ("ftp://h/healthz", "-", 404),
    ]
    for target, route, status in cases:
        with subtests.test(target):
            reply = send_raw(request(target, secret))
            assert reply.startswith(b"HTTP/1.1 %d " % status)
            found = re.search(rb"\r\ntrace-id: ([0-9a-f]{32})\r\n", reply)
            assert found
            assert f" route={route} status={status} " in logged(found[1].decode())


def test_ids_of_an_absolute_target_are_those_of_its_path(send_raw: SendBytes, partner: Caller, service: Any) -> None:
    limit(service)
    assert put(partner, merchant="M/1 é").status_code == 202
    sent = request("http://h/api/v1/offers?merchantId=M%2F1%20%C3%A9", "secret of partner-tidepool")
    assert b'"merchantId":"M/1 \xc3\xa9"' in send_raw(sent)


def test_page_of_an_absolute_target_returns_to_a_path(send_raw: SendBytes) -> None:
    reply = send_raw(request(f"http://evil.example{CONSOLE}/offers?status=active", "x"))
    assert b"\r\nlocation: /console/sign-in?next=%2Fconsole%2Foffers%3Fstatus%3Dactive\r\n" in reply


def test_absolute_targets_count_as_requests(send_raw: SendBytes, token: MakeToken) -> None:
    secret = token(Role.AUDITOR, requests_per_minute=1)
    statuses = [send_raw(request(f"http://h{n}{OFFERS}", secret))[9:12] for n in range(2)]
    assert statuses == [b"200", b"429"]


LENGTH, CHUNKED = "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"
SMUGGLED = "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"


def post(framing: str, version: str = "1.1") -> bytes:
    return f"POST {BATCH_PATH} HTTP/{version}\r\nHost: h\r\n{framing}\r\n{SMUGGLED}".encode()


def test_transfer_encoding_with_length_is_refused_and_closes(send_raw: SendBytes, subtests: pytest.Subtests) -> None:
    for framing in (LENGTH + CHUNKED, CHUNKED + LENGTH, LENGTH + CHUNKED.upper(), LENGTH + CHUNKED + LENGTH):
        with subtests.test(framing):
            head, _, body = send_raw(post(framing)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 ")
            assert f"content-type: {MEDIA_TYPE}".encode() in head
            assert b"connection: close" in head.lower()
            assert b'"type":"ambiguous-length"' in body
            assert b"HTTP/1.1" not in body


def test_other_ambiguous_length_is_refused_and_closes(send_raw: SendBytes, subtests: pytest.Subtests) -> None:
    cases = (
        LENGTH + "Transfer-Encoding: identity\r\n",
        LENGTH + "Transfer-Encoding: gzip, chunked\r\n",
        CHUNKED + CHUNKED + LENGTH,
        LENGTH + "Content-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
    )
    for framing in cases:
        with subtests.test(framing):
            reply = send_raw(post(framing))
            assert reply.startswith(b"HTTP/1.1 400 ")
            assert reply.count(b"HTTP/1.1") == 1


def test_transfer_encoding_in_http_1_0_is_refused(send_raw: SendBytes) -> None:
    reply = send_raw(post(CHUNKED, "1.0"))
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert b'"type":"ambiguous-length"' in reply
