"""Pages of past states."""

import re
from datetime import timedelta

import pytest

from api.service import Service
from domain.access.partner import SetPartner
from domain.access.token import RevokeToken
from domain.values import Operation, Role, utc_text
from tests.api.console.test_pages import send
from tests.support.calls.console_pages import ConsoleReader, links, text_of
from tests.support.calls.merchants import delete, limit, put
from tests.support.calls.publishers import activate
from tests.support.examples import KEY, batch, body, item
from tests.support.harness import OPERATOR, Caller, Clock, MakeToken, run_batch, run_ledger
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
    """Returns a time at which only TP-1 existed, with its first headline."""
    send(partner, "Synchronize", item(headline="First headline"))
    clock.move(minutes=1)
    time = utc_text(clock.now)
    clock.move(hours=1)
    send(partner, "Synchronize", item("TP-1", headline="Second headline"), item("TP-2"))
    clock.move(hours=1)
    return time


@pytest.mark.parametrize("path", PAGES)
def test_past_page_shows_a_banner_and_has_no_forms(operator: ConsoleReader, before: str, path: str) -> None:
    operator.read(path, asOf=before)
    assert "You are viewing a past state" in operator.page
    assert re.findall('<form[^>]*method="post"[^>]*action="([^"]+)"', operator.page) == ["/console/sign-out"]


@pytest.mark.parametrize("path", PAGES)
def test_links_of_a_past_page_keep_its_state(operator: ConsoleReader, before: str, path: str) -> None:
    operator.read(path, asOf=before)
    leaving = [
        link
        for link in links(operator.page)
        if link.startswith("/console") and "/static/" not in link and "asOf" not in link
    ]
    assert leaving == [f"/console{path}"], "only the link back to now"


def test_past_offer_has_its_earlier_content(operator: ConsoleReader, before: str) -> None:
    past, now = operator.read(f"/offers/{KEY.offer_uid}", asOf=before), operator.read(f"/offers/{KEY.offer_uid}")
    assert ("First headline" in past, "Second headline" in past) == (True, False)
    assert "headline First headline Second headline" in now
    assert "1 active" in operator.read("/offers", asOf=before)
    assert "2 active" in operator.read("/offers")


def test_offer_is_not_found_before_its_creation(operator: ConsoleReader, before: str) -> None:
    assert "no such offer in this state" in operator.read(f"/offers/{KEY.offer_uid}", 404, asOfPosition=1)
    assert "/console/offers?asOfPosition=1" in links(operator.page)
    assert before


def test_time_up_to_five_minutes_ahead_is_now(operator: ConsoleReader, before: str, clock: Clock) -> None:
    assert before
    operator.read("/offers", asOf=utc_text(clock.now + timedelta(minutes=5)))
    assert "You are viewing a past state" not in operator.page


@pytest.mark.parametrize("path", PAGES)
def test_state_that_the_ledger_has_not_reached_is_refused(operator: ConsoleReader, before: str, path: str) -> None:
    assert before
    assert "asOfPosition: must not be after the newest position" in operator.read(path, 422, asOfPosition=10_000)
    assert "asOf: must not be over 5 minutes in the future" in operator.read(path, 422, asOf="2999-01-01T00:00:00Z")


def test_comparison_with_a_future_state_is_refused(operator: ConsoleReader, before: str) -> None:
    assert before
    assert "fromPosition: must not be after" in operator.read("/compare", 422, fromPosition=10_000)
    assert "to: must not be over 5 minutes" in operator.read("/compare", 422, to="2999-01-01T00:00:00Z")


def test_page_inside_a_commit_links_to_its_start_and_end(operator: ConsoleReader, auditor: Caller, before: str) -> None:
    assert before
    first, last = commit_of(auditor, "TP-2")
    words = f"inside a commit, with the positions {first} to {last}"
    assert words in banner(operator, first)
    assert {f"/console/offers?asOfPosition={at}" for at in (first - 1, last)} <= set(links(operator.page))
    assert words not in banner(operator, last)
    assert words not in banner(operator, first - 1)
    assert words in operator.read("/compare", fromPosition=0, toPosition=first)
    assert any(f"fromPosition=0&toPosition={last}" in link for link in links(operator.page))


def test_slider_moves_to_the_next_commit(operator: ConsoleReader, auditor: Caller, before: str) -> None:
    """The positions of a commit are never shown one by one."""
    assert before
    first, last = commit_of(auditor, "TP-2")
    newest = auditor.get("/api/v1/offers").json()["position"]
    operator.read("/offers")

    def moved(start: int, to: int | None) -> str:
        params = {"q": "x", "movedFrom": str(start)} | ({"asOfPosition": str(to)} if to else {})
        return str(operator.http.get("/console/offers", params=params).headers["Location"])

    assert moved(last, last - 1) == f"/console/offers?q=x&asOfPosition={first - 1}"
    assert moved(first - 1, first) == f"/console/offers?q=x&asOfPosition={last}"
    assert moved(0, last) == moved(newest, last) == f"/console/offers?q=x&asOfPosition={last}"
    assert moved(last, newest + 1) == moved(last, None) == "/console/offers?q=x"


def commit_of(auditor: Caller, external_id: str) -> tuple[int, int]:
    """Returns the first and last position of the commit of two events that created an offer."""
    offers = auditor.get("/api/v1/offers", externalId=external_id).json()["items"]
    events = auditor.get("/api/v1/audit/events", offerUid=offers[0]["offerUid"]).json()["items"]
    run = auditor.get("/api/v1/audit/events", runId=events[0]["runId"]).json()["items"]
    positions = [event["position"] for event in run]
    assert positions == [positions[0], positions[0] + 1]
    return positions[0], positions[1]


def banner(operator: ConsoleReader, position: int) -> str:
    operator.read("/offers", asOfPosition=position)
    return text_of(operator.page.replace("<main", "<div").replace('class="viewed-state"', "><main"))


@pytest.mark.parametrize(
    "params",
    [
        {"asOf": "yesterday"},
        {"asOfPosition": "-1"},
        {"asOfPosition": "1", "asOf": "2026-01-01T00:00:00Z"},
        {"asOf": "9" * 30},
    ],
)
def test_invalid_state_is_refused_on_a_page(operator: ConsoleReader, params: dict[str, str]) -> None:
    assert "422 validation-error" in operator.read("/offers", 422, **params)


def test_past_run_is_unfinished(operator: ConsoleReader, service: Service, clock: Clock) -> None:
    document = batch("Insert", [item()])
    runs = run_ledger(service.ledger)
    run = runs.claim(accepted_batch(runs, document, body(document)).run_id)
    time = utc_text(clock.now)
    assert "running" in operator.read(f"/runs/{run.run_id}")
    assert "data-follow" in operator.page
    clock.move(seconds=5)
    runs.fail(run, PROBLEM)
    clock.move(seconds=5)
    assert "failed" in operator.read("/runs")
    assert "data-follow" not in operator.page
    past = operator.read(f"/runs/{run.run_id}", asOf=time)
    assert ("running" in past, "failed" in past) == (True, False)
    assert "data-follow" not in operator.page
    assert "no such run in this state" in operator.read(f"/runs/{run.run_id}", 404, asOf="2026-11-22T00:00:00Z")


def test_run_of_a_clock_ahead_is_shown_unchanged(operator: ConsoleReader, service: Service, clock: Clock) -> None:
    clock.move(hours=2)
    run = run_batch(service.ledger, Operation.INSERT, [item()])
    clock.move(hours=-2)
    assert "completed" in operator.read("/runs")
    assert "completed" in operator.read(f"/runs/{run.run_id}")


def test_past_settings_and_tokens_are_shown(
    operator: ConsoleReader, service: Service, clock: Clock, token: MakeToken
) -> None:
    token(Role.AUDITOR, name="andy")
    time = utc_text(clock.now)
    clock.move(hours=1)
    service.ledger.handle(SetPartner("tidepool", rps=99), OPERATOR)
    service.ledger.handle(SetPartner("harbor"), OPERATOR)
    service.ledger.handle(RevokeToken("andy"), OPERATOR)
    past, now = operator.read("/partners", asOf=time), operator.read("/partners")
    assert ("harbor" in past, "99" in past) == (False, False)
    assert ("harbor" in now, "99" in now) == (True, True)
    assert "revoked" not in operator.read("/tokens", asOf=time)
    assert "revoked" in operator.read("/tokens")


def test_past_verdict_uses_only_what_was_recorded(
    operator: ConsoleReader, publisher: Caller, offer: str, clock: Clock
) -> None:
    time = utc_text(clock.now)
    clock.move(days=1)
    assert activate(publisher, offer).status_code == 201
    assert "C-1 open" in operator.read(f"/offers/{offer}")
    assert "No customer had activated this offer" in operator.read(f"/offers/{offer}", asOf=time)
    query = {"customerId": "C-1", "offerUid": offer, "transactedAt": "2026-11-24T00:00"}
    assert "Yes:" in operator.read("/desk", **query)
    assert "had not activated" in operator.read("/desk", **query, asOf=time)


def test_redemption_desk_finds_past_offers_by_partner_id(operator: ConsoleReader, before: str) -> None:
    """TP-2 did not exist yet, and TP-1 had its first headline."""
    assert "Second headline of tidepool" in operator.read("/desk", offerUid="TP-1")
    assert "First headline of tidepool" in operator.read("/desk", offerUid="TP-1", asOf=before)
    assert "There is no offer TP-2 in this state" in operator.read("/desk", offerUid="TP-2", asOf=before)


def test_offers_page_agrees_with_the_api_at_every_position(
    operator: ConsoleReader, partner: Caller, service: Service
) -> None:
    limit(service)
    send(partner, "Synchronize", item("TP-1"), item("TP-2"), item("TP-3"))
    send(partner, "Synchronize", item("TP-1", headline="Other"), item("TP-4"))
    put(partner)
    delete(partner)
    send(partner, "Insert", item("TP-2"), item("TP-3", headline="Back again"))
    newest = partner.get("/api/v1/offers").json()["position"]
    for position in range(newest):
        items = partner.get("/api/v1/offers", asOfPosition=position).json()["items"]
        counts = partner.get("/api/v1/offers/counts", asOfPosition=position).json()["counts"]
        text = operator.read("/offers", asOfPosition=position)
        rows = re.findall(
            r'/console/offers/([0-9a-f-]{36})\?.*?class="tag (\w+)".*?data-label="Version">(\d+)<',
            operator.page,
            re.DOTALL,
        )
        assert rows == [(offer["offerUid"], offer["status"], str(offer["version"])) for offer in items]
        assert " ".join(f"{count} {status}" for status, count in counts.items()) in text
