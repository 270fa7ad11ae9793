"""Visibility in the console: a partner sees only its own data, and a publisher sees no single offer."""

import re

import pytest

from api.console.rendering import COMPARE, OFFERS, RUNS
from api.service import Service
from domain.store.records.runs import RunFilter, select_runs
from domain.values import Role
from tests.support.calls.form_browser import FormBrowser
from tests.support.examples import PARTNER
from tests.support.harness import Call, Clock, MakeToken
from tests.support.histories import full_ledger
from tests.support.histories.full_ledger import OTHER, record_everything
from tests.support.histories.single_requests import merchant_key

OWN, FOREIGN = merchant_key("MO-1", "M-2", OTHER), merchant_key("MO-1")
LISTS = (OFFERS, RUNS, f"{COMPARE}?fromPosition=0")
MAIN = re.compile("<main.*</main>", re.DOTALL)


@pytest.fixture
def other(service: Service, clock: Clock, call: Call, token: MakeToken) -> FormBrowser:
    """A session of the partner OTHER, which has the least data."""
    record_everything(service, clock)
    return FormBrowser(call, token(Role.PARTNER, OTHER))


@pytest.fixture
def auditor(other: FormBrowser, call: Call, token: MakeToken) -> FormBrowser:
    return FormBrowser(call, token(Role.AUDITOR))


def main(browser: FormBrowser, path: str) -> str:
    """Returns the main element of a page, without the menu and the links that repeat the request."""
    reply = browser.get(path)
    assert reply.status_code == 200
    match = MAIN.search(reply.text)
    assert match
    return match[0]


def run_of(service: Service, partner: str) -> str:
    with service.ledger.read() as tx:
        return f"{RUNS}/{next(run.run_id for _, run in select_runs(tx, RunFilter(partner=partner), 0, 1))}"


@pytest.mark.parametrize("path", LISTS)
def test_lists_show_only_the_partners_own_data(path: str, other: FormBrowser, auditor: FormBrowser) -> None:
    text = main(auditor, path)
    assert (PARTNER in text, OTHER in text) == (True, True)
    text = main(other, path)
    assert (PARTNER in text, OTHER in text) == (False, True)


@pytest.mark.parametrize("path", LISTS)
def test_lists_of_another_partner_are_empty(path: str, other: FormBrowser, auditor: FormBrowser) -> None:
    filtered = f"{path}{'&' if '?' in path else '?'}partner={PARTNER}"
    assert "<tr" in main(auditor, filtered)
    assert "<tr" not in main(other, filtered)


def test_search_finds_only_the_partners_own_offers(other: FormBrowser, auditor: FormBrowser) -> None:
    for q, own in (("two", 0), ("one", 1)):
        path = f"{OFFERS}?q={q}"
        assert main(auditor, path).count("<tr>") > 1 + own
        assert main(other, path).count("<tr>") == (1 + own if own else 0)


def test_pages_of_another_partner_are_not_found(other: FormBrowser, auditor: FormBrowser, service: Service) -> None:
    paths = [f"{OFFERS}/{FOREIGN.offer_uid}", run_of(service, PARTNER)]
    assert [browser.get(path).status_code for browser in (auditor, other) for path in paths] == [200, 200, 404, 404]
    own = [f"{OFFERS}/{OWN.offer_uid}", run_of(service, OTHER)]
    assert [other.get(path).status_code for path in own] == [200, 200]


def test_past_pages_of_another_partner_are_not_found(other: FormBrowser, auditor: FormBrowser) -> None:
    path = f"{OFFERS}/{FOREIGN.offer_uid}?asOfPosition=60"
    assert [browser.get(path).status_code for browser in (auditor, other)] == [200, 404]


def test_publisher_sees_the_list_but_no_single_offer(other: FormBrowser, call: Call, token: MakeToken) -> None:
    publisher = FormBrowser(call, token(Role.PUBLISHER))
    assert PARTNER in main(publisher, OFFERS)
    links = set(re.findall(r'href="([^"?]+)', main(publisher, OFFERS)))
    assert links == {"/console/desk"}
    closed = [f"{OFFERS}/{OWN.offer_uid}", RUNS, COMPARE, f"{OFFERS}/{OWN.offer_uid}/images/logo"]
    assert [publisher.get(path).status_code for path in closed] == [403] * 4
    assert [other.get(path).status_code for path in closed] == [200, 200, 200, 404]


def test_image_is_sent_only_to_roles_that_read_the_offer(
    other: FormBrowser, auditor: FormBrowser, call: Call, token: MakeToken
) -> None:
    deleted = full_ledger.MERCHANTS[1]
    path = f"{OFFERS}/{deleted.offer_uid}/images/logo"
    assert [browser.get(path).status_code for browser in (auditor, other)] == [200, 404]
    reply = FormBrowser(call, token()).get(path)
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "image/png")
    assert reply.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
