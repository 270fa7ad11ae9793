"""How is a partner told of its limits on single requests? (RateLimit header fields for HTTP, IETF draft.)"""

from datetime import datetime

from api.access.rate_limits import RateStatus
from domain.refusals import RateLimitExceeded
from domain.single_requests.quota import PartnerTerms, Quota, seconds_to_next_day

SECONDS_PER_DAY = 86_400


def require_rate(pace: RateStatus, rps: int) -> None:
    """Raises TooManyPerSecond."""
    if pace.seconds_to_wait is not None:
        raise RateLimitExceeded(rps, pace.seconds_to_wait)


def limit_headers(terms: PartnerTerms, remaining: int, quota: Quota, now: datetime) -> dict[str, str]:
    """The two header fields, as things stand with this quota and what remains of this second; none of what is not
    limited."""
    policies, states = [], []
    if terms.rps:
        policies.append(f'"rps";q={terms.rps};w=1')
        states.append(f'"rps";r={remaining};t=1')
    if quota.limit:
        policies.append(f'"daily";q={quota.limit};w={SECONDS_PER_DAY}')
        states.append(f'"daily";r={quota.remaining};t={seconds_to_next_day(now)}')
    named = {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}
    return {name: value for name, value in named.items() if value}
