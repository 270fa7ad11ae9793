"""Does a partner see at the console what is its own, and nothing else? And a publisher no single offer?"""

import re

import pytest

from api.console.rendering import COMPARE, OFFERS, RUNS
from api.service import Service
from domain.store.records.runs import RunFilter, select_runs
from domain.values import Role
from tests.support.calls.form_browser import Browsing
from tests.support.examples import PARTNER
from tests.support.harness import Call, Clock, MakeToken
from tests.support.histories import full_ledger
from tests.support.histories.full_ledger import OTHER, record_everything
from tests.support.histories.single_requests import merchant_key

OWN, FOREIGN = merchant_key("MO-1", "M-2", OTHER), merchant_key("MO-1")
LISTS = (OFFERS, RUNS, f"{COMPARE}?fromPosition=0")
MAIN = re.compile("<main.*</main>", re.DOTALL)


@pytest.fixture
def other(service: Service, clock: Clock, call: Call, token: MakeToken) -> Browsing:
    """The partner of whom there is least."""
    record_everything(service, clock)
    return Browsing(call, token(Role.PARTNER, OTHER))


@pytest.fixture
def auditor(other: Browsing, call: Call, token: MakeToken) -> Browsing:  # noqa: ARG001 - it comes after everything
    return Browsing(call, token(Role.AUDITOR))


def main(browser: Browsing, path: str) -> str:
    """What a page is about; not what was asked for, which is told elsewhere."""
    reply = browser.get(path)
    assert reply.status_code == 200
    found = MAIN.search(reply.text)
    assert found
    return found[0]


def run_of(service: Service, partner: str) -> str:
    with service.ledger.read() as tx:
        return f"{RUNS}/{next(run.run_id for _, run in select_runs(tx, RunFilter(partner=partner), 0, 1))}"


@pytest.mark.parametrize("path", LISTS)
def test_lists_have_what_is_the_partners_own(path: str, other: Browsing, auditor: Browsing) -> None:
    told = main(auditor, path)
    assert (PARTNER in told, OTHER in told) == (True, True)
    told = main(other, path)
    assert (PARTNER in told, OTHER in told) == (False, True)


@pytest.mark.parametrize("path", LISTS)
def test_lists_of_another_partner_are_empty(path: str, other: Browsing, auditor: Browsing) -> None:
    asked_for = f"{path}{'&' if '?' in path else '?'}partner={PARTNER}"
    assert "<tr" in main(auditor, asked_for)
    assert "<tr" not in main(other, asked_for)


def test_a_search_finds_what_is_the_partners_own(other: Browsing, auditor: Browsing) -> None:
    for q, own in (("two", 0), ("one", 1)):
        path = f"{OFFERS}?q={q}"
        assert main(auditor, path).count("<tr>") > 1 + own
        assert main(other, path).count("<tr>") == (1 + own if own else 0)


def test_what_is_another_partners_is_not_there(other: Browsing, auditor: Browsing, service: Service) -> None:
    paths = [f"{OFFERS}/{FOREIGN.offer_uid}", run_of(service, PARTNER)]
    assert [browser.get(path).status_code for browser in (auditor, other) for path in paths] == [200, 200, 404, 404]
    own = [f"{OFFERS}/{OWN.offer_uid}", run_of(service, OTHER)]
    assert [other.get(path).status_code for path in own] == [200, 200]


def test_the_same_is_true_of_the_past(other: Browsing, auditor: Browsing) -> None:
    path = f"{OFFERS}/{FOREIGN.offer_uid}?asOfPosition=60"
    assert [browser.get(path).status_code for browser in (auditor, other)] == [200, 404]


def test_a_publisher_finds_offers_and_sees_no_more_of_them(other: Browsing, call: Call, token: MakeToken) -> None:
    publisher = Browsing(call, token(Role.PUBLISHER))
    assert PARTNER in main(publisher, OFFERS)
    links = set(re.findall(r'href="([^"?]+)', main(publisher, OFFERS)))
    assert links == {"/console/desk"}
    closed = [f"{OFFERS}/{OWN.offer_uid}", RUNS, COMPARE, f"{OFFERS}/{OWN.offer_uid}/images/logo"]
    assert [publisher.get(path).status_code for path in closed] == [403] * 4
    assert [other.get(path).status_code for path in closed] == [200, 200, 200, 404]


def test_an_image_is_sent_to_whose_offer_it_is(
    other: Browsing, auditor: Browsing, call: Call, token: MakeToken
) -> None:
    deleted = full_ledger.MERCHANTS[1]
    path = f"{OFFERS}/{deleted.offer_uid}/images/logo"
    assert [browser.get(path).status_code for browser in (auditor, other)] == [200, 404]
    reply = Browsing(call, token()).get(path)
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "image/png")
    assert reply.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
