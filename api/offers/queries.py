"""How do offers reach their readers, by HTTP and from the command line: as they are, or as they were?"""

from typing import Any, NamedTuple
from uuid import UUID

from api.http import pagination
from api.http.as_of import AsOf, resolve, resolve_head
from api.http.pagination import head_members
from api.http.query_params import uid
from domain.ledgers.ledger import LedgerReader
from domain.store.commit import LedgerHead, current_head, head_at_position
from domain.store.cursor import Cursor
from domain.values import Channel, to_microseconds
from projections.offers import inventory, inventory_as_of, status_counts
from projections.offers.inventory import OfferFilter, OfferPage, OfferView
from projections.offers.inventory_as_of import LedgerState


class AsOfCursor(NamedTuple):
    """Where a page of a past state ended; `moment` in microseconds."""

    position: int
    moment: int
    offer_id: int


def offer_page(
    ledger: LedgerReader, wanted: OfferFilter, asked: AsOf, cursor: str | None, limit: int, *, visible: bool = True
) -> dict[str, Any]:
    """One page of the inventory. Every page of a past state is of the same one. Raises InvalidCursor."""
    if asked.is_now:
        return _present_page(ledger, wanted, cursor, limit, visible=visible)
    question = (wanted, asked)
    place = pagination.decode_cursor_as(AsOfCursor, question, cursor)
    with ledger.read() as tx:
        if place:
            then = LedgerState(head_at_position(tx, place.position), pagination.cursor_time(place.moment))
        else:
            then = resolve(ledger, tx, asked)
        after = place.offer_id if place else pagination.FIRST_PAGE
        page = inventory_as_of.page(tx, wanted, then, after, limit) if visible else OfferPage([], None, then.head)
    following = page.next_after and AsOfCursor(then.head.position, to_microseconds(then.evaluated_at), page.next_after)
    return _document(page, pagination.encode_cursor(question, following))


def _present_page(
    ledger: LedgerReader, wanted: OfferFilter, cursor: str | None, limit: int, *, visible: bool
) -> dict[str, Any]:
    after = pagination.decode_cursor(wanted, cursor)
    with ledger.read() as tx:
        if visible:
            page = inventory.page(tx, wanted, ledger.now(tx), after, limit)
        else:
            page = OfferPage([], None, current_head(tx))
    return _document(page, pagination.encode_cursor(wanted, page.next_after))


def _document(page: OfferPage, next_cursor: str | None) -> dict[str, Any]:
    return {"items": page.items, "nextCursor": next_cursor, **head_members(page.head)}


def count_document(
    ledger: LedgerReader, partner: str | None, channel: Channel | None, asked: AsOf, *, visible: bool = True
) -> dict[str, Any]:
    """How many offers are in each state, or were."""
    with ledger.read() as tx:
        head = resolve_head(tx, asked)
        counts = status_counts.counts(tx, partner, channel, head if visible else LedgerHead(0, None))
    return {"counts": counts, **head_members(head)}


def find_visible(
    ledger: LedgerReader, tx: Cursor, partner: str | None, offer_uid: str, asked: AsOf
) -> OfferView | None:
    """One offer by its offerUid as it was given; None also for what is another partner's. `partner`: whose things alone are to be
    seen; None: everybody's."""
    named = uid(offer_uid)
    offer = find_offer(ledger, tx, named, asked) if named else None
    return offer if offer and partner in {None, offer.partner} else None


def find_offer(ledger: LedgerReader, tx: Cursor, offer_uid: UUID, asked: AsOf) -> OfferView | None:
    """One offer as it is, or as it was."""
    if asked.is_now:
        return inventory.find(tx, offer_uid, ledger.now(tx))
    return inventory_as_of.find(tx, offer_uid, resolve(ledger, tx, asked))
