"""What the pages tell, now."""

import re
from datetime import timedelta
from typing import Any

import pytest

from api.service import Service
from domain.access.partner import SetPartner
from domain.runs.run import Progress
from domain.values import Role
from tests.support.calls.console_pages import Looking, links
from tests.support.calls.merchants import PNG, limit, merchant_offer, put, uid_of
from tests.support.calls.publishers import activate, redeem
from tests.support.examples import KEY, batch, body, item
from tests.support.harness import OPERATOR, Call, Caller, Clock, MakeToken
from tests.support.histories.runs import accepted_batch

SETTINGS: dict[str, Any] = {
    "synchronize_per_day": 3,
    "insert_per_hour": 0,
    "rps": 10,
    "daily_quota": "auto",
    "missing_from_file": "delete",
    "redemption_window_days": 30,
}
"""Of a partner, as its form sends them."""


def send(partner: Caller, operation: str, *items: object) -> str:
    """Answers the run's id."""
    reply = partner.send(body(batch(operation, items)))
    assert reply.status_code in {200, 422}
    return str(reply.json()["data"]["runId"])


def test_the_inventory_counts_lists_and_searches(partner: Caller, operator: Looking) -> None:
    send(partner, "Synchronize", item("TP-1", headline="Open a jar"), item("TP-2", headline="Sail away"))
    send(partner, "Synchronize", item("TP-2", headline="Sail away"))
    assert "1 active 1 paused 0 deleted" in operator.at("/offers")
    assert "Open a jar" not in operator.at("/offers", q="sail")
    assert "Sail away" in operator.at("/offers", status="active")
    assert "No offer matches" in operator.at("/offers", q="nothing like it")


def test_pages_lead_to_the_next_and_keep_their_filters(partner: Caller, operator: Looking) -> None:
    send(partner, "Insert", *(item(f"TP-{number}") for number in range(60)))
    operator.at("/offers", channel="custom")
    (following,) = [link for link in links(operator.page) if "cursor=" in link]
    assert "channel=custom" in following
    assert "TP-59" in operator.at(following.removeprefix("/console"))
    assert "TP-0 " not in operator.at(following.removeprefix("/console"))


def test_an_offer_shows_each_change_with_who_why_and_the_fields(partner: Caller, operator: Looking) -> None:
    send(partner, "Insert", item(headline="Open a jar"))
    run = send(partner, "Insert", item(headline="Open two jars"))
    told = operator.at(f"/offers/{KEY.offer_uid}")
    assert "Open two jars" in told
    assert f"by partner-tidepool (custom) run {run[:8]}" in told
    assert "headline Open a jar Open two jars" in told
    assert f"/console/runs/{run}" in links(operator.page)


def test_long_histories_are_shown_from_their_end_and_go_back(partner: Caller, operator: Looking) -> None:
    for number in range(30):
        send(partner, "Insert", item(headline=f"Jar {number}"))
    newest = operator.at(f"/offers/{KEY.offer_uid}")
    assert "version 30," in newest
    assert "version 5," not in newest
    (older,) = [link for link in links(operator.page) if "until=" in link]
    oldest = operator.at(older.removeprefix("/console"))
    assert ("version 5," in oldest, "version 6," in oldest, "Newest changes" in oldest) == (True, False, True)


def test_however_large_the_contents_are_the_newest_change_is_shown_first(partner: Caller, operator: Looking) -> None:
    for number in range(3):
        send(partner, "Insert", item(headline=f"Jar {number}", large=str(number) * 5_000_000))
    newest = operator.at(f"/offers/{KEY.offer_uid}")
    assert ("version 3," in newest, "version 1," in newest) == (True, False)
    (older,) = [link for link in links(operator.page) if "until=" in link]
    assert "version 1," in operator.at(older.removeprefix("/console"))


def test_a_version_that_there_is_not_means_the_newest_one(partner: Caller, operator: Looking) -> None:
    send(partner, "Insert", item())
    assert "version 1," in operator.at(f"/offers/{KEY.offer_uid}", until=1_000)
    assert "Newest changes" not in operator.page


def test_an_inline_image_is_shown_by_the_ledger_itself(partner: Caller, service: Service, operator: Looking) -> None:
    limit(service)
    put(partner)
    told = operator.at(f"/offers/{uid_of()}")
    assert "logo, inline" in told
    assert "largeRectangle, at https://img.juniper.example" in told
    image = operator.http.get(f"/console/offers/{uid_of()}/images/logo")
    assert image.headers["Content-Type"] == "image/png"
    assert image.content.startswith(b"\x89PNG")
    assert "sandbox" in image.headers["Content-Security-Policy"]
    assert PNG not in operator.page


@pytest.mark.parametrize(
    "sent", ["data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=", "data:text/html;base64,PGI+", "nothing"]
)
def test_what_is_no_bitmap_is_never_sent_as_an_image(
    partner: Caller, service: Service, operator: Looking, sent: str
) -> None:
    limit(service)
    put(partner, merchant_offer(image=sent))
    assert "not an image that can be shown" in operator.at(f"/offers/{uid_of()}")
    assert operator.http.get(f"/console/offers/{uid_of()}/images/logo").status_code == 404


def test_windows_are_bars_with_the_take_down(
    partner: Caller, publisher: Caller, offer: str, clock: Clock, operator: Looking
) -> None:
    activate(publisher, offer)
    redeem(publisher, offer, clock.now)
    clock.move(days=1)
    partner.http.delete("/api/v1/partner/merchants/MER-310/offers/OFR-8841")
    told = operator.at(f"/offers/{offer}")
    assert "C-1 winding down" in told
    assert "12.50 USD (1 purchase)" in told
    assert 'class="takedown"' in operator.page
    assert 'class="bar-winding_down"' in operator.page


def test_a_partner_knows_its_customers_by_their_pseudonyms(
    publisher: Caller, offer: str, call: Call, service: Service
) -> None:
    activate(publisher, offer)
    told = Looking(call, "secret of partner-tidepool").at(f"/offers/{offer}")
    assert service.pseudonyms.of("tidepool", "C-1") in told
    assert "C-1 " not in told


def test_an_operator_schedules_a_flight(offer: str, operator: Looking) -> None:
    operator.at(f"/offers/{offer}")
    told = operator.send(f"/offers/{offer}/flights", startsAt="2026-12-01T00:00", redemptionWindowDays=30)
    assert "2026-12-01 00:00:00 UTC 30" in told
    refused = operator.send(f"/offers/{offer}/flights", 422, startsAt="2026-12-02T00:00", redemptionWindowDays=29)
    assert "redemptionWindowDays: must be a whole number from 30 to 45" in refused


def test_a_run_tells_its_items_and_the_difference_that_it_made(partner: Caller, operator: Looking) -> None:
    send(partner, "Synchronize", item("TP-1"), item("TP-2"))
    run = send(partner, "Synchronize", item("TP-1", headline="Other"), item("TP-3", dailyCap="10"))
    told = operator.at(f"/runs/{run}")
    assert "1 updated 1 paused 1 failed" in told
    assert "headline Open a jar Other" in told
    assert "dailyCap: must be an integer" in told
    assert "dailyCap" not in operator.at(f"/runs/{run}", outcome="paused")
    assert f"/console/runs/{run}" in links(operator.page + str(operator.at("/runs")) + operator.page)


def test_a_comparison_is_grouped_by_cause(partner: Caller, operator: Looking) -> None:
    first = send(partner, "Insert", item("TP-1"), item("TP-2"))
    second = send(partner, "Insert", item("TP-3"))
    told = operator.at("/compare", fromPosition=0)
    assert "3 created" in told
    assert told.index(f"Run {first[:8]}") < told.index("2 created") < told.index(f"Run {second[:8]}")
    assert "must not be before from" in operator.at("/compare", 422, **{"from": "2026-11-22", "to": "2026-11-21"})


def test_the_desk_gives_its_verdict_in_words(publisher: Caller, offer: str, clock: Clock, operator: Looking) -> None:
    activated = clock.now
    activate(publisher, offer)
    clock.move(days=3)

    def ask(customer: str, at: object, named: str = offer) -> str:
        return operator.at("/desk", customerId=customer, offerUid=named, transactedAt=str(at))

    inside = ask("C-1", "2026-11-24T00:00")
    assert "Yes: customer C-1 is owed the reward" in inside
    assert f"until {(activated + timedelta(days=45)).strftime('%Y-%m-%d')}" in inside
    assert "version 1" in inside
    assert "outside every redemption window" in ask("C-1", "2027-01-20T00:00")
    assert "had never activated this offer" in ask("C-2", "2026-11-24T00:00")
    assert "Yes: customer C-1" in ask("C-1", "2026-11-24T00:00", "OFR-8841")
    assert "There is no offer" in ask("C-1", "2026-11-24T00:00", "OFR-9999")


def test_a_partner_is_created_and_changed(operator: Looking, service: Service) -> None:
    operator.at("/partners")
    told = operator.send("/partners", name="harbor", **SETTINGS)
    assert "Saved." in told
    assert 'name="synchronize_per_day" min="0" max="1000000000" value="3"' in operator.page
    with service.ledger.read() as tx:
        newest = tx.execute("SELECT actor, source FROM commits ORDER BY first_position DESC LIMIT 1").fetchone()
    assert tuple(newest) == ("operator-None", "console")
    assert "name: must be 1 to 64 letters" in operator.send("/partners", 422, name="no spaces", **SETTINGS)
    assert "daily_quota: must be" in operator.send("/partners", 422, name="harbor", **SETTINGS | {"daily_quota": "x"})


def test_a_token_is_shown_once_and_ends_when_it_is_revoked(operator: Looking, call: Call) -> None:
    operator.at("/tokens")
    told = operator.send("/tokens", 200, name="harry", role="auditor", requests_per_minute=600)
    secret = told.partition("only its digest. ")[2].split()[0]
    assert call(secret).get("/api/v1/offers").status_code == 200
    assert secret not in operator.at("/tokens")
    assert "harry" in operator.send("/tokens/revoked", name="harry")
    assert call(secret).get("/api/v1/offers").status_code == 401


def test_the_form_for_a_new_partner_leaves_the_settings_of_known_ones_alone(
    operator: Looking, service: Service
) -> None:
    service.ledger.handle(SetPartner("harbor", rps=99), OPERATOR)
    operator.at("/partners")
    assert 'name="new" value="1"' in operator.page
    assert "There is such a partner already" in operator.send("/partners", 409, name="harbor", new="1", **SETTINGS)
    operator.at("/partners/harbor")
    assert 'name="rps" min="0" max="1000000000" value="99"' in operator.page
    operator.at("/partners")
    assert "Saved." in operator.send("/partners", name="ferry", new="1", **SETTINGS)


@pytest.mark.parametrize(
    ("changed", "status", "why"),
    [
        ({"name": ""}, 422, "name: must be 1 to 64 printable characters"),
        ({"role": "king"}, 422, "role: must be one of"),
        ({"partner": "tidepool"}, 422, "partner: must be given for the role partner, and for no other"),
        ({"expires_at": "2020-01-01T00:00"}, 422, "expires_at: must lie in the future"),
        ({"requests_per_minute": "-1"}, 422, "requests_per_minute: must be a whole number"),
        ({"role": "partner", "partner": "unheard"}, 409, "There is no partner named"),
        ({"name": "operator-None"}, 409, "is in use"),
    ],
)
def test_a_token_that_can_not_be_is_refused_beside_its_form(
    operator: Looking, changed: dict[str, str], status: int, why: str
) -> None:
    operator.at("/tokens")
    fields = {"name": "harry", "role": "auditor", "requests_per_minute": "600"} | changed
    assert why in operator.send("/tokens", status, **fields)
    assert "secret" not in operator.page.partition("<main")[2].partition("<form")[0].lower()


def test_a_partner_sees_what_is_left_of_its_quota(partner: Caller, call: Call, service: Service) -> None:
    limit(service)
    put(partner)
    assert "1 of 1,000" in Looking(call, "secret of partner-tidepool").at("/quota")


@pytest.mark.parametrize(
    ("role", "barred"),
    [
        (Role.PARTNER, ("/desk", "/partners", "/partners/tidepool", "/tokens")),
        (Role.PUBLISHER, ("/runs", "/compare", "/partners", "/tokens", "/quota", f"/offers/{KEY.offer_uid}")),
        (Role.AUDITOR, ("/partners", "/tokens", "/quota")),
        (Role.OPERATOR, ("/quota",)),
    ],
)
def test_each_role_sees_what_it_sees_by_the_api(
    call: Call, token: MakeToken, role: Role, barred: tuple[str, ...]
) -> None:
    looking = Looking(call, token(role))
    looking.at("/offers")
    menu = set(links(looking.page.partition("<nav")[2].partition("</nav")[0]))
    for path in barred:
        assert f"The role {role} may not do this" in looking.at(path, 403)
        assert f"/console{path}" not in menu
    for path in menu:
        looking.at(path.removeprefix("/console"))


def test_a_run_that_goes_on_tells_how_far_it_is(operator: Looking, service: Service) -> None:
    document = batch("Insert", [item()])
    run = service.runs.claim(accepted_batch(service.runs, document, body(document)).run_id)
    assert "It is being carried out" in operator.at(f"/runs/{run.run_id}")
    for progress, told in (
        (Progress(300, 1_000), "300 of 1,000 items judged"),
        (Progress(1_000, 1_000), "All 1,000 items are judged; what comes of it is being stored"),
    ):
        service.runs.renew(run, progress)
        assert told in operator.at(f"/runs/{run.run_id}")
        assert f'max="1000" value="{progress.done}"' in operator.page


def test_a_comparison_goes_on_page_by_page_between_the_same_two_moments(partner: Caller, operator: Looking) -> None:
    send(partner, "Insert", *(item(f"TP-{number}") for number in range(70)))
    assert "70 created" in operator.at("/compare", fromPosition=0)
    (following,) = [link for link in links(operator.page) if "cursor=" in link]
    send(partner, "Insert", item("TP-99"))
    rest = operator.at(following.removeprefix("/console"))
    assert ("TP-69" in rest, "TP-10 " in rest, "TP-99" in rest) == (True, False, False)


def test_what_is_too_much_to_be_counted_is_listed_all_the_same(
    partner: Caller, operator: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.console.pages.compare.MOST_COUNTED", 1)
    run = send(partner, "Insert", item("TP-1"), item("TP-2"))
    told = operator.at("/compare", fromPosition=0)
    assert "More than 1 events lie between" in told
    assert "TP-2" in told
    assert "TP-2" in operator.at(f"/runs/{run}")


def test_all_windows_can_be_seen_those_that_have_not_ended_first(
    publisher: Caller, offer: str, clock: Clock, operator: Looking
) -> None:
    for number in range(30):
        activate(publisher, offer, f"EARLY-{number:02}")
    clock.move(days=50)
    for number in range(30):
        activate(publisher, offer, f"LATE-{number:02}")
    first = operator.at(f"/offers/{offer}")
    assert (first.count("LATE-"), first.count("EARLY-")) == (60, 40), "each as a bar, and in the table"
    (more,) = [link for link in links(operator.page) if "windows=" in link]
    rest = operator.at(more.removeprefix("/console"))
    assert (rest.count("LATE-"), rest.count("EARLY-")) == (0, 20)
    assert "First windows" in rest
    assert "422 validation-error" in operator.at(f"/offers/{offer}", 422, windows="nonsense")


def test_ids_are_taken_as_they_are_with_their_spaces(publisher: Caller, offer: str, operator: Looking) -> None:
    activate(publisher, offer, " C-1 ")
    asked = {"offerUid": offer, "transactedAt": "2026-11-24T00:00"}
    assert "Yes:" in operator.at("/desk", customerId=" C-1 ", **asked)
    assert "No:" in operator.at("/desk", customerId="C-1", **asked)


def test_who_is_signed_in_is_not_made_somebody_else_by_a_link(operator: Looking) -> None:
    assert "You are signed in as operator-None" in operator.at("/sign-in")
    assert 'data-sign-in="at once"' not in operator.page


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PUT", "/console/offers", 405), ("POST", "/console/runs", 405), ("GET", "/console/static/nothing.css", 404)],
)
def test_what_no_page_takes_is_refused_on_a_page(operator: Looking, method: str, path: str, status: int) -> None:
    reply = operator.http.request(method, path)
    assert reply.status_code == status
    assert reply.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]


def test_the_form_of_a_comparison_keeps_what_was_compared_until_a_time_is_chosen(
    partner: Caller, operator: Looking
) -> None:
    send(partner, "Insert", item("TP-1"))
    operator.at("/compare", fromPosition=2, toPosition=3)
    kept = dict(
        re.findall(r'<input type="hidden" name="(\w+Position)" value="(\d+)">', operator.page.partition("<main")[2])
    )
    assert kept == {"fromPosition": "2", "toPosition": "3"}
    assert "From 2026-11-20 00:00:00 UTC" in operator.at("/compare", **kept, **{"from": "2026-11-20"})
