"""How are requests about single offers carried out? Several in one transaction, and each as if it were alone."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import UUID

from msgspec import Struct

from domain.ledgers.ledger import OfferLedger
from domain.offers.offer import Offer
from domain.refusals import Refused, UnknownPartner
from domain.single_requests.group import Decided, decide_requests
from domain.single_requests.quota import PartnerTerms, Quota, day_of, quota_of
from domain.single_requests.request import SingleRequest
from domain.store.commit import CommitContext
from domain.store.cursor import Cursor
from domain.store.records.images import insert_images
from domain.store.records.traces import count_requests, insert_traces, quota_used
from domain.store.retry import retry_transaction
from domain.values import Channel, Scope

FindOffers = Callable[[Cursor, Collection[UUID]], Mapping[UUID, Offer]]
"""Those that there are, by their offerUids."""

FindTerms = Callable[[Cursor, Collection[str]], Mapping[str, PartnerTerms]]
"""Those of the partners that there are, by their names."""


class Busy(Struct, frozen=True):
    """A request that has to wait: much is being stored in its scope. Nothing has been done of it."""

    scope: Scope


SingleRequestResult = Decided | Refused
"""What became of a request."""


class SingleRequestLedger:
    """The single requests of a ledger."""

    def __init__(self, ledger: OfferLedger, find_offers: FindOffers, find_terms: FindTerms) -> None:
        self.ledger = ledger
        self._find_offers = find_offers
        self._find_terms = find_terms

    @retry_transaction
    def execute(self, requests: Sequence[SingleRequest]) -> list[SingleRequestResult | Busy]:
        """Carries requests out in their order, in one transaction; one that is refused leaves the others alone.

        Raises StorageError, and then none of them has been carried out."""
        with self.ledger.recorder.write() as tx:
            busy = tx.dialect.busy(tx, {scope for request in requests if (scope := _scope(request))})
            told = [Busy(scope) if (scope := _scope(request)) in busy else None for request in requests]
            results = iter(self._execute(tx, [r for r, is_busy in zip(requests, told, strict=True) if not is_busy]))
            return [is_busy or next(results) for is_busy in told]

    @retry_transaction
    def execute_after(self, scope: Scope, requests: Sequence[SingleRequest]) -> Sequence[SingleRequestResult]:
        """The same for requests of one scope, after whoever is storing much there."""
        with self.ledger.recorder.write(scope) as tx:
            return self._execute(tx, requests)

    @retry_transaction
    def terms(self, partner: str) -> tuple[PartnerTerms, Quota]:
        """A partner's limits, and its quota of today. Raises UnknownPartner."""
        with self.ledger.recorder.read() as tx:
            found = self.terms_of(tx, [partner]).get(partner)
        if found is None:
            raise UnknownPartner(partner)
        return found

    def terms_of(self, tx: Cursor, partners: Collection[str]) -> dict[str, tuple[PartnerTerms, Quota]]:
        """The same of several; of those that there are."""
        terms = self._find_terms(tx, partners)
        used = quota_used(tx, partners, day_of(self.ledger.recorder.now(tx)))
        return {name: (one, quota_of(one, used.get(name, 0))) for name, one in terms.items()}

    def _execute(self, tx: Cursor, requests: Sequence[SingleRequest]) -> Sequence[SingleRequestResult]:
        if not requests:
            return []
        now = self.ledger.recorder.now(tx)
        partners = {request.key.partner for request in requests}
        terms, used = self._find_terms(tx, partners), quota_used(tx, partners, day_of(now))
        known = self._find_offers(tx, {request.key.offer_uid for request in requests if request.action is not None})
        results = decide_requests(requests, terms, used, known, now)
        decided = [result for result in results if isinstance(result, Decided)]
        count_requests(tx, day_of(now), Counter(one.request.key.partner for one in decided))
        self._store(tx, decided)
        return results

    def _store(self, tx: Cursor, decided: Sequence[Decided]) -> None:
        insert_images(tx, [image for one in decided for image in one.images])
        changes = [
            (_context(one.request), [(one.request.key.offer_uid, one.version, one.events)])
            for one in decided
            if one.events
        ]
        self.ledger.commit_each(tx, changes)
        insert_traces(tx, [one.trace for one in decided if one.trace])


def _scope(request: SingleRequest) -> Scope | None:
    """In which it changes an offer; None for one that is only counted."""
    return None if request.action is None else Scope(request.key.partner, Channel.MERCHANT)


def _context(request: SingleRequest) -> CommitContext:
    return CommitContext(
        request.origin, request.key.partner, trace_id=request.trace_id, traceparent=request.traceparent
    )
