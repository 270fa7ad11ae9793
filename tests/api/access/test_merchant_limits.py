"""The header fields that report the limits on single requests."""

from datetime import UTC, datetime

from api.access.merchant_limits import MerchantLimits
from domain.single_requests.quota import PartnerTerms, Quota

EVENING = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)


def limits(rps: int, quota: Quota) -> MerchantLimits:
    return MerchantLimits(PartnerTerms(rps, daily_quota=quota.limit, offers=0), 3, quota, EVENING)


def test_both_limits_are_reported() -> None:
    assert limits(5, Quota(100, 40)).headers() == {
        "RateLimit-Policy": '"rps";q=5;w=1, "daily";q=100;w=86400',
        "RateLimit": '"rps";r=3;t=1, "daily";r=60;t=60',
    }


def test_a_limit_that_is_not_set_is_left_out() -> None:
    assert limits(0, Quota(100, 40)).headers()["RateLimit-Policy"] == '"daily";q=100;w=86400'
    assert limits(0, Quota(0, 40)).headers() == {}


def test_headers_follow_a_later_quota() -> None:
    changing = limits(0, Quota(100, 40))
    changing.quota = Quota(100, 41)
    assert changing.headers()["RateLimit"] == '"daily";r=59;t=60'
