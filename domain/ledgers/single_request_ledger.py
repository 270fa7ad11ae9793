"""Executes single requests in groups, one transaction for each group."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple
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
from domain.store.cursor import Condition, Cursor, Lookup
from domain.store.records.images import insert_images
from domain.store.records.traces import add_quota_use, insert_traces, quota_use_lookup
from domain.store.retry import retry_transaction
from domain.values import Channel, Scope

OffersQuery = Callable[[Condition], Lookup[dict[UUID, Offer]]]
"""Returns the lookup of the existing offers by offerUid. The condition is about the bytes of the offerUid."""

TermsQuery = Callable[[Condition], Lookup[dict[str, PartnerTerms]]]
"""Returns the lookup of the terms of existing partners by name."""

IdsQuery = Callable[[Cursor, Collection[PartnerOfferId]], Collection[PartnerOfferId]]
"""Returns those ids that exist under any merchant."""


class Busy(Struct, frozen=True):
    """Result of a request that was not executed, because a run is being stored in its scope."""

    scope: Scope


SingleRequestResult = RequestDecision | CountedRefusal | Refused
"""Result of an executed or refused request."""


class _State(NamedTuple):
    """The state that decisions on requests need: terms and used quota by partner, and offers by offerUid."""

    terms: dict[str, PartnerTerms]
    used: dict[str, int]
    offers: dict[UUID, Offer]


class SingleRequestLedger:
    """The single requests of a ledger."""

    def __init__(
        self, ledger: OfferLedger, offers_lookup: OffersQuery, find_ids: IdsQuery, terms_lookup: TermsQuery
    ) -> None:
        self.ledger = ledger
        self._offers_lookup, self._find_ids = offers_lookup, find_ids
        self._terms_lookup = terms_lookup

    @retry_transaction
    def execute(self, requests: Sequence[SingleRequestCommand]) -> list[SingleRequestResult | Busy]:
        """Executes requests in their order, in one transaction. A refused request does not affect the others.

        Raises StorageError; then none of the requests has been executed."""
        with self.ledger.recorder.write() as tx:
            busy_scopes, state = self._read_state(
                tx, requests, {scope for request in requests if (scope := _scope(request))}
            )
            busy = [Busy(scope) if (scope := _scope(request)) in busy_scopes else None for request in requests]
            free = [request for request, is_busy in zip(requests, busy, strict=True) if not is_busy]
            results = iter(self._execute(tx, free, state))
            return [is_busy or next(results) for is_busy in busy]

    @retry_transaction
    def execute_after(self, scope: Scope, requests: Sequence[SingleRequestCommand]) -> Sequence[SingleRequestResult]:
        """Executes requests of one scope, after waiting for a run that is being stored there."""
        with self.ledger.recorder.write(scope) as tx:
            return self._execute(tx, requests, self._read_state(tx, requests)[1])

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
        return terms_and_quotas(*tx.read_together(*self.terms_lookups(tx, tx.dialect.in_list(partners))))

    def terms_lookups(
        self, tx: Cursor, partners: Condition
    ) -> tuple[Lookup[dict[str, PartnerTerms]], Lookup[dict[str, int]]]:
        """Returns the lookups of the terms and of the used quota of today, for `terms_and_quotas`."""
        return self._terms_lookup(partners), quota_use_lookup(partners, day_of(self.ledger.recorder.now(tx)))

    def _read_state(
        self, tx: Cursor, requests: Sequence[SingleRequestCommand], scopes: Collection[Scope] = ()
    ) -> tuple[set[Scope], _State]:
        """Returns the busy ones of the scopes, and the state that the requests need."""
        uids = {request.key.offer_uid.bytes for request in requests if isinstance(request, SingleRequest)}
        partners = tx.dialect.in_list({request.partner for request in requests})
        busy, *state = tx.read_together(
            tx.dialect.busy_scopes(scopes),
            *self.terms_lookups(tx, partners),
            self._offers_lookup(tx.dialect.in_list(uids)),
        )
        return busy, _State(*state)

    def _execute(
        self, tx: Cursor, requests: Sequence[SingleRequestCommand], state: _State
    ) -> Sequence[SingleRequestResult]:
        if not requests:
            return []
        now = self.ledger.recorder.now(tx)
        known_ids = self._find_ids(tx, deletions_of_unknown(requests, state.offers))
        results = decide_requests(requests, state.terms, state.used, state.offers, now, known_ids)
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


def terms_and_quotas(terms: dict[str, PartnerTerms], used: dict[str, int]) -> dict[str, tuple[PartnerTerms, Quota]]:
    """Returns terms and quota by partner."""
    return {name: (limits, quota_of(limits, used.get(name, 0))) for name, limits in terms.items()}


def _scope(request: SingleRequestCommand) -> Scope | None:
    """The scope that contains the request's offer; None for a command that changes no offer."""
    return None if isinstance(request, CountRefusal) else Scope(request.partner, Channel.MERCHANT)


def _context(request: SingleRequest) -> CommitContext:
    return CommitContext(request.origin, request.partner, trace_id=request.trace_id)
