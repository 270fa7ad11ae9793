"""Is every request about one offer carried out as if it were alone, though several share a transaction?"""

from collections.abc import Iterator
from typing import Any

import pytest

from api.service import Service
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.single_request_ledger import SingleRequestLedger
from domain.refusals import DailyQuotaExceeded, UnknownPartner
from domain.single_requests.group import Decided
from domain.single_requests.quota import RESERVE_AT_LEAST
from domain.single_requests.request import Put, SingleRequest, Trace, TraceOutcome
from domain.values import to_microseconds
from projections.audit import offer_history
from projections.maintenance.verification import verify
from tests.support.examples import PARTNER
from tests.support.harness import Clock
from tests.support.histories.runs import rows
from tests.support.histories.single_requests import (
    SHOP,
    asking,
    delete,
    left,
    merchant_key,
    put,
    set_quota,
    status,
    told,
    trace_of,
    used,
)

OTHER_PARTNER = "kelp"
ONE, TWO, THREE = merchant_key("MO-1"), merchant_key("MO-2"), merchant_key("MO-3")
CREATED, UPDATED, UNCHANGED = TraceOutcome.CREATED, TraceOutcome.UPDATED, TraceOutcome.UNCHANGED
DELETED, RESTORED, UNKNOWN = TraceOutcome.DELETED, TraceOutcome.RESTORED, TraceOutcome.UNKNOWN


@pytest.fixture
def traces(service: Service) -> SingleRequestLedger:
    set_quota(service.ledger, 0)
    return service.single_requests


@pytest.fixture(autouse=True)
def _everything_agrees(service: Service) -> Iterator[None]:
    yield
    assert verify(service.ledger) == []


def commits_of(ledger: OfferLedger, requests: list[SingleRequest]) -> list[Any]:
    """The commits of these requests, in the order of the ledger."""
    marks = ",".join("?" * len(requests))
    with ledger.recorder.read() as tx:
        found = tx.execute(
            f"SELECT * FROM commits WHERE trace_id IN ({marks}) ORDER BY commit_id", [r.trace_id for r in requests]
        )
        return found.fetchall()


# Several in one transaction


def test_each_of_several_is_carried_out(traces: SingleRequestLedger, ledger: OfferLedger) -> None:
    assert told(traces.execute([put(ONE, "a"), put(TWO, "b"), delete(THREE)])) == [
        (CREATED, 1),
        (CREATED, 1),
        (UNKNOWN, 0),
    ]
    assert [status(ledger, key) for key in (ONE, TWO, THREE)] == [("active", "a"), ("active", "b"), None]
    assert used(traces) == 3


def test_none_at_all_leave_nothing(traces: SingleRequestLedger, ledger: OfferLedger) -> None:
    before = left(ledger)
    assert traces.execute([]) == []
    assert left(ledger) == before


@pytest.mark.parametrize(("second", "expected"), [("a", (UNCHANGED, 1)), ("b", (UPDATED, 2))])
def test_two_puts_of_one_offer_follow_each_other(
    traces: SingleRequestLedger, ledger: OfferLedger, second: str, expected: tuple[TraceOutcome, int]
) -> None:
    assert told(traces.execute([put(ONE, "a"), put(ONE, second)])) == [(CREATED, 1), expected]
    assert status(ledger, ONE) == ("active", second)


@pytest.mark.parametrize("together", [True, False])
def test_an_offer_comes_goes_and_comes_again(
    traces: SingleRequestLedger, ledger: OfferLedger, *, together: bool
) -> None:
    requests = [put(ONE, "a"), delete(ONE), delete(ONE), put(ONE, "a"), put(ONE, "a")]
    groups = [requests] if together else [[request] for request in requests]
    results = [result for group in groups for result in traces.execute(group)]
    assert told(results) == [(CREATED, 1), (DELETED, 2), (UNCHANGED, 2), (RESTORED, 3), (UNCHANGED, 3)]
    assert status(ledger, ONE) == ("active", "a")


def test_the_same_ids_of_another_partner_or_merchant_are_another_offer(
    traces: SingleRequestLedger, ledger: OfferLedger
) -> None:
    set_quota(ledger, 0, OTHER_PARTNER)
    keys = [merchant_key(partner=OTHER_PARTNER), merchant_key(merchant_id="M-2"), merchant_key("M-1", "MO-1")]
    results = traces.execute([put(ONE), *(put(key) for key in keys), delete(keys[0])])
    assert told(results) == [(CREATED, 1)] * 4 + [(DELETED, 2)]
    assert status(ledger, ONE) == ("active", "Open a jar")


# Refusals


def test_an_unknown_partner_leaves_the_others_alone(traces: SingleRequestLedger, ledger: OfferLedger) -> None:
    nobody = merchant_key(partner="nobody")
    results = traces.execute([put(ONE), put(nobody), delete(nobody), put(TWO)])
    assert told(results) == [(CREATED, 1), UnknownPartner, UnknownPartner, (CREATED, 1)]
    assert (rows(ledger, "traces"), rows(ledger, "quota_use")) == (2, 1)


def test_beyond_the_quota_requests_are_refused_and_not_counted(
    traces: SingleRequestLedger, ledger: OfferLedger
) -> None:
    set_quota(ledger, 2)
    set_quota(ledger, 0, OTHER_PARTNER)
    others = put(merchant_key(partner=OTHER_PARTNER))
    results = traces.execute([put(ONE), asking(ONE, None), put(TWO), others, asking(ONE, None), put(ONE, "b")])
    refused = DailyQuotaExceeded
    assert told(results) == [(CREATED, 1), type(None), refused, (CREATED, 1), refused, refused]
    assert (used(traces), used(traces, OTHER_PARTNER)) == (2, 1)
    assert (status(ledger, ONE), status(ledger, TWO)) == (("active", "Open a jar"), None)


def test_take_downs_have_a_reserve(traces: SingleRequestLedger, ledger: OfferLedger) -> None:
    set_quota(ledger, 1)
    results = traces.execute([put(ONE), put(TWO), delete(ONE)])
    assert told(results) == [(CREATED, 1), DailyQuotaExceeded, (DELETED, 2)]
    more = traces.execute([delete(ONE) for _ in range(RESERVE_AT_LEAST)])
    assert told(more) == [(UNCHANGED, 2)] * (RESERVE_AT_LEAST - 1) + [DailyQuotaExceeded]
    assert used(traces) == 1 + RESERVE_AT_LEAST


def test_a_new_day_has_a_quota_of_its_own(traces: SingleRequestLedger, ledger: OfferLedger, clock: Clock) -> None:
    set_quota(ledger, 1)
    assert told(traces.execute([put(ONE), put(TWO)])) == [(CREATED, 1), DailyQuotaExceeded]
    clock.move(hours=12)
    assert told(traces.execute([put(TWO), put(THREE)])) == [(CREATED, 1), DailyQuotaExceeded]


def test_a_request_that_only_counts_leaves_only_its_count(traces: SingleRequestLedger, ledger: OfferLedger) -> None:
    before = left(ledger)
    assert told(traces.execute([asking(ONE, None), asking(ONE, None, takes_down=True)])) == [type(None), type(None)]
    assert (used(traces), left(ledger)) == (2, before)


# The record


def test_each_has_a_commit_of_its_own_that_says_who_and_why(
    traces: SingleRequestLedger, ledger: OfferLedger, clock: Clock
) -> None:
    requests = [put(ONE, "a"), put(TWO, "b", traceparent=None), put(ONE, "c"), delete(TWO), put(TWO, "b")]
    traces.execute(requests)
    commits = commits_of(ledger, requests)
    named = [(c["trace_id"], c["traceparent"], c["actor"], c["source"], c["partner"], c["run_id"]) for c in commits]
    assert named == [(r.trace_id, r.traceparent, SHOP.actor, "merchant", PARTNER, None) for r in requests]
    assert [c["event_count"] for c in commits] == [1] * len(requests)
    times = [c["recorded_at"] for c in commits]
    assert times == sorted(set(times))
    assert times[0] >= to_microseconds(clock())


def test_a_trace_tells_what_became_of_its_request(traces: SingleRequestLedger, clock: Clock) -> None:
    content = put(ONE).action
    assert isinstance(content, Put)
    request = asking(ONE, Put(content.content, warnings=("odd", "odder")))
    (result,) = traces.execute([request])
    expected = Trace(
        trace_id=request.trace_id,
        partner=PARTNER,
        offer_uid=ONE.offer_uid,
        outcome=CREATED,
        version=1,
        warnings=("odd", "odder"),
        actor=SHOP.actor,
        accepted_at=clock(),
        traceparent=request.traceparent,
    )
    assert isinstance(result, Decided)
    assert result.trace == expected
    assert trace_of(traces.ledger, request.trace_id) == expected
    assert trace_of(traces.ledger, "req-nobody") is None


def test_what_changes_nothing_has_a_trace_but_no_commit(traces: SingleRequestLedger, ledger: OfferLedger) -> None:
    traces.execute([put(ONE), put(TWO), delete(TWO)])
    before = left(ledger)
    idle = [put(ONE), delete(TWO), delete(THREE)]
    assert told(traces.execute(idle)) == [(UNCHANGED, 1), (UNCHANGED, 2), (UNKNOWN, 0)]
    assert commits_of(ledger, idle) == []
    assert left(ledger) == {**before, "traces": before["traces"] + 3}
    assert all(trace_of(ledger, request.trace_id) for request in idle)
    assert used(traces) == 6


def test_the_history_names_the_request_behind_every_event(traces: SingleRequestLedger, ledger: OfferLedger) -> None:
    requests = [put(ONE, "a"), put(ONE, "a"), put(ONE, "b"), delete(ONE)]
    traces.execute(requests)
    with ledger.recorder.read() as tx:
        items = offer_history.page(tx, ONE.offer_uid, 0, 10).items
    changing = [requests[0], requests[2], requests[3]]
    assert [item.trace_id for item in items] == [request.trace_id for request in changing]
    assert [item.type for item in items] == ["OfferCreated", "OfferUpdated", "OfferDeleted"]
    assert {(item.actor, item.source, item.run_id) for item in items} == {(SHOP.actor, "merchant", None)}
