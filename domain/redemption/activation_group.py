"""Decisions about a group of activation requests that share a transaction and a time.

The results are the same as if the requests came one after the other.
"""

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
    """An offer's partner, its current state, and the current redemption window if no flight is in force.

    `changed_at`: the time of the last change to the state or the window."""

    partner: str
    redemption_window_days: int
    current: OfferAsOf
    changed_at: datetime


class TermsAsOf(Struct, frozen=True):
    """An offer at some time, and the redemption window at that time if no flight was in force."""

    offer: OfferAsOf
    redemption_window_days: int


class PendingActivation(Struct, frozen=True):
    """A request to activate an offer.

    `activation_id` becomes the id of the activation if it is new. It reveals nothing about the customer."""

    origin: Origin
    activate: Activate
    activation_id: UUID


class ActivationResult(Struct, frozen=True):
    """The activation, and its event if this request created it."""

    activation: Activation
    event: OfferActivated | None = None

    @property
    def is_new(self) -> bool:
        return self.event is not None


class ActivationContext(Struct, frozen=True):
    """Data that decisions about requests need, for the offers in the requests.

    `past_terms` has the terms at activation times before the current terms; see `past_states_needed`.
    `activations` has the customers' activations in the order of their times."""

    terms: Mapping[UUID, OfferTerms]
    past_terms: Mapping[tuple[UUID, datetime], TermsAsOf]
    flights: Mapping[UUID, Flights]
    activations: Sequence[Activation]


def past_states_needed(
    requests: Sequence[PendingActivation], terms: Mapping[UUID, OfferTerms]
) -> set[tuple[UUID, datetime]]:
    """Returns the offers and reported times for which the current terms were not recorded yet.

    The caller must supply the terms at these times. After the last commit that is not ahead of the clock, the current terms
    apply, so none are needed there."""
    times = {(command.offer_uid, command.activated_at) for command in (request.activate for request in requests)}
    return {(uid, time) for uid, time in times if time and uid in terms and time < terms[uid].changed_at}


def decide_activations(
    requests: Sequence[PendingActivation], context: ActivationContext, now: datetime
) -> list[ActivationResult | Refused]:
    """Returns the results in the order of the requests; all are decided as of `now`."""
    group = _Group(context, now)
    return [decided_or_refused(group.decide, request) for request in requests]


class _Group:
    """State after the requests that are already decided."""

    def __init__(self, context: ActivationContext, now: datetime) -> None:
        self._context, self._now = context, now
        self._activations: dict[tuple[str, UUID], list[Activation]] = {}
        for activation in context.activations:
            self._add(activation)

    def decide(self, request: PendingActivation) -> ActivationResult:
        """Raises Refused."""
        command, terms = request.activate, self._context.terms.get(request.activate.offer_uid)
        if terms is None:
            raise UnknownOffer
        time = activation_time(command, self._now)
        past_terms = self._context.past_terms.get((command.offer_uid, time)) if command.activated_at else None
        terms_then = past_terms or TermsAsOf(terms.current, terms.redemption_window_days)
        flights = self._context.flights.get(command.offer_uid, NO_FLIGHTS)
        days = flights.days_at(time) or terms_then.redemption_window_days
        activations = self._activations.get((command.customer_id, command.offer_uid), ())
        decided = activate(command, activations, terms_then.offer, terms.current.status, days, self._now)
        if not isinstance(decided, OfferActivated):
            return ActivationResult(decided)
        activation = activation_of(request.activation_id, decided)
        self._add(activation)
        return ActivationResult(activation, decided)

    def _add(self, activation: Activation) -> None:
        self._activations.setdefault((activation.customer_id, activation.offer_uid), []).append(activation)
