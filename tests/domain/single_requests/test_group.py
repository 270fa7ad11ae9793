"""Decisions about a group of single requests: a pure function of the requests, the terms and the offers."""

from collections.abc import Sequence
from datetime import UTC, datetime

from domain.offers.offer import ABSENT
from domain.refusals import DailyQuotaExceeded, Refused, UnknownPartner
from domain.single_requests.group import CountedRefusal, RequestDecision, decide_requests
from domain.single_requests.quota import RESERVE_AT_LEAST, PartnerTerms, Quota
from domain.single_requests.request import CountRefusal, SingleRequestCommand, TraceOutcome
from tests.support.examples import PARTNER
from tests.support.histories.single_requests import delete, merchant_key, put

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = merchant_key()
LIMIT = 2
COUNT_PUT, COUNT_DELETE = CountRefusal(PARTNER, is_deletion=False), CountRefusal(PARTNER, is_deletion=True)


def decided(
    commands: Sequence[SingleRequestCommand], used: int = 0
) -> Sequence[RequestDecision | CountedRefusal | Refused]:
    terms = {PARTNER: PartnerTerms(rps=0, daily_quota=LIMIT, offers=0)}
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
