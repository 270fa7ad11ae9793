"""What becomes of single requests that are decided together? Each as if it came alone, after those before it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import reduce
from uuid import UUID

from msgspec import Struct

from domain.events import OfferEvent
from domain.offers import offer as offers_of
from domain.offers.images import Image
from domain.offers.offer import ABSENT, Offer
from domain.refusals import Refused, UnknownPartner, decided_or_refused
from domain.single_requests.quota import PartnerTerms, Quota, quota_of, require_quota
from domain.single_requests.request import Put, SingleRequest, Trace, TraceOutcome, decide


class Decided(Struct, frozen=True):
    """What becomes of a request that is not refused: events of its offer after a version. No trace: it is only counted.
    `quota`: of its day, with this request and those before it."""

    request: SingleRequest
    quota: Quota
    version: int = 0
    events: Sequence[OfferEvent] = ()
    trace: Trace | None = None

    @property
    def images(self) -> Sequence[Image]:
        """Those that come with the events."""
        action = self.request.action
        return action.images if self.events and isinstance(action, Put) else ()


def decide_requests(
    requests: Sequence[SingleRequest],
    terms: Mapping[str, PartnerTerms],
    used: Mapping[str, int],
    known: Mapping[UUID, Offer],
    now: datetime,
) -> list[Decided | Refused]:
    """In the order of the requests. `terms`, `used`: of today's quota, by partner; `known`: offers by offerUid."""
    group = _Group(terms, used, known, now)
    return [decided_or_refused(group.decide, request) for request in requests]


class _Group:
    """How everything stands after the requests so far."""

    def __init__(
        self,
        terms: Mapping[str, PartnerTerms],
        used: Mapping[str, int],
        known: Mapping[UUID, Offer],
        now: datetime,
    ) -> None:
        self._terms, self._used, self._offers, self._now = terms, Counter(used), dict(known), now
        self._created = Counter[str]()

    def decide(self, request: SingleRequest) -> Decided:
        """Raises Refused."""
        partner, uid = request.key.partner, request.key.offer_uid
        quota = self._count(request)
        if request.action is None:
            return Decided(request, quota)
        offer = self._offers.get(uid, ABSENT)
        events, outcome = decide(offer, request.key, request.action)
        self._offers[uid] = reduce(offers_of.evolve, events, offer)
        self._created[partner] += outcome is TraceOutcome.CREATED
        trace = Trace(
            trace_id=request.trace_id,
            partner=partner,
            offer_uid=uid,
            outcome=outcome,
            version=offer.version + len(events),
            warnings=request.action.warnings if isinstance(request.action, Put) else (),
            actor=request.origin.actor,
            accepted_at=self._now,
            traceparent=request.traceparent,
        )
        return Decided(request, quota, offer.version, events, trace)

    def _count(self, request: SingleRequest) -> Quota:
        partner = request.key.partner
        terms = self._terms.get(partner)
        if terms is None:
            raise UnknownPartner(partner)
        brought = PartnerTerms(terms.rps, terms.daily_quota, terms.offers + self._created[partner])
        quota = quota_of(brought, self._used[partner])
        require_quota(quota, self._now, takes_down=request.takes_down)
        self._used[partner] += 1
        return Quota(quota.limit, self._used[partner])
