"""`offer-ledger windows` and `offer-ledger verdict` give the same answers as HTTP."""

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
from tests.support.processes.shell import Run, require_refusal, require_success, require_usage_sentence

PUBLISHER = Origin("wallet", Source.PUBLISHER)


@pytest.fixture
def offer_uid(service: Service, clock: Clock) -> UUID:
    """An offer that two customers have activated and one of them has redeemed."""
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


def test_windows_are_listed_with_their_states_and_redemptions(run: Run, offer_uid: UUID) -> None:
    _, first, second = rows(require_success(run("windows")))
    assert (first[0], first[1], first[5:]) == (str(offer_uid), "C-1", ["open", "12.50", "USD"])
    assert second[5:] == ["open"]


def test_windows_are_listed_at_an_effective_time(run: Run, offer_uid: UUID, clock: Clock) -> None:
    clock.move(days=45)
    later = utc_text(clock.now)
    _, *windows = rows(require_success(run("windows", "--offer-uid", offer_uid, "--at", later)))
    assert [row[5] for row in windows] == ["expired", "expired"]
    assert require_success(run("windows", "--state", "open", "--at", later)) == "No redemption windows match.\n"


def test_json_of_windows_equals_the_http_replies_page_by_page(run: Run, offer_uid: UUID, auditor: Caller) -> None:
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
def test_incomplete_window_table_ends_with_a_cursor(run: Run) -> None:
    assert (
        require_success(run("windows", "--limit", 1))
        .splitlines()[-1]
        .startswith("There are more rows. Next page: --cursor ")
    )


@pytest.mark.usefixtures("offer_uid")
def test_cursor_of_another_window_list_is_a_usage_error(run: Run) -> None:
    cursor = run("windows", "--limit", 1, "--json").json["nextCursor"]
    require_usage_sentence(run("windows", "--customer-id", "C-1", "--cursor", cursor), "--cursor")


def test_verdict_prints_the_terms_or_the_reason(run: Run, offer_uid: UUID, clock: Clock) -> None:
    command = ("verdict", "--offer-uid", offer_uid, "--transacted-at", utc_text(clock.now), "--customer-id")
    owed, *_ = require_success(run(*command, "C-1")).splitlines()
    assert owed.startswith("Owed: activation ")
    assert "version 1" in owed
    assert (
        require_success(run(*command, "C-3")).splitlines()[0] == "Not owed: The customer has not activated the offer."
    )


def test_json_of_a_verdict_equals_the_http_reply(run: Run, offer_uid: UUID, auditor: Caller, clock: Clock) -> None:
    transacted_at, as_of = utc_text(clock.now), "2026-11-22T12:29:00Z"
    document = run(
        *("verdict", "--customer-id", "C-1", "--offer-uid", offer_uid),
        *("--transacted-at", transacted_at, "--as-of", as_of, "--json"),
    ).json
    assert document["reason"] == "not-activated"
    reply = auditor.get(
        "/api/v1/redemption-verdict", customerId="C-1", offerUid=offer_uid, transactedAt=transacted_at, asOf=as_of
    )
    assert document == reply.json()


@pytest.mark.usefixtures("service")
def test_verdict_on_an_unknown_offer_is_refused(run: Run) -> None:
    options = ("--customer-id", "C-1", "--offer-uid", uuid4(), "--transacted-at", "2026-11-22T12:00:00Z")
    require_refusal(run("verdict", *options), "offer")
