"""Every page, as it was at a moment."""

import re

import pytest

from api.service import Service
from domain.access.partner import SetPartner
from domain.access.token import RevokeToken
from domain.values import Role, utc_text
from tests.api.console.test_pages import send
from tests.support.calls.console_pages import Looking, links
from tests.support.calls.merchants import delete, limit, put
from tests.support.calls.publishers import activate
from tests.support.examples import KEY, batch, body, item
from tests.support.harness import OPERATOR, Caller, Clock, MakeToken, run_ledger
from tests.support.histories.runs import PROBLEM, accepted_batch

PAGES = (
    "/offers",
    "/runs",
    "/compare",
    "/desk",
    "/partners",
    "/tokens",
    f"/offers/{KEY.offer_uid}",
    "/partners/tidepool",
)


@pytest.fixture
def before(partner: Caller, clock: Clock) -> str:
    """A moment at which TP-1 was there, in its first words, and nothing else."""
    send(partner, "Synchronize", item(headline="First words"))
    clock.move(minutes=1)
    moment = utc_text(clock.now)
    clock.move(hours=1)
    send(partner, "Synchronize", item("TP-1", headline="Second words"), item("TP-2"))
    clock.move(hours=1)
    return moment


@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_the_past_says_so_and_changes_nothing(operator: Looking, before: str, path: str) -> None:
    operator.at(path, asOf=before)
    assert "You are looking at the past" in operator.page
    assert re.findall('<form[^>]*method="post"[^>]*action="([^"]+)"', operator.page) == ["/console/sign-out"]


@pytest.mark.parametrize("path", PAGES)
def test_its_links_stay_there(operator: Looking, before: str, path: str) -> None:
    operator.at(path, asOf=before)
    leaving = [
        link
        for link in links(operator.page)
        if link.startswith("/console") and "/static/" not in link and "asOf" not in link
    ]
    assert leaving == [f"/console{path}"], "only the way back to now"


def test_an_offer_is_as_it_was(operator: Looking, before: str) -> None:
    then, now = operator.at(f"/offers/{KEY.offer_uid}", asOf=before), operator.at(f"/offers/{KEY.offer_uid}")
    assert ("First words" in then, "Second words" in then) == (True, False)
    assert "headline First words Second words" in now
    assert "1 active" in operator.at("/offers", asOf=before)
    assert "2 active" in operator.at("/offers")


def test_what_was_not_there_yet_is_not_found(operator: Looking, before: str) -> None:
    assert "no such offer at this moment" in operator.at(f"/offers/{KEY.offer_uid}", 404, asOfPosition=1)
    assert "/console/offers?asOfPosition=1" in links(operator.page)
    assert before


def test_the_newest_event_is_the_past_and_beyond_it_is_the_present(operator: Looking, before: str) -> None:
    assert before
    operator.at("/offers", asOfPosition=10_000)
    assert "You are looking at the past" not in operator.page
    operator.at("/offers", asOf="2999-01-01T00:00:00Z")
    assert "You are looking at the past" not in operator.page


@pytest.mark.parametrize(
    "given",
    [
        {"asOf": "yesterday"},
        {"asOfPosition": "-1"},
        {"asOfPosition": "1", "asOf": "2026-01-01T00:00:00Z"},
        {"asOf": "9" * 30},
    ],
)
def test_a_moment_that_is_none_is_refused_on_a_page(operator: Looking, given: dict[str, str]) -> None:
    assert "422 validation-error" in operator.at("/offers", 422, **given)


def test_a_run_had_not_ended_then(operator: Looking, service: Service, clock: Clock) -> None:
    document = batch("Insert", [item()])
    runs = run_ledger(service.ledger)
    run = runs.claim(accepted_batch(runs, document, body(document)).run_id)
    moment = utc_text(clock.now)
    assert "running" in operator.at(f"/runs/{run.run_id}")
    assert "data-follow" in operator.page
    clock.move(seconds=5)
    runs.fail(run, PROBLEM)
    clock.move(seconds=5)
    assert "failed" in operator.at("/runs")
    assert "data-follow" not in operator.page
    then = operator.at(f"/runs/{run.run_id}", asOf=moment)
    assert ("running" in then, "failed" in then) == (True, False)
    assert "data-follow" not in operator.page
    assert "no such run at this moment" in operator.at(f"/runs/{run.run_id}", 404, asOf="2026-11-22T00:00:00Z")


def test_settings_and_tokens_are_as_they_were(
    operator: Looking, service: Service, clock: Clock, token: MakeToken
) -> None:
    token(Role.AUDITOR, name="andy")
    moment = utc_text(clock.now)
    clock.move(hours=1)
    service.ledger.handle(SetPartner("tidepool", rps=99), OPERATOR)
    service.ledger.handle(SetPartner("harbor"), OPERATOR)
    service.ledger.handle(RevokeToken("andy"), OPERATOR)
    then, now = operator.at("/partners", asOf=moment), operator.at("/partners")
    assert ("harbor" in then, "99" in then) == (False, False)
    assert ("harbor" in now, "99" in now) == (True, True)
    assert "revoked" not in operator.at("/tokens", asOf=moment)
    assert "revoked" in operator.at("/tokens")


def test_what_a_customer_is_owed_is_as_it_was_known(
    operator: Looking, publisher: Caller, offer: str, clock: Clock
) -> None:
    moment = utc_text(clock.now)
    clock.move(days=1)
    assert activate(publisher, offer).status_code == 201
    assert "C-1 open" in operator.at(f"/offers/{offer}")
    assert "No customer has activated this offer by then" in operator.at(f"/offers/{offer}", asOf=moment)
    asked = {"customerId": "C-1", "offerUid": offer, "transactedAt": "2026-11-24T00:00"}
    assert "Yes:" in operator.at("/desk", **asked)
    assert "had never activated" in operator.at("/desk", **asked, asOf=moment)


def test_the_desk_finds_offers_by_their_partners_ids_as_they_were(operator: Looking, before: str) -> None:
    """TP-2 had not been sent, and TP-1 had its first words."""
    assert "Second words of tidepool" in operator.at("/desk", offerUid="TP-1")
    assert "First words of tidepool" in operator.at("/desk", offerUid="TP-1", asOf=before)
    assert "There is no offer TP-2 at this moment" in operator.at("/desk", offerUid="TP-2", asOf=before)


def test_at_every_position_the_inventory_is_what_the_api_tells(
    operator: Looking, partner: Caller, service: Service
) -> None:
    limit(service)
    send(partner, "Synchronize", item("TP-1"), item("TP-2"), item("TP-3"))
    send(partner, "Synchronize", item("TP-1", headline="Other"), item("TP-4"))
    put(partner)
    delete(partner)
    send(partner, "Insert", item("TP-2"), item("TP-3", headline="Back again"))
    newest = partner.get("/api/v1/offers").json()["position"]
    for position in range(newest):
        then = partner.get("/api/v1/offers", asOfPosition=position).json()["items"]
        counts = partner.get("/api/v1/offers/counts", asOfPosition=position).json()["counts"]
        told = operator.at("/offers", asOfPosition=position)
        rows = re.findall(
            r'/console/offers/([0-9a-f-]{36})\?.*?class="tag (\w+)".*?data-label="Version">(\d+)<',
            operator.page,
            re.DOTALL,
        )
        assert rows == [(offer["offerUid"], offer["status"], str(offer["version"])) for offer in then]
        assert " ".join(f"{count} {status}" for status, count in counts.items()) in told
