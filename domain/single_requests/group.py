"""Decisions about a group of single requests that share a transaction.

The results are the same as if the requests came one after the other.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import reduce
from typing import assert_never
from uuid import UUID

from msgspec import Struct

from domain.events import OfferEvent
from domain.offers import offer as offers
from domain.offers.images import Image
from domain.offers.offer import ABSENT, Offer
from domain.refusals import OfferOfOtherMerchant, PreconditionFailed, Refused, UnknownPartner, decided_or_refused
from domain.single_requests.quota import PartnerTerms, Quota, quota_of, require_quota
from domain.single_requests.request import (
    CountRefusal,
    Put,
    SingleRequest,
    SingleRequestCommand,
    Trace,
    TraceOutcome,
    decide,
)
from domain.values import Status


class RequestDecision(Struct, frozen=True):
    """The result of a request that is not refused: the events of its offer, and the version before them.

    `quota` is that of the day, including this request and those before it."""

    request: SingleRequest
    quota: Quota
    version: int
    events: Sequence[OfferEvent]
    trace: Trace

    @property
    def partner(self) -> str:
        return self.request.partner

    @property
    def images(self) -> Sequence[Image]:
        """Images to store with the events."""
        action = self.request.action
        return action.images if self.events and isinstance(action, Put) else ()


class CountedRefusal(Struct, frozen=True):
    """The result of a request that is refused, but counted. `quota` is as in `RequestDecision`.

    `refusal` is None for a `CountRefusal`: its sender knows the reason."""

    partner: str
    quota: Quota
    refusal: Refused | None = None


PartnerOfferId = tuple[str, str]
"""A partner and an externalId, under any merchant."""


def decide_requests(
    requests: Sequence[SingleRequestCommand],
    terms: Mapping[str, PartnerTerms],
    used: Mapping[str, int],
    known: Mapping[UUID, Offer],
    now: datetime,
    known_ids: Collection[PartnerOfferId] = (),
) -> list[RequestDecision | CountedRefusal | Refused]:
    """Returns the results in the order of the requests.

    `terms` and `used` (requests counted today) are by partner, `known` offers by offerUid. `known_ids` are the ids of
    existing offers, for those deletions whose offer is not in `known`."""
    group = _Group(terms, used, known, now, known_ids)
    return [decided_or_refused(group.decide, request) for request in requests]


def deletions_of_unknown(requests: Sequence[SingleRequestCommand], known: Mapping[UUID, Offer]) -> set[PartnerOfferId]:
    """Returns the ids of deletions whose offer is not in `known`."""
    return {
        (request.partner, request.key.external_id)
        for request in requests
        if isinstance(request, SingleRequest) and request.is_deletion and request.key.offer_uid not in known
    }


class _Group:
    """State after the requests that are already decided."""

    def __init__(
        self,
        terms: Mapping[str, PartnerTerms],
        used: Mapping[str, int],
        known: Mapping[UUID, Offer],
        now: datetime,
        known_ids: Collection[PartnerOfferId],
    ) -> None:
        self._terms, self._used, self._offers, self._now = terms, Counter(used), dict(known), now
        self._created = Counter[str]()
        self._known_ids = set(known_ids)

    def decide(self, command: SingleRequestCommand) -> RequestDecision | CountedRefusal:
        """Raises Refused."""
        quota = self._count(command)
        match command:
            case SingleRequest():
                return self._decide(command, quota)
            case CountRefusal():
                return CountedRefusal(command.partner, quota)
            case _:
                assert_never(command)

    def _decide(self, request: SingleRequest, quota: Quota) -> RequestDecision | CountedRefusal:
        partner, uid = request.partner, request.key.offer_uid
        offer = self._offers.get(uid, ABSENT)
        if refusal := self._refusal(request, offer):
            return CountedRefusal(partner, quota, refusal)
        events, outcome = decide(offer, request.key, request.action)
        self._offers[uid] = reduce(offers.evolve, events, offer)
        if outcome is TraceOutcome.CREATED:
            self._created[partner] += 1
            self._known_ids.add((partner, request.key.external_id))
        trace = Trace(
            trace_id=request.trace_id,
            partner=partner,
            offer_uid=uid,
            outcome=outcome,
            version=offer.version + len(events),
            warnings=request.action.warnings if isinstance(request.action, Put) else (),
            actor=request.origin.actor,
            accepted_at=self._now,
            traceparent=request.origin.traceparent,
        )
        return RequestDecision(request, quota, offer.version, events, trace)

    def _refusal(self, request: SingleRequest, offer: Offer) -> Refused | None:
        """Returns why the request is refused: first a mismatch of ids, then its precondition."""
        if (
            offer.status is Status.ABSENT
            and request.is_deletion
            and (request.partner, request.key.external_id) in self._known_ids
        ):
            return OfferOfOtherMerchant()
        if request.precondition is not None and not request.precondition.holds(offer):
            return PreconditionFailed(offer.version)
        return None

    def _count(self, command: SingleRequestCommand) -> Quota:
        partner = command.partner
        terms = self._terms.get(partner)
        if terms is None:
            raise UnknownPartner(partner)
        current_terms = PartnerTerms(terms.rps, terms.daily_quota, terms.offers + self._created[partner])
        quota = quota_of(current_terms, self._used[partner])
        require_quota(quota, self._now, is_deletion=command.is_deletion)
        self._used[partner] += 1
        return Quota(quota.limit, self._used[partner])
