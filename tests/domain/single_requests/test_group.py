"""Decisions about a group of single requests: a pure function of the requests, the terms and the offers."""

from collections.abc import Sequence
from datetime import UTC, datetime

from domain.offers.offer import ABSENT
from domain.refusals import DailyQuotaExceeded, OfferOfOtherMerchant, PreconditionFailed, Refused, UnknownPartner
from domain.single_requests.group import CountedRefusal, RequestDecision, decide_requests
from domain.single_requests.precondition import Precondition, Versions
from domain.single_requests.quota import RESERVE_AT_LEAST, PartnerTerms, Quota
from domain.single_requests.request import CountRefusal, SingleRequestCommand, TraceOutcome
from tests.support.examples import PARTNER
from tests.support.histories.single_requests import delete, merchant_key, put

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = merchant_key()
LIMIT = 2
ELSEWHERE = merchant_key(merchant_id="M-2")
VERSION_1 = Precondition(one_of=Versions(frozenset({1})))
IS_NEW = Precondition(none_of=Versions(is_all=True))
COUNT_PUT, COUNT_DELETE = CountRefusal(PARTNER, is_deletion=False), CountRefusal(PARTNER, is_deletion=True)


def decided(
    commands: Sequence[SingleRequestCommand], used: int = 0, limit: int = LIMIT
) -> Sequence[RequestDecision | CountedRefusal | Refused]:
    terms = {PARTNER: PartnerTerms(rps=0, daily_quota=limit, offers=0)}
    return decide_requests(commands, terms, {PARTNER: used}, {}, NOON)


def test_a_counted_refusal_uses_the_quota() -> None:
    assert decided([COUNT_PUT, COUNT_DELETE]) == [
        CountedRefusal(PARTNER, Quota(LIMIT, 1)),
        CountedRefusal(PARTNER, Quota(LIMIT, 2)),
    ]


def test_a_counted_refusal_changes_no_offer() -> None:
    _, result = decided([COUNT_PUT, put(KEY)])
    assert isinstance(result, RequestDecision)
    assert (result.version, result.trace.outcome) == (ABSENT.version, TraceOutcome.CREATED)
    assert result.quota == Quota(LIMIT, 2)


def test_a_refusal_over_the_quota_is_refused_and_not_counted() -> None:
    refused, counted = decided([COUNT_PUT, COUNT_DELETE], used=LIMIT)
    assert isinstance(refused, DailyQuotaExceeded)
    assert counted == CountedRefusal(PARTNER, Quota(LIMIT, LIMIT + 1))


def test_a_refused_deletion_uses_the_reserve_of_deletions() -> None:
    results = decided([COUNT_DELETE, delete(KEY)], used=LIMIT + RESERVE_AT_LEAST - 1)
    assert [type(result) for result in results] == [CountedRefusal, DailyQuotaExceeded]


def test_a_refusal_of_an_unknown_partner_is_refused() -> None:
    (result,) = decide_requests([COUNT_PUT], {}, {}, {}, NOON)
    assert isinstance(result, UnknownPartner)


# Conditions and merchants


def kinds(results: Sequence[RequestDecision | CountedRefusal | Refused]) -> list[object]:
    """Returns the outcome of each decision, the type of the refusal of each counted one, and the types of the others."""
    return [
        result.trace.outcome
        if isinstance(result, RequestDecision)
        else type(result.refusal if isinstance(result, CountedRefusal) else result)
        for result in results
    ]


def test_only_one_request_of_a_version_succeeds() -> None:
    requests = [put(KEY, name, precondition=VERSION_1) for name in ("b", "c")]
    results = decided([put(KEY, "a"), *requests], limit=0)
    assert kinds(results) == [TraceOutcome.CREATED, TraceOutcome.UPDATED, PreconditionFailed]


def test_only_one_request_creates_a_new_offer() -> None:
    results = decided([put(KEY, name, precondition=IS_NEW) for name in ("a", "b")], limit=0)
    assert kinds(results) == [TraceOutcome.CREATED, PreconditionFailed]


def test_deleted_offer_exists_for_conditions() -> None:
    exists = Precondition(one_of=Versions(is_all=True))
    results = decided(
        [put(KEY), delete(KEY), put(KEY, precondition=IS_NEW), put(KEY, precondition=exists)],
        limit=0,
    )
    assert kinds(results)[2:] == [PreconditionFailed, TraceOutcome.RESTORED]


def test_failed_condition_uses_the_quota() -> None:
    (result, over) = decided([delete(KEY, precondition=VERSION_1), put(KEY, precondition=VERSION_1)], used=LIMIT - 1)
    assert isinstance(result, CountedRefusal)
    assert (result.partner, result.quota) == (PARTNER, Quota(LIMIT, LIMIT))
    assert isinstance(over, DailyQuotaExceeded)


def test_deletion_under_a_wrong_merchant_is_refused_and_counted() -> None:
    results = decided([put(KEY), delete(ELSEWHERE), delete(KEY), delete(ELSEWHERE)], limit=0)
    wrong = OfferOfOtherMerchant
    assert kinds(results) == [TraceOutcome.CREATED, wrong, TraceOutcome.DELETED, wrong]
    assert isinstance(results[1], CountedRefusal)
    assert results[1].quota == Quota(0, 2)


def test_wrong_merchant_precedes_a_failed_condition() -> None:
    results = decided([put(KEY), delete(ELSEWHERE, precondition=VERSION_1)], limit=0)
    assert kinds(results) == [TraceOutcome.CREATED, OfferOfOtherMerchant]


def test_put_under_another_merchant_creates_an_offer() -> None:
    results = decided([put(KEY), put(ELSEWHERE), delete(ELSEWHERE)], limit=0)
    assert kinds(results) == [TraceOutcome.CREATED, TraceOutcome.CREATED, TraceOutcome.DELETED]
