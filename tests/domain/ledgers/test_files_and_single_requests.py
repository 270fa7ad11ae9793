"""Tests of offers files and single requests that change the same offers and share images."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from api.service import Service
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.run_ledger import RunLedger
from domain.ledgers.single_request_ledger import SingleRequestLedger
from domain.runs.file_reconciliation import CONTENT_KEPT, MISSING
from domain.runs.run import OutcomeCounts, Run, RunState
from domain.single_requests.request import SingleRequest
from domain.values import MissingFromFile
from projections.maintenance.verification import verify
from tests.support.harness import Clock, execute_run, outcome_of
from tests.support.histories.offers_files import (
    PICTURE,
    TODAY,
    accept,
    after_validation,
    content,
    content_of,
    document,
    file_with,
    history_of,
    ids_by_outcome,
    process,
    put,
    record,
    set_missing,
)
from tests.support.histories.runs import LEASE, count_rows
from tests.support.histories.single_requests import delete, merchant_key, set_quota, status_and_name, stored_rows

ONE, TWO, THREE = merchant_key("MO-1"), merchant_key("MO-2"), merchant_key("MO-1", "M-2")
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)


@pytest.fixture
def single_requests(service: Service) -> SingleRequestLedger:
    set_quota(service.ledger, 0)
    return service.single_requests


@pytest.fixture(autouse=True)
def _verify_projections(service: Service) -> Iterator[None]:
    yield
    assert verify(service.ledger) == []


def messages_of(ledger: OfferLedger, run: Run, outcome: str) -> list[tuple[str, ...]]:
    return [item.messages for item in getattr(outcome_of(ledger, run), outcome)]


# Single requests during the validation of records


@pytest.mark.parametrize(
    ("between", "sent", "outcome", "expected"),
    [
        ([put(TWO, "a")], record(TWO, "NEW"), "unchanged", ("active", "a")),
        ([put(TWO, "a")], record(TWO, "NEW", "b"), "updated", ("active", "b")),
        ([put(TWO, "a")], record(TWO, "NO-CHANGE", "b"), "unchanged", ("active", "a")),
        ([put(TWO, "a")], record(TWO, "DELETED"), "deleted", ("deleted", "a")),
        ([put(ONE, "b")], record(ONE), "updated", ("active", "a")),
        ([put(ONE, "b")], record(ONE, "NO-CHANGE"), "unchanged", ("active", "b")),
        ([put(ONE, "b")], record(ONE, "UPDATED", "b"), "unchanged", ("active", "b")),
        ([delete(ONE)], record(ONE), "restored", ("active", "a")),
        ([delete(ONE)], record(ONE, "NO-CHANGE"), "restored", ("active", "a")),
        ([delete(ONE)], record(ONE, "DELETED"), "unchanged", ("deleted", "a")),
        ([delete(ONE), put(ONE, "b")], record(ONE, "DELETED"), "deleted", ("deleted", "b")),
        ([put(ONE, "b"), put(ONE, "a")], record(ONE), "unchanged", ("active", "a")),
    ],
)
def test_record_is_decided_from_the_newest_state_of_its_offer(
    here: RunLedger,
    single_requests: SingleRequestLedger,
    between: list[SingleRequest],
    sent: dict[str, Any],
    outcome: str,
    expected: tuple[str, str],
) -> None:
    process(here, document([record(ONE), record(THREE)]), YESTERDAY)
    key = between[0].key
    watch = after_validation(lambda: single_requests.execute(between))
    run = process(here, document([sent, record(THREE)]), watch=watch)
    assert (key.merchant_id, key.external_id) in ids_by_outcome(outcome_of(here.ledger, run))[outcome]
    assert (run.state, status_and_name(here.ledger, key)) == (RunState.COMPLETED, expected)
    versions = [event.version for event in history_of(here.ledger, key)]
    assert versions == list(range(1, len(versions) + 1))


def test_record_with_known_bytes_restores_its_content(here: RunLedger, single_requests: SingleRequestLedger) -> None:
    sent = file_with(PICTURE)
    process(here, sent, YESTERDAY)
    watch = after_validation(lambda: single_requests.execute([put(ONE, "b"), delete(ONE)]))
    assert process(here, sent, watch=watch).counts == OutcomeCounts(restored=1)
    assert content_of(here.ledger, ONE) == content(ONE, PICTURE)
    assert process(here, sent, TOMORROW).counts == OutcomeCounts(unchanged=1)


@pytest.mark.parametrize("missing", list(MissingFromFile))
def test_missing_offers_changed_by_single_requests_are_only_reported(
    here: RunLedger, single_requests: SingleRequestLedger, missing: MissingFromFile
) -> None:
    set_missing(here.ledger, missing)
    process(here, file_with("a", ONE, TWO))
    watch = after_validation(lambda: single_requests.execute([delete(TWO), put(THREE, "a")]))
    run = process(here, file_with("b"), watch=watch)
    assert ids_by_outcome(outcome_of(here.ledger, run)) == {
        "updated": [("M-1", "MO-1")],
        "discrepancy": [("M-2", "MO-1")],
    }
    assert messages_of(here.ledger, run, "discrepancy") == [(MISSING,)]
    assert [event.cause for event in history_of(here.ledger, TWO)] == [None, None]


@pytest.mark.parametrize("missing", list(MissingFromFile))
def test_missing_offers_follow_the_latest_setting(here: RunLedger, missing: MissingFromFile) -> None:
    other = next(setting for setting in MissingFromFile if setting is not missing)
    set_missing(here.ledger, other)
    process(here, file_with("a", ONE, TWO))
    run = process(here, file_with("a"), TOMORROW, watch=after_validation(lambda: set_missing(here.ledger, missing)))
    is_deleted = missing is MissingFromFile.DELETE
    assert run.counts == OutcomeCounts(unchanged=1, deleted=int(is_deleted), discrepancy=int(not is_deleted))
    assert status_and_name(here.ledger, TWO) == ("deleted" if is_deleted else "active", "a")


# Images


def test_image_of_several_records_is_stored_once(here: RunLedger) -> None:
    process(here, file_with(PICTURE, ONE, TWO, THREE))
    assert count_rows(here.ledger, "images") == 1
    assert [content_of(here.ledger, key) for key in (ONE, TWO, THREE)] == [
        content(key, PICTURE) for key in (ONE, TWO, THREE)
    ]


@pytest.mark.parametrize("file_first", [True, False])
def test_files_and_single_requests_share_images(
    here: RunLedger, single_requests: SingleRequestLedger, *, file_first: bool
) -> None:
    if file_first:
        process(here, file_with(PICTURE, ONE))
    single_requests.execute([put(TWO, PICTURE)])
    process(here, file_with(PICTURE, ONE, TWO))
    assert count_rows(here.ledger, "images") == 1
    assert content_of(here.ledger, ONE) == content(ONE, PICTURE)
    assert content_of(here.ledger, TWO) == content(TWO, PICTURE)


def test_file_with_content_of_a_single_request_changes_nothing(
    here: RunLedger, single_requests: SingleRequestLedger
) -> None:
    single_requests.execute([put(ONE, PICTURE)])
    before = stored_rows(here.ledger)
    assert process(here, file_with(PICTURE)).counts == OutcomeCounts(unchanged=1)
    assert stored_rows(here.ledger) == before


def test_images_of_records_without_effect_are_not_stored(here: RunLedger) -> None:
    process(here, file_with("a", ONE, TWO), YESTERDAY)
    unchanged = record(ONE, "NO-CHANGE", PICTURE)
    copies = [record(TWO, "UPSERT", PICTURE)] * 2
    broken = {**record(THREE, "UPSERT", PICTURE), "offerName": None}
    deleted = {**record(merchant_key("MO-9"), "UPSERT", PICTURE), "offerStatus": "DELETED"}
    run = process(here, document([unchanged, *copies, broken, deleted]))
    assert run.counts == OutcomeCounts(unchanged=1, unknown=1, failed=3)
    assert messages_of(here.ledger, run, "unchanged") == [(CONTENT_KEPT,)]
    assert count_rows(here.ledger, "images") == 0


# Single requests between acceptance and execution of a file


@pytest.mark.parametrize("owner", ["here", "there"])
def test_offers_sent_after_acceptance_are_not_deleted_as_missing(
    here: RunLedger, single_requests: SingleRequestLedger, clock: Clock, owner: str
) -> None:
    set_missing(here.ledger, MissingFromFile.DELETE)
    process(here, file_with("a", ONE, TWO), YESTERDAY)
    run = accept(here, file_with("a")).run
    single_requests.execute([put(THREE, "a")])
    clock.move(seconds=LEASE.total_seconds())
    runs = RunLedger(here.ledger, owner, LEASE)
    finished = execute_run(runs, runs.claim(run.run_id))
    assert finished.counts == OutcomeCounts(unchanged=1, deleted=1, discrepancy=1)
    assert [status_and_name(here.ledger, key) for key in (TWO, THREE)] == [("deleted", "a"), ("active", "a")]
