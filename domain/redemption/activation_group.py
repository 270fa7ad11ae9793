"""What becomes of activations that are decided together? Each as if it came alone, after those before it and at
the same moment."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from domain.events import OfferActivated
from domain.redemption.activation import Activate, Activation, OfferAsOf, activate, activation_of, activation_time
from domain.redemption.flight import NO_FLIGHTS, Flights
from domain.refusals import Refused, UnknownOffer, decided_or_refused
from domain.values import Origin


class OfferTerms(Struct, frozen=True):
    """Whose offer it is, how it is now, and how long its redemption windows are now where no flight is in force. `since`: when
    one of the two was last changed."""

    partner: str
    redemption_window_days: int
    current: OfferAsOf
    since: datetime


class TermsAsOf(Struct, frozen=True):
    """How an offer was at a moment, and how long its redemption windows where no flight was in force."""

    offer: OfferAsOf
    redemption_window_days: int


class PendingActivation(Struct, frozen=True):
    """`activation_id`: that of the activation if it is a new one. It tells nothing of the customer."""

    origin: Origin
    activate: Activate
    activation_id: UUID


class Activated(Struct, frozen=True):
    """The activation, and whether it was made just now, by this event."""

    activation: Activation
    event: OfferActivated | None = None

    @property
    def is_new(self) -> bool:
        return self.event is not None


class ActivationContext(Struct, frozen=True):
    """What requests are decided from, of the offers that they name: their terms now and, where a request is about a moment
    before those held, then; their flights; what their customers have activated, in the order of the moments."""

    terms: Mapping[UUID, OfferTerms]
    past_terms: Mapping[tuple[UUID, datetime], TermsAsOf]
    flights: Mapping[UUID, Flights]
    activations: Sequence[Activation]


def past_states_needed(
    requests: Sequence[PendingActivation], terms: Mapping[UUID, OfferTerms], now: datetime
) -> set[tuple[UUID, datetime]]:
    """The offers and moments of which it must be known how they were."""
    named = {(asked.offer_uid, asked.activated_at or now) for asked in (request.activate for request in requests)}
    return {(uid, moment) for uid, moment in named if uid in terms and moment < terms[uid].since}


def decide_activations(
    requests: Sequence[PendingActivation], known: ActivationContext, now: datetime
) -> list[Activated | Refused]:
    """In the order of the requests, at one moment."""
    group = _Group(known, now)
    return [decided_or_refused(group.decide, request) for request in requests]


class _Group:
    """How everything stands after the requests so far."""

    def __init__(self, known: ActivationContext, now: datetime) -> None:
        self._known, self._now = known, now
        self._made: dict[tuple[str, UUID], list[Activation]] = {}
        for activation in known.activations:
            self._add(activation)

    def decide(self, request: PendingActivation) -> Activated:
        """Raises Refused."""
        asked, terms = request.activate, self._known.terms.get(request.activate.offer_uid)
        if terms is None:
            raise UnknownOffer
        moment = activation_time(asked, self._now)
        then = self._known.past_terms.get((asked.offer_uid, moment))
        then = then or TermsAsOf(terms.current, terms.redemption_window_days)
        days = self._known.flights.get(asked.offer_uid, NO_FLIGHTS).days_at(moment) or then.redemption_window_days
        made = self._made.get((asked.customer_id, asked.offer_uid), ())
        decided = activate(asked, made, then.offer, terms.current.status, days, self._now)
        if not isinstance(decided, OfferActivated):
            return Activated(decided)
        activation = activation_of(request.activation_id, decided)
        self._add(activation)
        return Activated(activation, decided)

    def _add(self, activation: Activation) -> None:
        self._made.setdefault((activation.customer_id, activation.offer_uid), []).append(activation)
