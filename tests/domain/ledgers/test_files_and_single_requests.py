"""Files and single requests change the same offers: which state counts, and is every image kept once?"""

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
from tests.support.harness import Clock, carry_out, outcome_of
from tests.support.histories.offers_files import (
    PICTURE,
    TODAY,
    accept,
    content,
    content_of,
    document,
    history_of,
    once_judged,
    placed,
    process,
    put,
    record,
    says,
    set_missing,
)
from tests.support.histories.runs import LEASE, rows
from tests.support.histories.single_requests import delete, left, merchant_key, set_quota, status

ONE, TWO, THREE = merchant_key("MO-1"), merchant_key("MO-2"), merchant_key("MO-1", "M-2")
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)


@pytest.fixture
def traces(service: Service) -> SingleRequestLedger:
    set_quota(service.ledger, 0)
    return service.single_requests


@pytest.fixture
def here(ledger: OfferLedger) -> RunLedger:
    return RunLedger(ledger, "here", LEASE)


@pytest.fixture(autouse=True)
def _everything_agrees(service: Service) -> Iterator[None]:
    yield
    assert verify(service.ledger) == []


def told_of(ledger: OfferLedger, run: Run, kind: str) -> list[tuple[str, ...]]:
    return [item.messages for item in getattr(outcome_of(ledger, run), kind)]


# Single requests that come while records are judged


@pytest.mark.parametrize(
    ("between", "sent", "kind", "then"),
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
def test_a_record_is_decided_from_the_newest_state_of_its_offer(
    here: RunLedger,
    traces: SingleRequestLedger,
    between: list[SingleRequest],
    sent: dict[str, Any],
    kind: str,
    then: tuple[str, str],
) -> None:
    process(here, document([record(ONE), record(THREE)]), YESTERDAY)
    key = between[0].key
    watch = once_judged(lambda: traces.execute(between))
    run = process(here, document([sent, record(THREE)]), watch=watch)
    assert (key.merchant_id, key.external_id) in placed(outcome_of(here.ledger, run))[kind]
    assert (run.state, status(here.ledger, key)) == (RunState.COMPLETED, then)
    versions = [event.version for event in history_of(here.ledger, key)]
    assert versions == list(range(1, len(versions) + 1))


def test_a_record_that_is_known_by_its_bytes_says_what_it_said_whatever_came_between(
    here: RunLedger, traces: SingleRequestLedger
) -> None:
    sent = says(PICTURE)
    process(here, sent, YESTERDAY)
    watch = once_judged(lambda: traces.execute([put(ONE, "b"), delete(ONE)]))
    assert process(here, sent, watch=watch).counts == OutcomeCounts(restored=1)
    assert content_of(here.ledger, ONE) == content(ONE, PICTURE)
    assert process(here, sent, TOMORROW).counts == OutcomeCounts(unchanged=1)


@pytest.mark.parametrize("missing", list(MissingFromFile))
def test_what_single_requests_touch_meanwhile_is_told_of_and_never_deleted_for_being_missing(
    here: RunLedger, traces: SingleRequestLedger, missing: MissingFromFile
) -> None:
    set_missing(here.ledger, missing)
    process(here, says("a", ONE, TWO))
    watch = once_judged(lambda: traces.execute([delete(TWO), put(THREE, "a")]))
    run = process(here, says("b"), watch=watch)
    assert placed(outcome_of(here.ledger, run)) == {"updated": [("M-1", "MO-1")], "discrepancy": [("M-2", "MO-1")]}
    assert told_of(here.ledger, run, "discrepancy") == [(MISSING,)]
    assert [event.cause for event in history_of(here.ledger, TWO)] == [None, None]


@pytest.mark.parametrize("missing", list(MissingFromFile))
def test_what_becomes_of_the_missing_is_what_is_set_at_the_last_moment(
    here: RunLedger, missing: MissingFromFile
) -> None:
    other = next(setting for setting in MissingFromFile if setting is not missing)
    set_missing(here.ledger, other)
    process(here, says("a", ONE, TWO))
    run = process(here, says("a"), TOMORROW, watch=once_judged(lambda: set_missing(here.ledger, missing)))
    went = missing is MissingFromFile.DELETE
    assert run.counts == OutcomeCounts(unchanged=1, deleted=int(went), discrepancy=int(not went))
    assert status(here.ledger, TWO) == ("deleted" if went else "active", "a")


# Its images


def test_an_image_of_several_records_is_stored_once(here: RunLedger) -> None:
    process(here, says(PICTURE, ONE, TWO, THREE))
    assert rows(here.ledger, "images") == 1
    assert [content_of(here.ledger, key) for key in (ONE, TWO, THREE)] == [
        content(key, PICTURE) for key in (ONE, TWO, THREE)
    ]


@pytest.mark.parametrize("file_first", [True, False])
def test_an_image_is_shared_by_files_and_single_requests(
    here: RunLedger, traces: SingleRequestLedger, *, file_first: bool
) -> None:
    if file_first:
        process(here, says(PICTURE, ONE))
    traces.execute([put(TWO, PICTURE)])
    process(here, says(PICTURE, ONE, TWO))
    assert rows(here.ledger, "images") == 1
    assert content_of(here.ledger, ONE) == content(ONE, PICTURE)
    assert content_of(here.ledger, TWO) == content(TWO, PICTURE)


def test_what_says_the_same_as_a_single_request_did_changes_nothing(
    here: RunLedger, traces: SingleRequestLedger
) -> None:
    traces.execute([put(ONE, PICTURE)])
    before = left(here.ledger)
    assert process(here, says(PICTURE)).counts == OutcomeCounts(unchanged=1)
    assert left(here.ledger) == before


def test_images_of_records_that_apply_nothing_are_not_stored(here: RunLedger) -> None:
    process(here, says("a", ONE, TWO), YESTERDAY)
    kept = record(ONE, "NO-CHANGE", PICTURE)
    copies = [record(TWO, "UPSERT", PICTURE)] * 2
    broken = {**record(THREE, "UPSERT", PICTURE), "offerName": None}
    taken_down = {**record(merchant_key("MO-9"), "UPSERT", PICTURE), "offerStatus": "DELETED"}
    run = process(here, document([kept, *copies, broken, taken_down]))
    assert run.counts == OutcomeCounts(unchanged=1, unknown=1, failed=3)
    assert told_of(here.ledger, run, "unchanged") == [(CONTENT_KEPT,)]
    assert rows(here.ledger, "images") == 0


# Single requests that come before the file is taken up


@pytest.mark.parametrize("owner", ["here", "there"])
def test_what_is_sent_after_the_file_was_accepted_is_never_deleted_for_being_missing(
    here: RunLedger, traces: SingleRequestLedger, clock: Clock, owner: str
) -> None:
    set_missing(here.ledger, MissingFromFile.DELETE)
    process(here, says("a", ONE, TWO), YESTERDAY)
    run = accept(here, says("a")).run
    traces.execute([put(THREE, "a")])
    clock.move(seconds=LEASE.total_seconds())
    runs = RunLedger(here.ledger, owner, LEASE)
    ended = carry_out(runs, runs.claim(run.run_id))
    assert ended.counts == OutcomeCounts(unchanged=1, deleted=1, discrepancy=1)
    assert [status(here.ledger, key) for key in (TWO, THREE)] == [("deleted", "a"), ("active", "a")]
