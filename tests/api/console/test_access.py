"""Rules for all pages of the console: roles, forms, past states, error pages and security headers."""

import asyncio
import os
import re
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote
from uuid import UUID

import pytest

from api.access.console_sessions import CONSOLE
from api.console.app import PAGE_ROUTERS, Static
from api.console.page_context import CSRF_FIELD
from api.console.rendering import OFFERS, SIGN_IN, SIGN_OUT, TOKENS
from api.console.time_travel import AS_OF
from api.service import Service
from domain.store.commit import current_head
from domain.values import Role
from tests.browser.pages import PAGES, PAGES_OF_ONE, as_past, path_of
from tests.support.calls.console_pages import links
from tests.support.calls.form_browser import FormBrowser
from tests.support.harness import Call, Clock, MakeToken
from tests.support.histories.full_ledger import record_everything

UNKNOWN = UUID(int=1)
FORMS = [
    route.path.format(offer_uid=UNKNOWN, run_id=UNKNOWN)
    for page in PAGE_ROUTERS
    for route in page.router.routes
    if "POST" in route.methods and route.path != SIGN_IN
]
"""The paths of all forms for signed-in callers."""
WRITES = [path for path in FORMS if path != SIGN_OUT]
STATIC = f"{CONSOLE}/static"


@pytest.fixture
def operator(call: Call, token: MakeToken) -> FormBrowser:
    return FormBrowser(call, token(Role.OPERATOR))


def position(service: Service) -> int:
    with service.ledger.read() as tx:
        return current_head(tx).position


# Forms


@pytest.mark.parametrize("path", FORMS)
def test_form_without_a_form_token_of_the_session_is_refused(
    path: str, operator: FormBrowser, call: Call, token: MakeToken, service: Service, subtests: pytest.Subtests
) -> None:
    own = operator.form_token()
    of_another_session = FormBrowser(call, token(Role.OPERATOR, name="another")).form_token()
    of_an_earlier_session = own
    operator.sign_in(token(Role.OPERATOR, name="third"))
    before = position(service)
    for sent in (None, "", of_another_session, of_an_earlier_session, f"{operator.form_token()}x", "\N{SNOWMAN}"):
        with subtests.test(sent):
            fields = {"name": "operator-None"} | ({} if sent is None else {CSRF_FIELD: sent})
            reply = operator.post(path, **fields)
            assert (reply.status_code, position(service)) == (403, before)
            assert "The form is not from a page of this session." in reply.text
    assert operator.submit(path).status_code != 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_form_of_another_site_is_refused(site: str, operator: FormBrowser, token: MakeToken, service: Service) -> None:
    fields = {CSRF_FIELD: operator.form_token(), "name": "operator-None", "token": token(Role.AUDITOR)}
    before = position(service)
    for path in (*FORMS, SIGN_IN):
        reply = operator.http.post(path, data=fields, headers={"Sec-Fetch-Site": site})
        assert (reply.status_code, "Set-Cookie" in reply.headers) == (403, False)
        assert "The form is from another site." in reply.text
    assert position(service) == before


@pytest.mark.parametrize("path", FORMS)
def test_form_without_a_session_redirects_to_sign_in(path: str, call: Call) -> None:
    reply = FormBrowser(call).post(path)
    assert (reply.status_code, reply.headers["Location"]) == (303, SIGN_IN)


@pytest.mark.parametrize("role", [Role.PARTNER, Role.PUBLISHER, Role.AUDITOR])
def test_only_operators_can_submit_forms(role: Role, call: Call, token: MakeToken) -> None:
    browser = FormBrowser(call, token(role))
    assert {path: browser.submit(path).status_code for path in WRITES} == dict.fromkeys(WRITES, 403)


@pytest.mark.parametrize("path", WRITES)
def test_form_in_a_past_state_is_refused(path: str, operator: FormBrowser, service: Service) -> None:
    before = position(service)
    reply = operator.submit(f"{path}?asOfPosition=1", name="operator-None")
    assert (reply.status_code, position(service)) == (409, before)
    assert "A past state cannot be changed." in reply.text


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"a=1", "text/plain", 415),
        (b'{"a": 1}', "application/json", 415),
        (b"a=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"\xff=1", "application/x-www-form-urlencoded", 422),
        (b"a=%ff", "application/x-www-form-urlencoded", 422),
        (b"&".join(b"a=1" for _ in range(101)), "application/x-www-form-urlencoded", 422),
    ],
)
def test_invalid_form_is_refused_on_a_page(
    operator: FormBrowser, content: bytes, content_type: str, status: int
) -> None:
    for path in (TOKENS, SIGN_IN):
        reply = operator.http.post(path, content=content, headers={"Content-Type": content_type})
        assert (reply.status_code, reply.headers["Content-Type"]) == (status, "text/html; charset=utf-8")


# Pages


def test_console_root_redirects_to_the_offers(operator: FormBrowser) -> None:
    for path in (CONSOLE, f"{CONSOLE}/"):
        reply = operator.get(path, asOfPosition=1)
        assert (reply.status_code, reply.headers["Location"]) == (303, f"{OFFERS}?asOfPosition=1")


REFUSED = {
    f"{CONSOLE}/quota": 403,
    f"{CONSOLE}/nothing": 404,
    f"{CONSOLE}/offers/": 404,
    f"{OFFERS}/{UNKNOWN}": 404,
    f"{OFFERS}/nothing": 404,
    f"{CONSOLE}/runs/{UNKNOWN}": 404,
    f"{CONSOLE}/partners/%00": 404,
    f"{OFFERS}?status=lost": 422,
    f"{OFFERS}?q=%00": 422,
    f"{OFFERS}?q=%ff": 422,
    f"{OFFERS}?q=a&q=b": 422,
    f"{OFFERS}?q={'x' * 600}": 422,
    f"{OFFERS}?cursor=x": 422,
    f"{OFFERS}?asOf=yesterday": 422,
    f"{OFFERS}?asOfPosition=-1": 422,
    f"{OFFERS}?asOfPosition=1&movedFrom=x": 422,
    f"{OFFERS}?asOfPosition=99999999999999999999": 422,
    f"{OFFERS}?asOfPosition=1&asOf=2026-11-22T12:30:00Z": 422,
    f"{CONSOLE}/compare?from=2026-11-22&to=2026-11-21": 422,
    f"{CONSOLE}/desk?customerId=C-1&offerUid=x&transactedAt=then": 422,
}


def test_problem_is_shown_on_a_page_with_the_menu(operator: FormBrowser, subtests: pytest.Subtests) -> None:
    for path, status in REFUSED.items():
        with subtests.test(path):
            reply = operator.get(path)
            assert (reply.status_code, reply.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
            assert "Sign out" in reply.text


def test_past_pages_keep_their_state_and_have_no_forms(
    service: Service, clock: Clock, call: Call, token: MakeToken, subtests: pytest.Subtests
) -> None:
    record_everything(service, clock)
    operator = FormBrowser(call, token(Role.OPERATOR))
    form_count = 0
    for path in [*PAGES.values(), *(path_of(path, service) for path in PAGES_OF_ONE.values())]:
        with subtests.test(path):
            form_count += len(write_forms(operator.get(path).text))
            past = operator.get(as_past(path, service)).text
            assert write_forms(past) == []
            lost = [link for link in links(past) if f"{STATIC}/" not in link and AS_OF not in link]
            assert [unquote(link) for link in lost] == [path], "only the link back to now"
    assert form_count > 0


def write_forms(page: str) -> list[str]:
    """Returns the paths of the forms that change data."""
    return [path for path in re.findall('<form[^>]*method="post"[^>]*action="([^"]+)"', page) if path != SIGN_OUT]


# Browsers


def test_security_policy_allows_only_files_of_this_server(
    operator: FormBrowser, call: Call, subtests: pytest.Subtests
) -> None:
    operator_replies = {
        path: operator.get(path) for path in (OFFERS, f"{CONSOLE}/quota", f"{CONSOLE}/nothing", CONSOLE)
    }
    public_replies = {
        path: FormBrowser(call).get(path) for path in (SIGN_IN, f"{STATIC}/icon.svg", f"{STATIC}/console.js")
    }
    refusals = {"refused": FormBrowser(call).sign_in("unknown"), "foreign": operator.post(TOKENS)}
    for name, reply in (operator_replies | public_replies | refusals).items():
        with subtests.test(name):
            policy = dict(part.strip().split(" ", 1) for part in reply.headers["Content-Security-Policy"].split(";"))
            assert (policy.pop("default-src"), policy.pop("base-uri")) == ("'none'", "'none'")
            assert policy.pop("frame-ancestors") == "'none'"
            assert set(policy.values()) == {"'self'"}
            assert {"script-src", "form-action"} <= set(policy)
            assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_pages_are_not_cached(operator: FormBrowser, call: Call) -> None:
    replies = [operator.get(OFFERS), operator.get(f"{CONSOLE}/nothing"), FormBrowser(call).get(SIGN_IN)]
    assert {reply.headers["Cache-Control"] for reply in replies} == {"no-store"}


def test_static_files_are_revalidated(call: Call) -> None:
    browser = FormBrowser(call)
    reply = browser.get(f"{STATIC}/console.css")
    assert reply.headers["Cache-Control"] == "no-cache"
    for tag, status in ((reply.headers["ETag"], HTTPStatus.NOT_MODIFIED), ('"other"', HTTPStatus.OK)):
        revalidation = browser.http.get(f"{STATIC}/console.css", headers={"If-None-Match": tag})
        assert (revalidation.status_code, revalidation.headers["ETag"]) == (status, reply.headers["ETag"])


def test_static_tag_changes_with_the_file_alone(tmp_path: Path) -> None:
    """Another version of the package may have a file of the same size and time."""
    tags = []
    for text in ("a{}", "b{}"):
        (tmp_path / "page.css").write_text(text)
        os.utime(tmp_path / "page.css", (0, 0))
        scope = {"type": "http", "method": "GET", "headers": [(b"if-modified-since", b"Thu, 01 Jan 1970 00:00:00 GMT")]}
        reply = asyncio.run(Static(directory=tmp_path).get_response("page.css", scope))
        assert reply.status_code == HTTPStatus.OK
        tags.append(reply.headers["ETag"])
    assert tags[0] != tags[1]


def test_static_path_serves_no_other_files(call: Call) -> None:
    paths = [
        f"{STATIC}/{name}" for name in ("", "nothing.css", "%2e%2e/console.py", "..%2fconsole.py", "%2fetc/passwd")
    ]
    assert {FormBrowser(call).get(path).status_code for path in paths} == {404}


@pytest.mark.parametrize("path", ["/console/sign-in", "/console/partners"])
@pytest.mark.parametrize("form", ["token=a&token=b", "token=a&token=a", "x=&token=a&x="])
def test_form_with_a_field_twice_is_refused(operator: FormBrowser, path: str, form: str) -> None:
    reply = operator.http.post(path, content=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (reply.status_code, "must be given once" in reply.text) == (422, True)
