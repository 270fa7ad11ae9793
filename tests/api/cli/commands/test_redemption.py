"""offer-ledger windows, offer-ledger verdict: the same answers as over HTTP."""

from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from api.service import Service
from domain.ledgers.redemption_ledger import PendingRedemption
from domain.redemption.activation import Activate
from domain.redemption.activation_group import PendingActivation
from domain.redemption.redemption import Purchase
from domain.values import Origin, Source, utc_text
from tests.support.examples import KEY, PARTNER, created
from tests.support.harness import Caller, Clock, record
from tests.support.processes.shell import Run, require_done, require_refusal, require_usage_sentence

PUBLISHER = Origin("wallet", Source.PUBLISHER)


@pytest.fixture
def offer_uid(service: Service, clock: Clock) -> UUID:
    """An offer that two customers have activated, and one has used."""
    uid = record(service.ledger, KEY, created())
    clock.move(seconds=1)
    for customer in ("C-1", "C-2"):
        service.activations.execute([PendingActivation(PUBLISHER, Activate(customer, uid), uuid4())])
    purchase = Purchase("T-1", "C-1", uid, Decimal("12.50"), "USD", clock.now)
    service.redemptions.execute([PendingRedemption(PUBLISHER, purchase)])
    clock.move(seconds=1)
    return uid


def rows(printed: str) -> list[list[str]]:
    return [line.split() for line in printed.splitlines()]


def test_windows_are_listed_with_their_states_and_what_was_redeemed(run: Run, offer_uid: UUID) -> None:
    _, first, second = rows(require_done(run("windows")))
    assert (first[0], first[1], first[5:]) == (str(offer_uid), "C-1", ["open", "12.50", "USD"])
    assert second[5:] == ["open"]


def test_windows_are_shown_at_a_moment(run: Run, offer_uid: UUID, clock: Clock) -> None:
    clock.move(days=45)
    later = utc_text(clock.now)
    _, *found = rows(require_done(run("windows", "--offer-uid", offer_uid, "--at", later)))
    assert [row[5] for row in found] == ["expired", "expired"]
    assert require_done(run("windows", "--state", "open", "--at", later)) == "No redemption windows match.\n"


def test_windows_as_json_are_those_of_http_page_by_page(run: Run, offer_uid: UUID, auditor: Caller) -> None:
    path, at = "/api/v1/redemption-windows", "2026-11-30T00:00:00Z"
    by_shell = run("windows", "--partner", PARTNER, "--offer-uid", offer_uid, "--limit", 1, "--at", at, "--json").json
    by_http = auditor.get(path, partner=PARTNER, offerUid=offer_uid, limit=1, at=at).json()
    assert by_shell == by_http
    following = run(
        *("windows", "--partner", PARTNER, "--offer-uid", offer_uid, "--limit", 1, "--at", at),
        *("--cursor", by_shell["nextCursor"], "--json"),
    ).json
    assert [window["customerId"] for window in following["items"]] == ["C-2"]


@pytest.mark.usefixtures("offer_uid")
def test_a_table_that_is_not_all_tells_the_cursor(run: Run) -> None:
    assert require_done(run("windows", "--limit", 1)).splitlines()[-1].startswith("There are more: --cursor ")


@pytest.mark.usefixtures("offer_uid")
def test_a_cursor_of_another_list_is_a_usage_error(run: Run) -> None:
    cursor = run("windows", "--limit", 1, "--json").json["nextCursor"]
    require_usage_sentence(run("windows", "--customer-id", "C-1", "--cursor", cursor), "--cursor")


def test_a_verdict_says_on_which_terms_or_why_not(run: Run, offer_uid: UUID, clock: Clock) -> None:
    asked = ("verdict", "--offer-uid", offer_uid, "--transacted-at", utc_text(clock.now), "--customer-id")
    owed, *_ = require_done(run(*asked, "C-1")).splitlines()
    assert owed.startswith("Owed: on activation ")
    assert "version 1" in owed
    assert require_done(run(*asked, "C-3")).splitlines()[0] == "Not owed: The customer has not activated the offer."


def test_a_verdict_as_json_is_that_of_http(run: Run, offer_uid: UUID, auditor: Caller, clock: Clock) -> None:
    moment, known = utc_text(clock.now), "2026-11-22T12:29:00Z"
    told = run(
        *("verdict", "--customer-id", "C-1", "--offer-uid", offer_uid),
        *("--transacted-at", moment, "--as-of", known, "--json"),
    ).json
    assert told["reason"] == "not-activated"
    reply = auditor.get(
        "/api/v1/redemption-verdict", customerId="C-1", offerUid=offer_uid, transactedAt=moment, asOf=known
    )
    assert told == reply.json()


@pytest.mark.usefixtures("service")
def test_of_an_unknown_offer_there_is_no_verdict(run: Run) -> None:
    asked = ("--customer-id", "C-1", "--offer-uid", uuid4(), "--transacted-at", "2026-11-22T12:00:00Z")
    require_refusal(run("verdict", *asked), "offer")
