"""Executes single requests in groups, one transaction for each group."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import UUID

from msgspec import Struct

from domain.ledgers.ledger import OfferLedger
from domain.offers.offer import Offer
from domain.refusals import Refused, UnknownPartner
from domain.single_requests.group import (
    CountedRefusal,
    PartnerOfferId,
    RequestDecision,
    decide_requests,
    deletions_of_unknown,
)
from domain.single_requests.quota import PartnerTerms, Quota, day_of, quota_of
from domain.single_requests.request import CountRefusal, SingleRequest, SingleRequestCommand
from domain.store.commit import CommitContext
from domain.store.cursor import Cursor
from domain.store.records.images import insert_images
from domain.store.records.traces import add_quota_use, find_quota_use, insert_traces
from domain.store.retry import retry_transaction
from domain.values import Channel, Scope

OffersQuery = Callable[[Cursor, Collection[UUID]], Mapping[UUID, Offer]]
"""Returns the existing offers by offerUid."""

TermsQuery = Callable[[Cursor, Collection[str]], Mapping[str, PartnerTerms]]
"""Returns the terms of existing partners by name."""


IdsQuery = Callable[[Cursor, Collection[PartnerOfferId]], Collection[PartnerOfferId]]
"""Returns those ids that exist under any merchant."""


class Busy(Struct, frozen=True):
    """Result of a request that was not executed, because a run is being stored in its scope."""

    scope: Scope


SingleRequestResult = RequestDecision | CountedRefusal | Refused
"""Result of an executed or refused request."""


class SingleRequestLedger:
    """The single requests of a ledger."""

    def __init__(
        self, ledger: OfferLedger, find_offers: OffersQuery, find_ids: IdsQuery, find_terms: TermsQuery
    ) -> None:
        self.ledger = ledger
        self._find_offers, self._find_ids = find_offers, find_ids
        self._find_terms = find_terms

    @retry_transaction
    def execute(self, requests: Sequence[SingleRequestCommand]) -> list[SingleRequestResult | Busy]:
        """Executes requests in their order, in one transaction. A refused request does not affect the others.

        Raises StorageError; then none of the requests has been executed."""
        with self.ledger.recorder.write() as tx:
            busy_scopes = tx.dialect.busy_scopes(tx, {scope for request in requests if (scope := _scope(request))})
            busy = [Busy(scope) if (scope := _scope(request)) in busy_scopes else None for request in requests]
            results = iter(self._execute(tx, [r for r, is_busy in zip(requests, busy, strict=True) if not is_busy]))
            return [is_busy or next(results) for is_busy in busy]

    @retry_transaction
    def execute_after(self, scope: Scope, requests: Sequence[SingleRequestCommand]) -> Sequence[SingleRequestResult]:
        """Executes requests of one scope, after waiting for a run that is being stored there."""
        with self.ledger.recorder.write(scope) as tx:
            return self._execute(tx, requests)

    @retry_transaction
    def terms(self, partner: str) -> tuple[PartnerTerms, Quota]:
        """Returns a partner's terms and its quota of today. Raises UnknownPartner."""
        with self.ledger.recorder.read() as tx:
            terms_and_quota = self.terms_of(tx, [partner]).get(partner)
        if terms_and_quota is None:
            raise UnknownPartner(partner)
        return terms_and_quota

    def terms_of(self, tx: Cursor, partners: Collection[str]) -> dict[str, tuple[PartnerTerms, Quota]]:
        """Returns terms and quota of today by partner; unknown partners are left out."""
        terms = self._find_terms(tx, partners)
        used = find_quota_use(tx, partners, day_of(self.ledger.recorder.now(tx)))
        return {name: (limits, quota_of(limits, used.get(name, 0))) for name, limits in terms.items()}

    def _execute(self, tx: Cursor, requests: Sequence[SingleRequestCommand]) -> Sequence[SingleRequestResult]:
        if not requests:
            return []
        now = self.ledger.recorder.now(tx)
        partners = {request.partner for request in requests}
        terms, used = self._find_terms(tx, partners), find_quota_use(tx, partners, day_of(now))
        known = self._find_offers(
            tx, {request.key.offer_uid for request in requests if isinstance(request, SingleRequest)}
        )
        known_ids = self._find_ids(tx, deletions_of_unknown(requests, known))
        results = decide_requests(requests, terms, used, known, now, known_ids)
        counted = [result for result in results if not isinstance(result, Refused)]
        add_quota_use(tx, day_of(now), Counter(result.partner for result in counted))
        self._store(tx, [result for result in counted if isinstance(result, RequestDecision)])
        return results

    def _store(self, tx: Cursor, decisions: Sequence[RequestDecision]) -> None:
        insert_images(tx, [image for decision in decisions for image in decision.images])
        changes = [
            (_context(decision.request), [(decision.request.key.offer_uid, decision.version, decision.events)])
            for decision in decisions
            if decision.events
        ]
        self.ledger.commit_each(tx, changes)
        insert_traces(tx, [decision.trace for decision in decisions])


def _scope(request: SingleRequestCommand) -> Scope | None:
    """The scope that contains the request's offer; None for a command that changes no offer."""
    return None if isinstance(request, CountRefusal) else Scope(request.partner, Channel.MERCHANT)


def _context(request: SingleRequest) -> CommitContext:
    return CommitContext(request.origin, request.partner, trace_id=request.trace_id)
