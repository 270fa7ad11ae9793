"""Tests of single requests that share a transaction: results, quota, commits and single_requests."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.service import Service
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.single_request_ledger import SingleRequestLedger
from domain.refusals import DailyQuotaExceeded, OfferOfOtherMerchant, UnknownPartner
from domain.single_requests.group import CountedRefusal, RequestDecision
from domain.single_requests.precondition import Precondition, Versions
from domain.single_requests.quota import RESERVE_AT_LEAST
from domain.single_requests.request import CountRefusal, Put, SingleRequest, Trace, TraceOutcome
from domain.values import Channel, OfferKey, to_microseconds
from projections.audit import offer_history
from projections.maintenance.verification import verify
from tests.support.examples import PARTNER, created
from tests.support.harness import Clock, record
from tests.support.histories.runs import count_rows
from tests.support.histories.single_requests import (
    SHOP,
    delete,
    merchant_key,
    outcomes_of,
    put,
    quota_used,
    set_quota,
    single_request,
    status_and_name,
    stored_rows,
    trace_of,
)

OTHER_PARTNER = "kelp"
COUNT = CountRefusal(PARTNER, is_deletion=False)
ONE, TWO, THREE = merchant_key("MO-1"), merchant_key("MO-2"), merchant_key("MO-3")
CREATED, UPDATED, UNCHANGED = TraceOutcome.CREATED, TraceOutcome.UPDATED, TraceOutcome.UNCHANGED
DELETED, RESTORED, UNKNOWN = TraceOutcome.DELETED, TraceOutcome.RESTORED, TraceOutcome.UNKNOWN


@pytest.fixture
def single_requests(service: Service) -> SingleRequestLedger:
    set_quota(service.ledger, 0)
    return service.single_requests


@pytest.fixture(autouse=True)
def _verify_projections(service: Service) -> Iterator[None]:
    yield
    assert verify(service.ledger) == []


def commits_of(ledger: OfferLedger, requests: list[SingleRequest]) -> list[Any]:
    """Returns the commits of these requests, in the order of the ledger."""
    placeholders = ",".join("?" * len(requests))
    with ledger.recorder.read() as tx:
        result = tx.execute(
            f"SELECT * FROM commits WHERE trace_id IN ({placeholders}) ORDER BY commit_id",
            [r.trace_id for r in requests],
        )
        return result.fetchall()


# Groups


def test_group_executes_each_request(single_requests: SingleRequestLedger, ledger: OfferLedger) -> None:
    assert outcomes_of(single_requests.execute([put(ONE, "a"), put(TWO, "b"), delete(THREE)])) == [
        (CREATED, 1),
        (CREATED, 1),
        (UNKNOWN, 0),
    ]
    assert [status_and_name(ledger, key) for key in (ONE, TWO, THREE)] == [("active", "a"), ("active", "b"), None]
    assert quota_used(single_requests) == 3


def test_empty_group_stores_nothing(single_requests: SingleRequestLedger, ledger: OfferLedger) -> None:
    before = stored_rows(ledger)
    assert single_requests.execute([]) == []
    assert stored_rows(ledger) == before


@pytest.mark.parametrize(("second", "expected"), [("a", (UNCHANGED, 1)), ("b", (UPDATED, 2))])
def test_second_put_in_a_group_follows_the_first(
    single_requests: SingleRequestLedger, ledger: OfferLedger, second: str, expected: tuple[TraceOutcome, int]
) -> None:
    assert outcomes_of(single_requests.execute([put(ONE, "a"), put(ONE, second)])) == [(CREATED, 1), expected]
    assert status_and_name(ledger, ONE) == ("active", second)


@pytest.mark.parametrize("together", [True, False])
def test_offer_can_be_created_deleted_and_restored(
    single_requests: SingleRequestLedger, ledger: OfferLedger, *, together: bool
) -> None:
    requests = [put(ONE, "a"), delete(ONE), delete(ONE), put(ONE, "a"), put(ONE, "a")]
    groups = [requests] if together else [[request] for request in requests]
    results = [result for group in groups for result in single_requests.execute(group)]
    assert outcomes_of(results) == [(CREATED, 1), (DELETED, 2), (UNCHANGED, 2), (RESTORED, 3), (UNCHANGED, 3)]
    assert status_and_name(ledger, ONE) == ("active", "a")


def test_partners_and_merchants_can_use_the_same_offer_ids(
    single_requests: SingleRequestLedger, ledger: OfferLedger
) -> None:
    set_quota(ledger, 0, OTHER_PARTNER)
    keys = [merchant_key(partner=OTHER_PARTNER), merchant_key(merchant_id="M-2"), merchant_key("M-1", "MO-1")]
    results = single_requests.execute([put(ONE), *(put(key) for key in keys), delete(keys[0])])
    assert outcomes_of(results) == [(CREATED, 1)] * 4 + [(DELETED, 2)]
    assert status_and_name(ledger, ONE) == ("active", "Open a jar")


# Refusals


def test_unknown_partner_does_not_affect_other_requests(
    single_requests: SingleRequestLedger, ledger: OfferLedger
) -> None:
    unknown = merchant_key(partner="nobody")
    results = single_requests.execute([put(ONE), put(unknown), delete(unknown), put(TWO)])
    assert outcomes_of(results) == [(CREATED, 1), UnknownPartner, UnknownPartner, (CREATED, 1)]
    assert (count_rows(ledger, "traces"), count_rows(ledger, "quota_use")) == (2, 1)


def test_requests_beyond_the_quota_are_not_counted(single_requests: SingleRequestLedger, ledger: OfferLedger) -> None:
    set_quota(ledger, 2)
    set_quota(ledger, 0, OTHER_PARTNER)
    others = put(merchant_key(partner=OTHER_PARTNER))
    results = single_requests.execute([put(ONE), COUNT, put(TWO), others, COUNT, put(ONE, "b")])
    refused = DailyQuotaExceeded
    assert outcomes_of(results) == [(CREATED, 1), CountedRefusal, refused, (CREATED, 1), refused, refused]
    assert (quota_used(single_requests), quota_used(single_requests, OTHER_PARTNER)) == (2, 1)
    assert (status_and_name(ledger, ONE), status_and_name(ledger, TWO)) == (("active", "Open a jar"), None)


def test_failed_condition_is_counted_and_stores_nothing(
    single_requests: SingleRequestLedger, ledger: OfferLedger
) -> None:
    single_requests.execute([put(ONE, "a")])
    before = stored_rows(ledger)
    stale = Precondition(one_of=Versions(frozenset({2})))
    results = single_requests.execute([put(ONE, "b", precondition=stale), delete(ONE, precondition=stale)])
    assert outcomes_of(results) == [CountedRefusal, CountedRefusal]
    assert (stored_rows(ledger), status_and_name(ledger, ONE)) == (before, ("active", "a"))
    assert quota_used(single_requests) == 3


def test_deletion_is_refused_if_another_merchant_has_the_offer(
    single_requests: SingleRequestLedger, ledger: OfferLedger
) -> None:
    """The other merchant's offer may be deleted. An offer of another partner or channel does not count."""
    set_quota(ledger, 0, OTHER_PARTNER)
    others = [merchant_key("MO-4", partner=OTHER_PARTNER), merchant_key("MO-5")]
    single_requests.execute([put(ONE), put(TWO), delete(TWO), *map(put, others)])
    record(ledger, OfferKey(PARTNER, Channel.CUSTOM, None, "MO-6"), created())
    before = stored_rows(ledger)
    names = ("MO-1", "MO-2", "MO-4", "MO-6", "MO-7")
    (*refused, mine, custom, nowhere) = single_requests.execute([delete(merchant_key(name, "M-2")) for name in names])
    assert [type(r.refusal) for r in refused if isinstance(r, CountedRefusal)] == [OfferOfOtherMerchant] * 2
    assert outcomes_of([mine, custom, nowhere]) == [(UNKNOWN, 0)] * 3
    assert stored_rows(ledger) == before | {"traces": before["traces"] + 3}


def test_deletions_have_a_reserve(single_requests: SingleRequestLedger, ledger: OfferLedger) -> None:
    set_quota(ledger, 1)
    results = single_requests.execute([put(ONE), put(TWO), delete(ONE)])
    assert outcomes_of(results) == [(CREATED, 1), DailyQuotaExceeded, (DELETED, 2)]
    more = single_requests.execute([delete(ONE) for _ in range(RESERVE_AT_LEAST)])
    assert outcomes_of(more) == [(UNCHANGED, 2)] * (RESERVE_AT_LEAST - 1) + [DailyQuotaExceeded]
    assert quota_used(single_requests) == 1 + RESERVE_AT_LEAST


def test_each_day_has_its_own_quota(single_requests: SingleRequestLedger, ledger: OfferLedger, clock: Clock) -> None:
    set_quota(ledger, 1)
    assert outcomes_of(single_requests.execute([put(ONE), put(TWO)])) == [(CREATED, 1), DailyQuotaExceeded]
    clock.move(hours=12)
    assert outcomes_of(single_requests.execute([put(TWO), put(THREE)])) == [(CREATED, 1), DailyQuotaExceeded]


def test_counted_refusal_stores_only_its_count(single_requests: SingleRequestLedger, ledger: OfferLedger) -> None:
    before = stored_rows(ledger)
    assert (
        outcomes_of(single_requests.execute([COUNT, CountRefusal(PARTNER, is_deletion=True)])) == [CountedRefusal] * 2
    )
    assert (quota_used(single_requests), stored_rows(ledger)) == (2, before)


# Commits and single_requests


def test_each_request_has_its_own_commit(
    single_requests: SingleRequestLedger, ledger: OfferLedger, clock: Clock
) -> None:
    requests = [put(ONE, "a"), put(TWO, "b", traceparent=None), put(ONE, "c"), delete(TWO), put(TWO, "b")]
    single_requests.execute(requests)
    commits = commits_of(ledger, requests)
    contexts = [(c["trace_id"], c["traceparent"], c["actor"], c["source"], c["partner"], c["run_id"]) for c in commits]
    assert contexts == [(r.trace_id, r.origin.traceparent, SHOP.actor, "merchant", PARTNER, None) for r in requests]
    assert [c["event_count"] for c in commits] == [1] * len(requests)
    times = [c["recorded_at"] for c in commits]
    assert times == sorted(set(times))
    assert times[0] >= to_microseconds(clock())


def test_trace_has_the_outcome_of_its_request(single_requests: SingleRequestLedger, clock: Clock) -> None:
    content = put(ONE).action
    assert isinstance(content, Put)
    request = single_request(ONE, Put(content.content, warnings=("first", "second")))
    (result,) = single_requests.execute([request])
    expected = Trace(
        trace_id=request.trace_id,
        partner=PARTNER,
        offer_uid=ONE.offer_uid,
        outcome=CREATED,
        version=1,
        warnings=("first", "second"),
        actor=SHOP.actor,
        accepted_at=clock(),
        traceparent=request.origin.traceparent,
    )
    assert isinstance(result, RequestDecision)
    assert result.trace == expected
    assert trace_of(single_requests.ledger, request.trace_id) == expected
    assert trace_of(single_requests.ledger, "req-nobody") is None


def test_request_without_effect_has_a_trace_but_no_commit(
    single_requests: SingleRequestLedger, ledger: OfferLedger
) -> None:
    single_requests.execute([put(ONE), put(TWO), delete(TWO)])
    before = stored_rows(ledger)
    requests = [put(ONE), delete(TWO), delete(THREE)]
    assert outcomes_of(single_requests.execute(requests)) == [(UNCHANGED, 1), (UNCHANGED, 2), (UNKNOWN, 0)]
    assert commits_of(ledger, requests) == []
    assert stored_rows(ledger) == {**before, "traces": before["traces"] + 3}
    assert all(trace_of(ledger, request.trace_id) for request in requests)
    assert quota_used(single_requests) == 6


def test_history_has_the_trace_id_of_each_event(single_requests: SingleRequestLedger, ledger: OfferLedger) -> None:
    requests = [put(ONE, "a"), put(ONE, "a"), put(ONE, "b"), delete(ONE)]
    single_requests.execute(requests)
    with ledger.recorder.read() as tx:
        items = offer_history.page(tx, ONE.offer_uid, 0, 10).items
    changing = [requests[0], requests[2], requests[3]]
    assert [item.trace_id for item in items] == [request.trace_id for request in changing]
    assert [item.type for item in items] == ["OfferCreated", "OfferUpdated", "OfferDeleted"]
    assert {(item.actor, item.source, item.run_id) for item in items} == {(SHOP.actor, "merchant", None)}
