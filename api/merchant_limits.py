"""How is a partner told of its limits on single requests? (RateLimit header fields for HTTP, IETF draft.)"""

from datetime import datetime

from api.limits import RequestLimiter
from domain.quota import Quota, seconds_to_next_day
from domain.refusals import TooManyPerSecond
from domain.trace_ledger import PartnerTerms

SECONDS_PER_DAY = 86_400


def require_pace(limiter: RequestLimiter, partner: str, rps: int) -> None:
    """Counts a request. Raises TooManyPerSecond; 0 is no limit."""
    seconds = limiter.seconds_to_wait_this_second(partner, rps)
    if seconds is not None:
        raise TooManyPerSecond(rps, seconds)


def limit_headers(
    limiter: RequestLimiter, partner: str, terms: PartnerTerms, quota: Quota, now: datetime
) -> dict[str, str]:
    """The two header fields, as things stand with this quota; none of what is not limited."""
    policies, states = [], []
    if terms.rps:
        policies.append(f'"rps";q={terms.rps};w=1')
        states.append(f'"rps";r={limiter.remaining_this_second(partner, terms.rps)};t=1')
    if quota.limit:
        policies.append(f'"daily";q={quota.limit};w={SECONDS_PER_DAY}')
        states.append(f'"daily";r={quota.remaining};t={seconds_to_next_day(now)}')
    named = {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}
    return {name: value for name, value in named.items() if value}
