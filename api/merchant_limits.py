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


def limit_headers(terms: PartnerTerms, quota: Quota, now: datetime) -> tuple[dict[str, str], int]:
    """The two header fields, and in how many seconds the daily quota is fresh. `quota`: before this request."""
    reset = seconds_to_next_day(now)
    policies, states = [], []
    if terms.rps:
        policies.append(f'"rps";q={terms.rps};w=1')
    if quota.limit:
        policies.append(f'"daily";q={quota.limit};w={SECONDS_PER_DAY}')
        states.append(f'"daily";r={quota.remaining};t={reset}')
    named = {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}
    return {name: value for name, value in named.items() if value}, reset
