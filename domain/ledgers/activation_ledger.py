"""Records activations and flights. Activations are executed in groups, one transaction for each group."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from domain.ledgers.ledger import OfferLedger
from domain.redemption import flight
from domain.redemption.activation import Activation, OfferAsOf
from domain.redemption.activation_group import (
    ActivationContext,
    ActivationResult,
    OfferTerms,
    PendingActivation,
    TermsAsOf,
    decide_activations,
    past_states_needed,
)
from domain.redemption.flight import Flights, ScheduleFlight
from domain.refusals import Refused, UnknownOffer
from domain.store.commit import CommitContext, head_at_time
from domain.store.cursor import Cursor
from domain.store.retry import retry_transaction
from domain.values import EPOCH, Origin, flights_uid


class ActivationQueries(Struct, frozen=True):
    """Queries of the projections that decisions about activations and redemptions need."""

    offer_as_of: Callable[[Cursor, UUID, datetime], OfferAsOf]
    offer_terms: Callable[[Cursor, Collection[UUID]], Mapping[UUID, OfferTerms]]
    """Terms by offerUid; offers that never existed are left out."""
    window_days_at: Callable[[Cursor, str, datetime], int]
    """Redemption window days of a partner at a time, if no flight was in force."""
    activations: Callable[[Cursor, Collection[tuple[str, UUID]]], Sequence[Activation]]
    """Activations of pairs of customerId and offerUid, in the order of their times."""


class ActivationLedger:
    """The activations and flights of a ledger."""

    def __init__(self, ledger: OfferLedger, queries: ActivationQueries) -> None:
        self.ledger = ledger
        self._queries = queries

    @retry_transaction
    def execute(self, requests: Sequence[PendingActivation]) -> list[ActivationResult | Refused]:
        """Executes requests in their order, in one transaction. A refused request does not affect the others.

        Raises StorageError; then none of the requests has been executed."""
        with self.ledger.recorder.write() as tx:
            now = self.ledger.now(tx)
            context = self._context(tx, requests, now)
            results = decide_activations(requests, context, now)
            changes = [
                (
                    CommitContext(request.origin, context.terms[request.activate.offer_uid].partner),
                    [(result.activation.activation_id, 0, [result.event])],
                )
                for request, result in zip(requests, results, strict=True)
                if isinstance(result, ActivationResult) and result.event
            ]
            self.ledger.commit_each(tx, changes)
        return results

    @retry_transaction
    def schedule(self, command: ScheduleFlight, origin: Origin) -> bool:
        """Returns True if the flight is new. Raises UnknownOffer and the refusals of `flight.schedule`."""
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

    def _context(self, tx: Cursor, requests: Sequence[PendingActivation], now: datetime) -> ActivationContext:
        commands = [request.activate for request in requests]
        terms = self._queries.offer_terms(tx, {command.offer_uid for command in commands})
        past = past_states_needed(requests, terms)
        settled = (head_at_time(tx, now).recorded_at or EPOCH) if past else EPOCH
        past_terms = {
            (uid, time): TermsAsOf(
                self._queries.offer_as_of(tx, uid, time), self._queries.window_days_at(tx, terms[uid].partner, time)
            )
            for uid, time in past
            if time <= settled
        }
        streams = {flights_uid(uid): uid for uid in terms}
        states = self.ledger.states(tx, streams, flight.evolve, flight.NO_FLIGHTS)
        flights = {streams[stream]: state for stream, (_, state) in states.items()}
        pairs = {(command.customer_id, command.offer_uid) for command in commands if command.offer_uid in terms}
        return ActivationContext(terms, past_terms, flights, self._queries.activations(tx, pairs))

    def _flights(self, tx: Cursor, offer_uid: UUID) -> tuple[int, Flights]:
        """Returns the version of the stream of flights and its state."""
        return self.ledger.state(tx, flights_uid(offer_uid), flight.evolve, flight.NO_FLIGHTS)

    def _terms(self, tx: Cursor, offer_uid: UUID) -> OfferTerms:
        terms = self._queries.offer_terms(tx, [offer_uid]).get(offer_uid)
        if terms is None:
            raise UnknownOffer
        return terms
