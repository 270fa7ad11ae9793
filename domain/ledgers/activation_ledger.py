"""How are activations and flights recorded? Several activations in one transaction, each as if it were alone."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from domain.ledgers.ledger import OfferLedger
from domain.redemption import flight
from domain.redemption.activation import Activation, OfferAsOf
from domain.redemption.activation_group import (
    Activated,
    ActivationContext,
    OfferTerms,
    PendingActivation,
    TermsAsOf,
    decide_activations,
    past_states_needed,
)
from domain.redemption.flight import Flights, ScheduleFlight
from domain.refusals import Refused, UnknownOffer
from domain.store.commit import CommitContext
from domain.store.cursor import Cursor
from domain.store.retry import retry_transaction
from domain.values import Origin, flights_uid


class ActivationQueries(Struct, frozen=True):
    """What decisions about activations are made from."""

    offer_as_of: Callable[[Cursor, UUID, datetime], OfferAsOf]
    offer_terms: Callable[[Cursor, Collection[UUID]], Mapping[UUID, OfferTerms]]
    """Of those that were ever seen."""
    window_days_at: Callable[[Cursor, str, datetime], int]
    """How long a partner's redemption windows were at a moment, where no flight was in force."""
    activations: Callable[[Cursor, Collection[tuple[str, UUID]]], Sequence[Activation]]
    """Of customers, each of an offer."""


class ActivationLedger:
    """The activations and flights of a ledger."""

    def __init__(self, ledger: OfferLedger, ask: ActivationQueries) -> None:
        self.ledger = ledger
        self._ask = ask

    @retry_transaction
    def execute(self, requests: Sequence[PendingActivation]) -> list[Activated | Refused]:
        """Carries requests out in their order, in one transaction; one that is refused leaves the others alone.

        Raises StorageError, and then none of them has been carried out."""
        with self.ledger.recorder.write() as tx:
            now = self.ledger.now(tx)
            known = self._known(tx, requests, now)
            results = decide_activations(requests, known, now)
            changes = [
                (
                    CommitContext(request.origin, known.terms[request.activate.offer_uid].partner),
                    [(result.activation.activation_id, 0, [result.event])],
                )
                for request, result in zip(requests, results, strict=True)
                if isinstance(result, Activated) and result.event
            ]
            self.ledger.commit_each(tx, changes)
        return results

    @retry_transaction
    def schedule(self, command: ScheduleFlight, origin: Origin) -> bool:
        """Whether the flight is new. Raises UnknownOffer, and what flight.schedule raises."""
        with self.ledger.recorder.write() as tx:
            terms = self._terms(tx, command.offer_uid)
            version, flights = self._flights(tx, command.offer_uid)
            events = flight.schedule(flights, command, self.ledger.now(tx))
            stream = (flights_uid(command.offer_uid), version, events)
            self.ledger.commit(tx, CommitContext(origin, terms.partner), [stream])
        return bool(events)

    def flights(self, tx: Cursor, offer_uid: UUID) -> Flights:
        """Raises UnknownOffer."""
        self._terms(tx, offer_uid)
        return self._flights(tx, offer_uid)[1]

    def _known(self, tx: Cursor, requests: Sequence[PendingActivation], now: datetime) -> ActivationContext:
        asked = [request.activate for request in requests]
        terms = self._ask.offer_terms(tx, {one.offer_uid for one in asked})
        before = {
            (uid, moment): TermsAsOf(
                self._ask.offer_as_of(tx, uid, moment), self._ask.window_days_at(tx, terms[uid].partner, moment)
            )
            for uid, moment in past_states_needed(requests, terms, now)
        }
        streams = {flights_uid(uid): uid for uid in terms}
        states = self.ledger.states(tx, streams, flight.evolve, flight.NO_FLIGHTS)
        flights = {streams[stream]: state for stream, (_, state) in states.items()}
        made = self._ask.activations(tx, {(one.customer_id, one.offer_uid) for one in asked if one.offer_uid in terms})
        return ActivationContext(terms, before, flights, made)

    def _flights(self, tx: Cursor, offer_uid: UUID) -> tuple[int, Flights]:
        """How many events they have, and what they are."""
        return self.ledger.state(tx, flights_uid(offer_uid), flight.evolve, flight.NO_FLIGHTS)

    def _terms(self, tx: Cursor, offer_uid: UUID) -> OfferTerms:
        terms = self._ask.offer_terms(tx, [offer_uid]).get(offer_uid)
        if terms is None:
            raise UnknownOffer
        return terms
