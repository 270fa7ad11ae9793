"""A request names its token by a digest, however it spells the token. The turns at reading are counted by that digest."""

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response

from api.access.console_sessions import CONSOLE
from api.dependencies.authentication import digest_secret, named_token
from api.service import Service

SECRET = "a" * 43
DIGEST = digest_secret(SECRET)


def request(path: str, *headers: tuple[str, str]) -> Request:
    sent = [(name.lower().encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "method": "GET", "path": path, "headers": sent})


def session_cookie(service: Service) -> str:
    """Returns the cookie of a new session of the token."""
    response = Response()
    service.sessions.set_cookie(response, service.sessions.create(DIGEST, service.clock()), secure=False)
    return MutableHeaders(raw=response.raw_headers)["Set-Cookie"].partition(";")[0]


def test_all_spellings_of_a_token_name_the_same(service: Service) -> None:
    for spelling in ("ApiToken ", "apitoken ", "APITOKEN   ", "Bearer ", "bEARER  "):
        sent = request("/api/v1/offers", ("Authorization", spelling + SECRET + " "), ("Cookie", f"a={spelling}"))
        assert named_token(sent, service) == DIGEST


def test_all_sessions_of_a_token_name_the_same(service: Service) -> None:
    first, second = session_cookie(service), session_cookie(service)
    assert first != second
    for cookie in (first, second, f"a=b; {first}"):
        sent = request(f"{CONSOLE}/offers", ("Authorization", f"ApiToken {cookie}"), ("Cookie", cookie))
        assert named_token(sent, service) == DIGEST


def test_request_without_a_valid_header_names_no_token(service: Service) -> None:
    credentials = ("Authorization", f"Bearer {SECRET}")
    for headers in ((), (("Authorization", "Basic a"),), (credentials, credentials)):
        assert named_token(request("/api/v1/offers", *headers), service) is None
