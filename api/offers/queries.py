"""How do offers reach their readers, by HTTP and from the command line: as they are, or as they were?"""

from typing import Any, NamedTuple
from uuid import UUID

from api.http import pagination as cursors
from api.http.as_of import PRESENT, Asked, head_of_state
from api.http.pagination import told_of_head
from api.http.query_params import uid
from domain.ledgers.ledger import Snapshots
from domain.store.commit import Head, head_at_position, head_of
from domain.store.cursor import Cursor
from domain.values import EPOCH, Channel, to_microseconds
from projections.offers import inventory, status_counts
from projections.offers import inventory_as_of as inventory_then
from projections.offers.inventory import OfferFilter, OfferPage, OfferView
from projections.offers.inventory_as_of import Then


class AsOfPlace(NamedTuple):
    """Where a page of a past state ended; `moment` in microseconds."""

    position: int
    moment: int
    offer_id: int


def then_of(ledger: Snapshots, tx: Cursor, asked: Asked) -> Then:
    """Of the present state, or a past one: redemption windows are judged at the time that was asked for, never ahead of now, or
    at that of the position."""
    head = head_of_state(tx, asked)
    if asked == PRESENT:
        return Then(head, ledger.present(tx))
    moment = head.recorded_at or EPOCH
    return Then(head, min(asked.as_of, ledger.present(tx)) if asked.as_of else moment)


def offer_page(
    ledger: Snapshots, wanted: OfferFilter, asked: Asked, cursor: str | None, limit: int, *, visible: bool = True
) -> dict[str, Any]:
    """One page of the inventory. Every page of a past state is of the same one. Raises InvalidCursor."""
    if asked == PRESENT:
        return _present_page(ledger, wanted, cursor, limit, visible=visible)
    question = (wanted, asked)
    place = cursors.decode_as(AsOfPlace, question, cursor)
    with ledger.reading() as tx:
        if place:
            then = Then(head_at_position(tx, place.position), cursors.moment(place.moment))
        else:
            then = then_of(ledger, tx, asked)
        after = place.offer_id if place else cursors.START
        page = inventory_then.page(tx, wanted, then, after, limit) if visible else OfferPage([], None, then.head)
    following = page.next_after and AsOfPlace(then.head.position, to_microseconds(then.moment), page.next_after)
    return _document(page, cursors.encode(question, following))


def _present_page(
    ledger: Snapshots, wanted: OfferFilter, cursor: str | None, limit: int, *, visible: bool
) -> dict[str, Any]:
    after = cursors.decode(wanted, cursor)
    with ledger.reading() as tx:
        if visible:
            page = inventory.page(tx, wanted, ledger.present(tx), after, limit)
        else:
            page = OfferPage([], None, head_of(tx))
    return _document(page, cursors.encode(wanted, page.next_after))


def _document(page: OfferPage, next_cursor: str | None) -> dict[str, Any]:
    return {"items": page.items, "nextCursor": next_cursor, **told_of_head(page.head)}


def count_document(
    ledger: Snapshots, partner: str | None, channel: Channel | None, asked: Asked, *, visible: bool = True
) -> dict[str, Any]:
    """How many offers are in each state, or were."""
    with ledger.reading() as tx:
        head = head_of_state(tx, asked)
        counts = status_counts.counts(tx, partner, channel, head if visible else Head(0, None))
    return {"counts": counts, **told_of_head(head)}


def find_visible(ledger: Snapshots, tx: Cursor, partner: str | None, offer_uid: str, asked: Asked) -> OfferView | None:
    """One offer by its offerUid as it was given; None also for what is another partner's. `partner`: whose things alone are to be
    seen; None: everybody's."""
    named = uid(offer_uid)
    offer = find_offer(ledger, tx, named, asked) if named else None
    return offer if offer and partner in {None, offer.partner} else None


def find_offer(ledger: Snapshots, tx: Cursor, offer_uid: UUID, asked: Asked) -> OfferView | None:
    """One offer as it is, or as it was."""
    if asked == PRESENT:
        return inventory.find(tx, offer_uid, ledger.present(tx))
    return inventory_then.find(tx, offer_uid, then_of(ledger, tx, asked))
