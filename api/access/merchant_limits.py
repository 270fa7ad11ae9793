"""A partner's limits on merchant requests, as header fields (RateLimit header fields for HTTP, IETF draft)."""

from datetime import datetime

from msgspec import Struct

from api.access.rate_limits import RateStatus
from domain.refusals import RateLimitExceeded
from domain.single_requests.quota import PartnerTerms, Quota, seconds_to_next_day

SECONDS_PER_DAY = 86_400


def require_rate(rate: RateStatus, rps: int) -> None:
    """Raises RateLimitExceeded."""
    if rate.seconds_to_wait is not None:
        raise RateLimitExceeded(rps, rate.seconds_to_wait)


class MerchantLimits(Struct):
    """The limits of a partner during one request. `quota` is replaced when the request has been counted."""

    terms: PartnerTerms
    remaining_this_second: int
    quota: Quota
    now: datetime

    def headers(self) -> dict[str, str]:
        """Returns `RateLimit-Policy` and `RateLimit`. A limit that is not set is left out."""
        terms, quota = self.terms, self.quota
        policies, states = [], []
        if terms.rps:
            policies.append(f'"rps";q={terms.rps};w=1')
            states.append(f'"rps";r={self.remaining_this_second};t=1')
        if quota.limit:
            policies.append(f'"daily";q={quota.limit};w={SECONDS_PER_DAY}')
            states.append(f'"daily";r={quota.remaining};t={seconds_to_next_day(self.now)}')
        fields = {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}
        return {name: value for name, value in fields.items() if value}
