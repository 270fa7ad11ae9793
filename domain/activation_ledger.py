"""How are activations and flights recorded? Several activations in one transaction, each as if it were alone."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from uuid import UUID

from msgspec import Struct

from domain import flight as flights_of
from domain.activation import Activate, Activation, OfferThen, activate, activation_of, moment_of
from domain.events import OfferActivated
from domain.flight import Flights, ScheduleFlight
from domain.ledger import OfferLedger
from domain.refusals import Refused, UnknownOffer
from domain.store.again import again
from domain.store.commit import CommitContext
from domain.store.cursor import Cursor
from domain.store.savepoints import each_alone
from domain.values import Origin, flights_uid


class OfferTerms(Struct, frozen=True):
    """Whose offer it is, how it is now, and how long its redemption windows are now where no flight is in force."""

    partner: str
    redemption_window_days: int
    present: OfferThen


class ActivationRequest(Struct, frozen=True):
    """`activation_id`: that of the activation if it is a new one. It tells nothing of the customer."""

    origin: Origin
    activate: Activate
    activation_id: UUID


class Activated(Struct, frozen=True):
    """The activation, and whether it was made just now."""

    activation: Activation
    is_new: bool


class Questions(Struct, frozen=True):
    """What decisions about activations are made from."""

    offer_then: Callable[[Cursor, UUID, datetime], OfferThen]
    offer_terms: Callable[[Cursor, UUID], OfferTerms | None]
    days_then: Callable[[Cursor, str, datetime], int]
    """How long a partner's redemption windows were at a moment, where no flight was in force."""
    activations: Callable[[Cursor, str, UUID], Sequence[Activation]]
    """A customer's, of an offer."""


class ActivationLedger:
    """The activations and flights of a ledger."""

    def __init__(self, ledger: OfferLedger, ask: Questions) -> None:
        self.ledger = ledger
        self._ask = ask

    @again
    def carry_out(self, requests: Sequence[ActivationRequest]) -> list[Activated | Refused]:
        """Carries requests out in their order. Raises StorageError, and then none of them has been carried out."""
        with self.ledger.recorder.writing() as tx:
            # Nothing of these changes while only activations are written.
            terms = cache(lambda offer_uid: self._terms(tx, offer_uid))
            flights = cache(lambda offer_uid: self._flights(tx, offer_uid)[1])

            def carry_out(tx: Cursor, request: ActivationRequest) -> Activated:
                offer_uid = request.activate.offer_uid
                return self._activate(tx, request, terms(offer_uid), flights(offer_uid))

            return each_alone(tx, requests, carry_out)

    @again
    def schedule(self, command: ScheduleFlight, origin: Origin) -> bool:
        """Whether the flight is new. Raises UnknownOffer, and what flight.schedule raises."""
        with self.ledger.recorder.writing() as tx:
            terms = self._terms(tx, command.offer_uid)
            version, flights = self._flights(tx, command.offer_uid)
            events = flights_of.schedule(flights, command, self.ledger.present(tx))
            stream = (flights_uid(command.offer_uid), version, events)
            self.ledger.commit(tx, CommitContext(origin, terms.partner), [stream])
        return bool(events)

    def flights(self, tx: Cursor, offer_uid: UUID) -> Flights:
        """Raises UnknownOffer."""
        self._terms(tx, offer_uid)
        return self._flights(tx, offer_uid)[1]

    def _activate(self, tx: Cursor, request: ActivationRequest, terms: OfferTerms, flights: Flights) -> Activated:
        now, asked = self.ledger.present(tx), request.activate
        moment = moment_of(asked, now)
        then, days = terms.present, terms.redemption_window_days
        if moment < now:
            then = self._ask.offer_then(tx, asked.offer_uid, moment)
            days = self._ask.days_then(tx, terms.partner, moment)
        made = self._ask.activations(tx, asked.customer_id, asked.offer_uid)
        decided = activate(asked, made, then, terms.present.status, flights.days_at(moment) or days, now)
        if not isinstance(decided, OfferActivated):
            return Activated(decided, is_new=False)
        activation = activation_of(request.activation_id, decided)
        context = CommitContext(request.origin, terms.partner)
        self.ledger.commit(tx, context, [(activation.activation_id, 0, [decided])])
        return Activated(activation, is_new=True)

    def _flights(self, tx: Cursor, offer_uid: UUID) -> tuple[int, Flights]:
        """How many events they have, and what they are."""
        return self.ledger.state(tx, flights_uid(offer_uid), flights_of.evolve, flights_of.NONE)

    def _terms(self, tx: Cursor, offer_uid: UUID) -> OfferTerms:
        terms = self._ask.offer_terms(tx, offer_uid)
        if terms is None:
            raise UnknownOffer
        return terms
