"""Offers files of a partner are processed one at a time, in the order of their dates (contract, sections 3 and 4)."""

from pathlib import Path

import pytest

from api.service import Service
from api.settings import Settings
from domain.values import Role
from tests.support.calls.merchants import delete, limit, offer_of, outcome_and_version, position, put
from tests.support.calls.offers_files import (
    DAY_BEFORE,
    HARBOR_NAME,
    NAME,
    NEXT_DAY,
    REPLAYED,
    accept_file_elsewhere,
    completed_report,
    content,
    inventory,
    nonzero_counts,
    offers_file,
    record,
    refusal,
    runs,
    send_file,
    send_json,
)
from tests.support.calls.stalled_runs import (
    LEASE_SECONDS,
    accept_elsewhere,
    fail_elsewhere,
    other_owner,
    run_path,
    wait_until_finished,
)
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, Clock, MakeToken, execute_run

THIRD_DAY = "TidepoolOffers20261125.json"
"""Three days after the day of the clock."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", lease_seconds=0.5)


@pytest.fixture(autouse=True)
def _no_rate_limit(service: Service) -> None:
    limit(service)


@pytest.fixture
def harbor(call: Call, token: MakeToken) -> Caller:
    """Another partner."""
    return call(token(partner="harbor"))


# One at a time


def test_another_file_is_refused_while_one_is_in_progress(partner: Caller, service: Service) -> None:
    active = accept_file_elsewhere(service, offers_file(record("A")))
    for name in (NAME, NEXT_DAY, DAY_BEFORE):
        reply = send_file(partner, record("B"), name=name)
        assert refusal(reply, 409) == ("run-in-progress", [])
        assert (reply.headers["Retry-After"].isdecimal(), reply.json()["activeRun"]) == (True, run_path(active.run_id))
        assert reply.headers["Link"] == f'<{run_path(active.run_id)}>; rel="related"'
    assert (len(runs(partner)), inventory(partner)) == (1, {})
    fail_elsewhere(service, active)
    assert nonzero_counts(send_file(partner, record("B"))) == {"created": 1}


def test_repeated_file_gets_its_run_while_it_is_in_progress(partner: Caller, service: Service) -> None:
    document = offers_file(record("A"))
    active = accept_file_elsewhere(service, document)
    reply = send_json(partner, document)
    assert (reply.status_code, reply.json()["runId"], REPLAYED in reply.headers) == (202, str(active.run_id), False)


def test_batches_and_single_offers_are_accepted_during_a_file(
    partner: Caller, service: Service, harbor: Caller, clock: Clock
) -> None:
    active = accept_file_elsewhere(service, offers_file(record("A"), record("B", "NEW")))
    assert partner.send(body(batch("Synchronize", [item("TP-1")]))).status_code == 200
    assert outcome_and_version(partner, put(partner, content(record("A", offerName="Another")), offer="A")) == (
        "created",
        1,
    )
    assert outcome_and_version(partner, put(partner, content(record("B")), offer="B")) == ("created", 1)
    assert nonzero_counts(send_file(harbor, record("A"), name=HARBOR_NAME)) == {"created": 1}
    clock.move(seconds=LEASE_SECONDS)
    run = wait_until_finished(partner, run_path(active.run_id))
    assert {name: count for name, count in run["counts"].items() if count} == {"updated": 1, "unchanged": 1}
    assert (offer_of(partner, offer="A")["content"], inventory(partner)["A"]) == (content(record("A")), ("active", 2))


def test_file_considers_puts_that_arrived_during_its_validation(partner: Caller, service: Service) -> None:
    records = [record("A"), record("B"), record("C", "NO-CHANGE"), record("D", "DELETED"), record("E", "NEW")]
    send_file(partner, *records[:4])
    put(partner, content(record("D")), offer="D")
    run = accept_file_elsewhere(service, offers_file(*records), NEXT_DAY)
    statuses: list[int] = []

    def change(done: int, total: int) -> None:
        if done < total and not statuses:
            another = [record(name, offerName="Meanwhile") for name in ("A", "C", "E", "F")]
            replies = [put(partner, content(sent), offer=sent["offerId"]) for sent in another]
            replies += [delete(partner, offer=name) for name in ("B", "D")]
            statuses.extend(reply.status_code for reply in replies)

    finished = execute_run(other_owner(service), run, change)
    assert statuses == [202] * 6
    items = partner.get(f"{run_path(finished.run_id)}/items").json()["items"]
    assert [(item["externalId"], item["outcome"]) for item in items] == [
        ("A", "updated"),
        ("E", "updated"),
        ("B", "restored"),
        ("C", "unchanged"),
        ("D", "unchanged"),
        ("F", "discrepancy"),
    ]
    names = {name: offer_of(partner, offer=name)["content"]["offerName"] for name in "ABCE"}
    assert names == {"A": "Offer A", "B": "Offer B", "C": "Meanwhile", "E": "Offer E"}


def test_file_is_accepted_while_a_batch_is_in_progress(partner: Caller, service: Service) -> None:
    accept_elsewhere(service, batch("Insert", [item()]))
    assert nonzero_counts(send_file(partner, record("A"))) == {"created": 1}


# Dates


def test_file_dated_before_the_last_one_is_refused(partner: Caller) -> None:
    send_file(partner, record("A"))
    before = position(partner)
    reply = send_file(partner, record("A", "DELETED"), name=DAY_BEFORE)
    assert refusal(reply, 409) == ("file-superseded", ["/name"])
    assert (position(partner), len(runs(partner))) == (before, 1)


def test_earlier_file_of_an_earlier_day_is_refused(partner: Caller) -> None:
    for name in (DAY_BEFORE, NAME):
        send_file(partner, record("A"), name=name)
    assert refusal(send_file(partner, record("A"), name=DAY_BEFORE), 409) == ("file-superseded", ["/name"])


def test_date_of_a_file_is_at_most_two_days_ahead(partner: Caller, clock: Clock) -> None:
    for _ in range(2):
        assert refusal(send_file(partner, record("A"), name=THIRD_DAY), 422) == ("validation-error", ["/name"])
    assert runs(partner) == []
    clock.move(days=1)
    assert nonzero_counts(send_file(partner, record("A"), name=THIRD_DAY)) == {"created": 1}
    assert refusal(send_file(partner, record("A")), 409)[0] == "file-superseded"


def test_header_date_and_files_of_others_do_not_supersede(partner: Caller, harbor: Caller) -> None:
    assert send_file(harbor, record("A"), name="HarborOffers20261124.json").status_code == 200
    replies = [
        send_json(partner, offers_file(record("A"), fileCreationDate="2027-11-22"), DAY_BEFORE),
        send_json(partner, offers_file(record("A"), fileCreationDate="2020-11-22"), NAME),
    ]
    assert [nonzero_counts(reply) for reply in replies] == [{"created": 1}, {"unchanged": 1}]


def test_refused_or_failed_file_supersedes_nothing(partner: Caller, service: Service) -> None:
    assert send_json(partner, offers_file(record("A"), offerRecordCount=2), NEXT_DAY).status_code == 422
    fail_elsewhere(service, accept_file_elsewhere(service, offers_file(record("A")), NEXT_DAY))
    assert nonzero_counts(send_file(partner, record("A"))) == {"created": 1}


def test_failed_file_may_be_repeated(partner: Caller, service: Service) -> None:
    document = offers_file(record("A"))
    fail_elsewhere(service, accept_file_elsewhere(service, document))
    reply = send_json(partner, document)
    assert (nonzero_counts(reply), REPLAYED in reply.headers) == ({"created": 1}, False)
    assert [run["state"] for run in runs(partner)] == ["completed", "failed"]


# Limits and roles


def test_file_uses_no_quota_and_no_token_rate(call: Call, token: MakeToken, service: Service) -> None:
    caller = call(token(name="hasty", requests_per_minute=1))
    limit(service, rps=1, daily_quota=1)
    for n in range(5):
        assert send_file(caller, record("A", note=n), record("B")).status_code == 200
    assert caller.get("/api/v1/partner/quota").json()["used"] == 0
    assert put(caller).status_code == 202
    assert send_file(caller, record("A"), record("B")).status_code == 200


def test_repeated_file_counts_towards_the_token_rate(call: Call, token: MakeToken) -> None:
    caller = call(token(name="hasty", requests_per_minute=1))
    assert [send_file(caller, record("A")).status_code for _ in range(3)] == [200, 200, 429]


def test_readers_of_runs_may_read_runs_of_files(partner: Caller, call: Call, token: MakeToken) -> None:
    run_id = completed_report(send_file(partner, record("A")))["runId"]
    for role, reads in ((Role.AUDITOR, 200), (Role.OPERATOR, 200), (Role.PUBLISHER, 403)):
        other = call(token(role))
        assert other.get(run_path(run_id)).status_code == other.get(f"{run_path(run_id)}/items").status_code == reads
