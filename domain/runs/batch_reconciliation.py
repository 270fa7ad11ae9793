"""Computes the changes that a batch makes.

Each item is compared with the offer of the same externalId. A Synchronize also pauses active offers that no item names.
A failed item still counts as present, so that a mistake never pauses an offer.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from domain.events import PauseCause
from domain.offers import offer as offers
from domain.offers.content import SentContent
from domain.offers.offer import ABSENT, Offer
from domain.runs.plan import OfferChange, Plan
from domain.runs.run import ItemOutcome, Outcome
from domain.values import Channel, OfferKey, Operation, Status

SAME_DATA = "Offer has the same data"
RESUMED = "Offer has been resumed"
RESTORED = "Offer has been restored"
NOTHING_PAUSED = "No offer has been paused: an item of this request has no readable externalId"
MAX_REMARKS = 10
"""Remarks about the copies of one item; more of them would not help the sender."""
UNREADABLE_ID = ""
"""Stands for an externalId that could not be read; the messages have the item's index. No valid id is empty."""
_SAME_DATA = (SAME_DATA,)
_MESSAGE_BY_FORMER_STATUS = {Status.PAUSED: RESUMED, Status.DELETED: RESTORED}


class ValidItem(Struct, frozen=True, gc=False):
    """A valid item of the request. `remarks` are messages to the sender."""

    external_id: str
    content: SentContent
    remarks: tuple[str, ...] = ()


class InvalidItem(Struct, frozen=True, gc=False):
    """An invalid item. `external_id` is None if it could not be read."""

    external_id: str | None
    messages: tuple[str, ...]
    sent_digest: str = ""
    """SHA-256 of the item as it was sent."""


SentItem = ValidItem | InvalidItem


def reconcile(partner: str, operation: Operation, items: Sequence[SentItem], known: Mapping[str, Offer]) -> Plan:
    """Returns the changes and the outcome of a batch. Source of the rules: the behaviour tree in the batch document.

    `known`: the partner's offers on the custom channel by externalId. All of them for a Synchronize; otherwise at least
    those in the request."""
    plan = Plan(changes=[], outcome=Outcome())
    present = {item.external_id for item in items if item.external_id is not None}
    copies = _repeated(items, present)
    for item in items:
        if item.external_id is None:
            plan.outcome.failed.append(ItemOutcome(UNREADABLE_ID, item.messages))
        elif group := copies.get(item.external_id, (item,)):
            offer = known.get(item.external_id, ABSENT)
            _place(plan, _key(partner, item.external_id), offer, _merge_copies(item.external_id, group))
            if len(group) > 1:
                copies[item.external_id] = ()
    if operation is Operation.SYNCHRONIZE:
        _pause_absent(plan, partner, known, present, can_pause=all(item.external_id is not None for item in items))
    return plan


def _repeated(items: Sequence[SentItem], present: Collection[str]) -> dict[str, Sequence[SentItem]]:
    """Returns all items with each id that occurs more than once. `present`: the ids of all items."""
    readable = [item for item in items if item.external_id is not None]
    if len(readable) == len(present):
        return {}  # nearly always
    copies: dict[str, list[SentItem]] = {}
    for item in readable:
        copies.setdefault(str(item.external_id), []).append(item)
    return {external_id: group for external_id, group in copies.items() if len(group) > 1}


def _merge_copies(external_id: str, copies: Sequence[SentItem]) -> SentItem:
    """Returns one item for all items with the same externalId; an invalid one if their contents differ."""
    first, *others = copies
    if not others:
        return first
    if all(_have_same_content(first, other) for other in others):
        return _with_messages_of_copies(first, copies)
    messages = [message for copy in copies if isinstance(copy, InvalidItem) for message in copy.messages]
    return InvalidItem(external_id, (f"externalId: sent {len(copies)} times with different content", *messages))


def _with_messages_of_copies(first: SentItem, copies: Sequence[SentItem]) -> SentItem:
    """Returns the first of several equal items, with the messages of all of them and their number."""
    sent = f"Sent {len(copies)} times"
    if isinstance(first, InvalidItem):
        return replace(first, messages=(*first.messages, sent))
    remarks = dict.fromkeys(remark for copy in copies if isinstance(copy, ValidItem) for remark in copy.remarks)
    return replace(first, remarks=(*islice(remarks, MAX_REMARKS), sent))


def _have_same_content(one: SentItem, other: SentItem) -> bool:
    return (
        isinstance(one, ValidItem) and isinstance(other, ValidItem) and one.content.digest == other.content.digest
    ) or one == other


def _place(plan: Plan, key: OfferKey, offer: Offer, item: SentItem) -> None:
    outcome = plan.outcome
    if isinstance(item, InvalidItem):
        outcome.failed.append(ItemOutcome(item.external_id, item.messages))
        return
    events = offers.put(offer, key, item.content)
    if events:
        plan.changes.append(OfferChange(key, offer.version, tuple(events)))
    if not events:
        outcome.unchanged.append(
            ItemOutcome(item.external_id, (SAME_DATA, *item.remarks) if item.remarks else _SAME_DATA)
        )
    elif offer.status is Status.ABSENT:
        outcome.created.append(ItemOutcome(item.external_id, item.remarks))
    elif offer.status in _MESSAGE_BY_FORMER_STATUS:
        outcome.updated.append(ItemOutcome(item.external_id, (_MESSAGE_BY_FORMER_STATUS[offer.status], *item.remarks)))
    else:
        outcome.updated.append(ItemOutcome(item.external_id, item.remarks))


def _pause_absent(
    plan: Plan, partner: str, known: Mapping[str, Offer], present: Collection[str], *, can_pause: bool
) -> None:
    outcome = plan.outcome
    if not can_pause:
        outcome.messages.append(NOTHING_PAUSED)
    elif not outcome.counts.nothing_valid:
        for external_id, offer in known.items():
            events = () if external_id in present else offers.pause(offer, PauseCause.ABSENT_FROM_SYNCHRONIZE)
            if events:
                plan.changes.append(OfferChange(_key(partner, external_id), offer.version, events))
                outcome.paused.append(ItemOutcome(external_id, ()))


def _key(partner: str, external_id: str) -> OfferKey:
    return OfferKey(partner, Channel.CUSTOM, None, external_id)
