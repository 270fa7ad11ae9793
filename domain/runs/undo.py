"""Computes the changes that undo a run: the shortest list of events from each offer's present state to the one before the run.

An offer that has changed since the run is kept as it is.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from domain.events import (
    DeletionCause,
    OfferCreated,
    OfferDeleted,
    OfferEvent,
    OfferPaused,
    OfferRestored,
    OfferResumed,
    OfferUpdated,
    PauseCause,
)
from domain.runs.batch_reconciliation import RESUMED
from domain.runs.run import ItemOutcome, Outcome
from domain.values import Status

ContentSource = OfferCreated | OfferUpdated | OfferRestored
"""An event that sets the content of an offer."""


class ChangedOffer(Struct, frozen=True, gc=False):
    """An offer that a run has changed: its present state, and its state before the run."""

    uid: bytes
    offer_id: int
    merchant_id: str | None
    external_id: str
    version: int
    status: Status
    status_before: Status
    """ABSENT if the run created the offer."""
    content_before: int
    """The version that set the content before the run; 0 if the run created the offer."""
    has_other_content: bool
    """Whether the content differs from the one before the run. False if the run created the offer."""
    changed_by: str | None = None
    """The cause of the newest event, if that is not the run: another run, or a single request."""

    @property
    def needs_content(self) -> bool:
        """True if its reversal has an event with the content before the run."""
        kinds = reversal(self)
        return OfferUpdated in kinds or OfferRestored in kinds


_STATUS_CHANGES: Mapping[tuple[Status, Status], tuple[type[OfferEvent], ...]] = {
    (Status.ACTIVE, Status.PAUSED): (OfferPaused,),
    (Status.ACTIVE, Status.DELETED): (OfferDeleted,),
    (Status.ACTIVE, Status.ABSENT): (OfferDeleted,),
    (Status.PAUSED, Status.ACTIVE): (OfferResumed,),
    (Status.PAUSED, Status.DELETED): (OfferDeleted,),
    (Status.PAUSED, Status.ABSENT): (OfferDeleted,),
    (Status.DELETED, Status.ACTIVE): (OfferRestored,),
    (Status.DELETED, Status.PAUSED): (OfferRestored, OfferPaused),
}
"""The events from one status to another. Events cannot remove an offer, so it becomes deleted instead."""


def reversal(offer: ChangedOffer) -> tuple[type[OfferEvent], ...]:
    """Returns the types of the events that bring an offer back to its state before the run."""
    kinds = _STATUS_CHANGES.get((offer.status, offer.status_before), ())
    # A restored offer gets its content with the same event. A paused or deleted offer keeps its status with an update.
    return (*kinds, OfferUpdated) if offer.has_other_content and OfferRestored not in kinds else kinds


def reversing_events(offer: ChangedOffer, content: ContentSource | None) -> Iterator[OfferEvent]:
    """Yields the events of `reversal`. `content`: the event that set the content before the run, if `needs_content`."""
    for kind in reversal(offer):
        if kind is OfferPaused:
            yield OfferPaused(cause=PauseCause.UNDO)
        elif kind is OfferDeleted:
            yield OfferDeleted(cause=DeletionCause.UNDO)
        elif kind is OfferResumed:
            yield OfferResumed()
        elif content is not None:
            new = OfferRestored if kind is OfferRestored else OfferUpdated
            yield new(
                content=content.content,
                content_digest=content.content_digest,
                sent_digest=content.sent_digest,
                images=content.images,
            )


class UndoPlan(Struct, frozen=True):
    """The offers to reverse, in the order of the run's events, and the outcome of all offers that the run has changed."""

    reversals: list[ChangedOffer]
    outcome: Outcome


def plan_undo(offers: Sequence[ChangedOffer]) -> UndoPlan:
    """Returns the plan that undoes a run. `offers`: all that the run has changed."""
    plan = UndoPlan(reversals=[], outcome=Outcome())
    for offer in offers:
        if offer.changed_by is not None:
            message = f"Offer has been changed since by {offer.changed_by}"
            plan.outcome.kept.append(ItemOutcome(offer.external_id, (message,), offer.merchant_id))
            continue
        kinds = reversal(offer)
        messages = (RESUMED,) if OfferResumed in kinds else ()
        outcome = OUTCOME_BY_FIRST_EVENT[kinds[0]] if kinds else "unchanged"
        plan.outcome.add(outcome, ItemOutcome(offer.external_id, messages, offer.merchant_id))
        if kinds:
            plan.reversals.append(offer)
    return plan


OUTCOME_BY_FIRST_EVENT: Mapping[type[OfferEvent], str] = {
    OfferUpdated: "updated",
    OfferResumed: "updated",
    OfferPaused: "paused",
    OfferDeleted: "deleted",
    OfferRestored: "restored",
}
"""The outcome of an offer, by the first event of its reversal."""
