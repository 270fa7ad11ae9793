"""How are requests about single offers carried out? Several in one transaction, and each as if it were alone."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from domain.ledger import OfferLedger
from domain.offer import Offer
from domain.quota import Quota, daily_limit, day_of, require_quota
from domain.refusals import Refused, UnknownPartner
from domain.store.again import again
from domain.store.commit import CommitContext
from domain.store.cursor import Cursor
from domain.store.images import insert_images
from domain.store.savepoints import each_alone
from domain.store.traces import count_request, find_trace, insert_trace, quota_used
from domain.trace import Put, SingleRequest, Trace, decide


class PartnerTerms(Struct, frozen=True):
    """What limits a partner's single requests, and how many offers it has brought on their channel."""

    rps: int
    daily_quota: int | Literal["auto"]
    offers: int


FindOffer = Callable[[Cursor, UUID], Offer]
"""An offer as it is, or ABSENT."""

FindTerms = Callable[[Cursor, str], PartnerTerms | None]

Result = Trace | Refused | None
"""What became of a request; None for one that was only counted."""


class TraceLedger:
    """The single requests of a ledger."""

    def __init__(self, ledger: OfferLedger, find_offer: FindOffer, find_terms: FindTerms) -> None:
        self.ledger = ledger
        self._find_offer = find_offer
        self._find_terms = find_terms

    @again
    def carry_out(self, requests: Sequence[SingleRequest]) -> list[Result]:
        """Carries requests out in their order, in one transaction; one that is refused leaves the others alone.

        Raises StorageError, and then none of them has been carried out."""
        with self.ledger.recorder.writing() as tx:
            return each_alone(tx, requests, self._apply)

    def terms(self, partner: str) -> tuple[PartnerTerms, Quota]:
        """A partner's limits, and its quota of today. Raises UnknownPartner."""
        with self.ledger.recorder.reading() as tx:
            return self._terms(tx, partner, self.ledger.recorder.now(tx))

    def find(self, trace_id: str) -> Trace | None:
        with self.ledger.recorder.reading() as tx:
            return find_trace(tx, trace_id)

    def _apply(self, tx: Cursor, request: SingleRequest) -> Trace | None:
        now, key = self.ledger.recorder.now(tx), request.key
        require_quota(self._terms(tx, key.partner, now)[1], now, takes_down=request.takes_down)
        count_request(tx, key.partner, day_of(now))
        if request.action is None:
            return None
        uid = key.offer_uid
        offer = self._find_offer(tx, uid)
        events, outcome = decide(offer, key, request.action)
        warnings: tuple[str, ...] = ()
        if isinstance(request.action, Put):
            warnings = request.action.warnings
            if events:
                insert_images(tx, request.action.images)
        context = CommitContext(request.origin, key.partner, trace_id=request.trace_id, traceparent=request.traceparent)
        self.ledger.commit(tx, context, [(uid, offer.version, events)])
        trace = Trace(
            trace_id=request.trace_id,
            partner=key.partner,
            offer_uid=uid,
            outcome=outcome,
            version=offer.version + len(events),
            warnings=warnings,
            actor=request.origin.actor,
            accepted_at=now,
            traceparent=request.traceparent,
        )
        insert_trace(tx, trace)
        return trace

    def _terms(self, tx: Cursor, partner: str, now: datetime) -> tuple[PartnerTerms, Quota]:
        terms = self._find_terms(tx, partner)
        if terms is None:
            raise UnknownPartner(partner)
        limit = daily_limit(terms.daily_quota, terms.offers)
        return terms, Quota(limit, quota_used(tx, partner, day_of(now)))
