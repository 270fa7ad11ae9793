"""Pages of the present state, and their forms."""

import re
from datetime import timedelta
from typing import Any

import pytest

from api.service import Service
from domain.access.partner import SetPartner
from domain.runs.run import Progress
from domain.values import Role
from tests.support.calls.console_pages import ConsoleReader, links
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
"""The fields of the form with the settings of a partner."""


def send(partner: Caller, operation: str, *items: object) -> str:
    """Sends a batch and returns the id of its run."""
    reply = partner.send(body(batch(operation, items)))
    assert reply.status_code in {200, 422}
    return str(reply.json()["data"]["runId"])


def test_offers_page_counts_lists_and_searches(partner: Caller, operator: ConsoleReader) -> None:
    send(partner, "Synchronize", item("TP-1", headline="Open a jar"), item("TP-2", headline="Sail away"))
    send(partner, "Synchronize", item("TP-2", headline="Sail away"))
    assert "1 active 1 paused 0 deleted" in operator.read("/offers")
    assert "Open a jar" not in operator.read("/offers", q="sail")
    assert "Sail away" in operator.read("/offers", status="active")
    assert "No offers match" in operator.read("/offers", q="nothing like it")


def test_next_page_link_keeps_the_filters(partner: Caller, operator: ConsoleReader) -> None:
    send(partner, "Insert", *(item(f"TP-{number}") for number in range(60)))
    operator.read("/offers", channel="custom")
    (next_page,) = [link for link in links(operator.page) if "cursor=" in link]
    assert "channel=custom" in next_page
    assert "TP-59" in operator.read(next_page.removeprefix("/console"))
    assert "TP-0 " not in operator.read(next_page.removeprefix("/console"))


def test_offer_history_shows_actor_cause_and_changed_fields(partner: Caller, operator: ConsoleReader) -> None:
    send(partner, "Insert", item(headline="Open a jar"))
    run = send(partner, "Insert", item(headline="Open two jars"))
    text = operator.read(f"/offers/{KEY.offer_uid}")
    assert "Open two jars" in text
    assert f"by partner-tidepool (custom) run {run[:8]}" in text
    assert "headline Open a jar Open two jars" in text
    assert f"/console/runs/{run}" in links(operator.page)


def test_long_history_starts_with_the_newest_changes(partner: Caller, operator: ConsoleReader) -> None:
    for number in range(30):
        send(partner, "Insert", item(headline=f"Jar {number}"))
    newest = operator.read(f"/offers/{KEY.offer_uid}")
    assert "version 30," in newest
    assert "version 5," not in newest
    (older,) = [link for link in links(operator.page) if "until=" in link]
    oldest = operator.read(older.removeprefix("/console"))
    assert ("version 5," in oldest, "version 6," in oldest, "Newest changes" in oldest) == (True, False, True)


def test_history_of_large_contents_starts_with_the_newest_change(partner: Caller, operator: ConsoleReader) -> None:
    for number in range(3):
        send(partner, "Insert", item(headline=f"Jar {number}", large=str(number) * 1_500_000))
    newest = operator.read(f"/offers/{KEY.offer_uid}")
    assert ("version 3," in newest, "version 1," in newest) == (True, False)
    (older,) = [link for link in links(operator.page) if "until=" in link]
    assert "version 1," in operator.read(older.removeprefix("/console"))


def test_unknown_version_means_the_newest_one(partner: Caller, operator: ConsoleReader) -> None:
    send(partner, "Insert", item())
    assert "version 1," in operator.read(f"/offers/{KEY.offer_uid}", until=1_000)
    assert "Newest changes" not in operator.page


def test_console_sends_inline_images(partner: Caller, service: Service, operator: ConsoleReader) -> None:
    limit(service)
    put(partner)
    text = operator.read(f"/offers/{uid_of()}")
    assert "logo, inline" in text
    assert "largeRectangle, at https://img.juniper.example" in text
    image = operator.http.get(f"/console/offers/{uid_of()}/images/logo")
    assert image.headers["Content-Type"] == "image/png"
    assert image.content.startswith(b"\x89PNG")
    assert "sandbox" in image.headers["Content-Security-Policy"]
    assert PNG not in operator.page


@pytest.mark.parametrize(
    "sent", ["data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=", "data:text/html;base64,PGI+", "nothing"]
)
def test_data_that_is_no_bitmap_is_never_sent(
    partner: Caller, service: Service, operator: ConsoleReader, sent: str
) -> None:
    limit(service)
    put(partner, merchant_offer(image=sent))
    assert "not a supported image type" in operator.read(f"/offers/{uid_of()}")
    assert operator.http.get(f"/console/offers/{uid_of()}/images/logo").status_code == 404


def test_windows_chart_marks_the_deletion(
    partner: Caller, publisher: Caller, offer: str, clock: Clock, operator: ConsoleReader
) -> None:
    activate(publisher, offer)
    redeem(publisher, offer, clock.now)
    clock.move(days=1)
    partner.http.delete("/api/v1/partner/merchants/MER-310/offers/OFR-8841")
    text = operator.read(f"/offers/{offer}")
    assert "C-1 winding down" in text
    assert "12.50 USD (1 purchase)" in text
    assert 'class="takedown"' in operator.page
    assert 'class="bar-winding_down"' in operator.page


def test_partner_sees_pseudonyms_of_customers(publisher: Caller, offer: str, call: Call, service: Service) -> None:
    activate(publisher, offer)
    text = ConsoleReader(call, "secret of partner-tidepool").read(f"/offers/{offer}")
    assert service.pseudonyms.of("tidepool", "C-1") in text
    assert "C-1 " not in text


def test_operator_schedules_a_flight(offer: str, operator: ConsoleReader) -> None:
    operator.read(f"/offers/{offer}")
    text = operator.send_form(f"/offers/{offer}/flights", startsAt="2026-12-01T00:00", redemptionWindowDays=30)
    assert "2026-12-01 00:00:00 UTC 30" in text
    refused = operator.send_form(f"/offers/{offer}/flights", 422, startsAt="2026-12-02T00:00", redemptionWindowDays=29)
    assert "redemptionWindowDays: must be a whole number from 30 to 45" in refused


def test_run_page_shows_items_and_changes(partner: Caller, operator: ConsoleReader) -> None:
    send(partner, "Synchronize", item("TP-1"), item("TP-2"))
    run = send(partner, "Synchronize", item("TP-1", headline="Other"), item("TP-3", dailyCap="ten"))
    text = operator.read(f"/runs/{run}")
    assert "1 updated 1 paused 1 failed" in text
    assert "headline Open a jar Other" in text
    assert "dailyCap: must be an integer" in text
    assert "dailyCap" not in operator.read(f"/runs/{run}", outcome="paused")
    assert f"/console/runs/{run}" in links(operator.page + str(operator.read("/runs")) + operator.page)


def test_comparison_groups_changes_by_cause(partner: Caller, operator: ConsoleReader) -> None:
    first = send(partner, "Insert", item("TP-1"), item("TP-2"))
    second = send(partner, "Insert", item("TP-3"))
    text = operator.read("/compare", fromPosition=0)
    assert "3 created" in text
    assert text.index(f"Run {first[:8]}") < text.index("2 created") < text.index(f"Run {second[:8]}")
    assert "must not be before from" in operator.read("/compare", 422, **{"from": "2026-11-22", "to": "2026-11-21"})


def test_comparison_names_the_run_of_each_change(partner: Caller, operator: ConsoleReader) -> None:
    first = send(partner, "Synchronize", item("TP-1"), item("TP-2"))
    second = send(partner, "Synchronize", item("TP-1", headline="Other"))
    text = operator.read("/compare", fromPosition=0)
    _, of_first, of_second = re.split(f"Run (?={first[:8]}|{second[:8]})", text)
    assert "2 created created TP-1" in of_first
    assert "headline Open a jar" in of_first
    assert "paused TP-2" not in of_first
    assert "1 updated , 1 paused" in of_second
    assert "headline Open a jar Other" in of_second
    assert "paused TP-2 of tidepool: absent → paused, version 2 1 field of TP-2" in of_second
    assert "status active paused" in of_second
    paused = operator.read("/compare", fromPosition=0, kind="paused")
    assert "2 created 1 paused" in paused
    assert [name in paused for name in ("TP-1", "TP-2")] == [False, True]
    assert "No offers were deleted between these two states." in operator.read(
        "/compare", fromPosition=0, kind="deleted"
    )
    assert "kind: must be one of created" in operator.read("/compare", 422, kind="transient")


def test_redemption_desk_shows_the_verdict(
    publisher: Caller, offer: str, clock: Clock, operator: ConsoleReader
) -> None:
    activated = clock.now
    activate(publisher, offer)
    clock.move(days=3)

    def check(customer: str, at: object, offer_id: str = offer) -> str:
        return operator.read("/desk", customerId=customer, offerUid=offer_id, transactedAt=str(at))

    inside = check("C-1", "2026-11-24T00:00")
    assert "Yes: customer C-1 is owed a reward" in inside
    assert f"until {(activated + timedelta(days=45)).strftime('%Y-%m-%d')}" in inside
    assert "version 1" in inside
    assert "outside all redemption windows" in check("C-1", "2027-01-20T00:00")
    assert "had not activated this offer" in check("C-2", "2026-11-24T00:00")
    assert "Yes: customer C-1" in check("C-1", "2026-11-24T00:00", "OFR-8841")
    assert "There is no offer" in check("C-1", "2026-11-24T00:00", "OFR-9999")


def test_operator_creates_and_changes_a_partner(operator: ConsoleReader, service: Service) -> None:
    operator.read("/partners")
    assert "Saved." in operator.send_form("/partners", name="harbor", **SETTINGS)
    assert 'name="synchronize_per_day" min="0" max="1000000000" value="3"' in operator.page
    with service.ledger.read() as tx:
        newest = tx.execute("SELECT actor, source FROM commits ORDER BY first_position DESC LIMIT 1").fetchone()
    assert tuple(newest) == ("operator-None", "console")
    assert "name: must be 1 to 64 letters" in operator.send_form("/partners", 422, name="no spaces", **SETTINGS)
    assert "daily_quota: must be" in operator.send_form(
        "/partners", 422, name="harbor", **SETTINGS | {"daily_quota": "x"}
    )


def test_token_is_shown_once_and_can_be_revoked(operator: ConsoleReader, call: Call) -> None:
    operator.read("/tokens")
    text = operator.send_form("/tokens", 200, name="harry", role="auditor", requests_per_minute=600)
    secret = text.partition("only its digest. ")[2].split()[0]
    assert call(secret).get("/api/v1/offers").status_code == 200
    assert secret not in operator.read("/tokens")
    assert "harry" in operator.send_form("/tokens/revoked", name="harry")
    assert call(secret).get("/api/v1/offers").status_code == 401


def test_new_partner_form_does_not_change_existing_partners(operator: ConsoleReader, service: Service) -> None:
    service.ledger.handle(SetPartner("harbor", rps=99), OPERATOR)
    operator.read("/partners")
    assert 'name="new" value="1"' in operator.page
    assert "A partner with this name already exists" in operator.send_form(
        "/partners", 409, name="harbor", new="1", **SETTINGS
    )
    operator.read("/partners/harbor")
    assert 'name="rps" min="0" max="1000000000" value="99"' in operator.page
    operator.read("/partners")
    assert "Saved." in operator.send_form("/partners", name="ferry", new="1", **SETTINGS)


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"name": ""}, 422, "name: must be 1 to 64 printable characters"),
        ({"role": "king"}, 422, "role: must be one of"),
        ({"partner": "tidepool"}, 422, "partner: is required for the role partner, and not allowed for other roles"),
        ({"expires_at": "2020-01-01T00:00"}, 422, "expires_at: must be in the future"),
        ({"requests_per_minute": "-1"}, 422, "requests_per_minute: must be a whole number"),
        ({"role": "partner", "partner": "unheard"}, 409, "There is no partner named"),
        ({"name": "operator-None"}, 409, "is in use"),
    ],
)
def test_invalid_token_is_refused_next_to_its_form(
    operator: ConsoleReader, changes: dict[str, str], status: int, message: str
) -> None:
    operator.read("/tokens")
    fields = {"name": "harry", "role": "auditor", "requests_per_minute": "600"} | changes
    assert message in operator.send_form("/tokens", status, **fields)
    assert "secret" not in operator.page.partition("<main")[2].partition("<form")[0].lower()


def test_partner_sees_its_remaining_quota(partner: Caller, call: Call, service: Service) -> None:
    limit(service)
    put(partner)
    assert "1 of 1,000" in ConsoleReader(call, "secret of partner-tidepool").read("/quota")


@pytest.mark.parametrize(
    ("role", "forbidden"),
    [
        (Role.PARTNER, ("/desk", "/partners", "/partners/tidepool", "/tokens")),
        (Role.PUBLISHER, ("/runs", "/compare", "/partners", "/tokens", "/quota", f"/offers/{KEY.offer_uid}")),
        (Role.AUDITOR, ("/partners", "/tokens", "/quota")),
        (Role.OPERATOR, ("/quota",)),
    ],
)
def test_each_role_reads_the_same_as_over_the_api(
    call: Call, token: MakeToken, role: Role, forbidden: tuple[str, ...]
) -> None:
    reader = ConsoleReader(call, token(role))
    reader.read("/offers")
    menu = set(links(reader.page.partition("<nav")[2].partition("</nav")[0]))
    for path in forbidden:
        assert f"The role {role} may not do this" in reader.read(path, 403)
        assert f"/console{path}" not in menu
    for path in menu:
        reader.read(path.removeprefix("/console"))


def test_unfinished_run_shows_its_progress(operator: ConsoleReader, service: Service) -> None:
    document = batch("Insert", [item()])
    run = service.runs.claim(accepted_batch(service.runs, document, body(document)).run_id)
    assert "The run is in progress." in operator.read(f"/runs/{run.run_id}")
    for progress, label in (
        (Progress(300, 1_000), "300 of 1,000 items decided"),
        (Progress(1_000, 1_000), "All 1,000 items decided. The result is being stored."),
    ):
        service.runs.renew(run, progress)
        assert label in operator.read(f"/runs/{run.run_id}")
        assert f'max="1000" value="{progress.done}"' in operator.page


def test_all_pages_of_a_comparison_compare_the_same_states(partner: Caller, operator: ConsoleReader) -> None:
    send(partner, "Insert", *(item(f"TP-{number}") for number in range(70)))
    assert "70 created" in operator.read("/compare", fromPosition=0)
    (next_page,) = [link for link in links(operator.page) if "cursor=" in link]
    send(partner, "Insert", item("TP-99"))
    rest = operator.read(next_page.removeprefix("/console"))
    assert ("TP-69" in rest, "TP-10 " in rest, "TP-99" in rest) == (True, False, False)


def test_comparison_of_many_events_lists_without_counts(
    partner: Caller, operator: ConsoleReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.console.pages.compare.MAX_COUNTED_EVENTS", 1)
    run = send(partner, "Insert", item("TP-1"), item("TP-2"))
    text = operator.read("/compare", fromPosition=0)
    assert "more than 1 events between" in text
    assert "TP-2" in text
    assert "TP-2" in operator.read(f"/runs/{run}")


def test_windows_are_listed_with_running_ones_first(
    publisher: Caller, offer: str, clock: Clock, operator: ConsoleReader
) -> None:
    for number in range(30):
        activate(publisher, offer, f"EARLY-{number:02}")
    clock.move(days=50)
    for number in range(30):
        activate(publisher, offer, f"LATE-{number:02}")
    first = operator.read(f"/offers/{offer}")
    assert (first.count("LATE-"), first.count("EARLY-")) == (60, 40), "each in the chart and in the table"
    (more,) = [link for link in links(operator.page) if "windows=" in link]
    rest = operator.read(more.removeprefix("/console"))
    assert (rest.count("LATE-"), rest.count("EARLY-")) == (0, 20)
    assert "First windows" in rest
    assert "422 validation-error" in operator.read(f"/offers/{offer}", 422, windows="nonsense")


def test_ids_are_compared_with_their_spaces(publisher: Caller, offer: str, operator: ConsoleReader) -> None:
    activate(publisher, offer, " C-1 ")
    query = {"offerUid": offer, "transactedAt": "2026-11-24T00:00"}
    assert "Yes:" in operator.read("/desk", customerId=" C-1 ", **query)
    assert "No:" in operator.read("/desk", customerId="C-1", **query)


def test_sign_in_link_does_not_replace_a_session(operator: ConsoleReader) -> None:
    assert "You are signed in as operator-None" in operator.read("/sign-in")
    assert 'data-sign-in="at once"' not in operator.page


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PUT", "/console/offers", 405), ("POST", "/console/runs", 405), ("GET", "/console/static/nothing.css", 404)],
)
def test_unsupported_method_or_path_is_refused_on_a_page(
    operator: ConsoleReader, method: str, path: str, status: int
) -> None:
    reply = operator.http.request(method, path)
    assert reply.status_code == status
    assert reply.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]


def test_comparison_form_keeps_positions_until_a_time_is_chosen(partner: Caller, operator: ConsoleReader) -> None:
    send(partner, "Insert", item("TP-1"))
    operator.read("/compare", fromPosition=2, toPosition=3)
    hidden_fields = dict(
        re.findall(r'<input type="hidden" name="(\w+Position)" value="(\d+)">', operator.page.partition("<main")[2])
    )
    assert hidden_fields == {"fromPosition": "2", "toPosition": "3"}
    assert "From 2026-11-20 00:00:00 UTC" in operator.read("/compare", **hidden_fields, **{"from": "2026-11-20"})
