"""Reads offers for HTTP and the command line, now or as of a past state.

Functions with `visible` return an empty result if it is False: the caller may not see the requested partner's offers.
"""

import hashlib
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from api.http.as_of import AsOf, resolve, resolve_head
from api.http.pagination import FIRST_PAGE, PageCursors, cursor_time, head_members
from api.http.query_params import uid
from domain.ledgers.ledger import LedgerReader
from domain.store.commit import LedgerHead, current_head, head_at_position
from domain.store.cursor import Cursor
from domain.values import Channel, to_microseconds
from projections.access.tokens import Caller
from projections.offers import inventory, inventory_as_of, status_counts
from projections.offers.inventory import OfferFilter, OfferPage, OfferView
from projections.offers.inventory_as_of import LedgerState


class AsOfCursor(NamedTuple):
    """The place of a page's last offer, and the past state of the whole list. `evaluated_at` is in microseconds."""

    position: int
    evaluated_at: int
    offer_id: int


def offer_page(
    ledger: LedgerReader,
    offer_filter: OfferFilter,
    as_of: AsOf,
    cursor: str | None,
    limit: int,
    *,
    visible: bool = True,
) -> dict[str, Any]:
    """Returns one page of the inventory. All pages of a list show the same past state. Raises InvalidCursor."""
    if as_of.is_now:
        return _present_page(ledger, offer_filter, cursor, limit, visible=visible)
    with ledger.read() as tx:
        cursors = PageCursors(ledger.name_in(tx), (offer_filter, as_of))
        place = cursors.decode_as(AsOfCursor, cursor)
        if place:
            state = LedgerState(head_at_position(tx, place.position), cursor_time(place.evaluated_at))
        else:
            state = resolve(ledger, tx, as_of)
        after = place.offer_id if place else FIRST_PAGE
        page = (
            inventory_as_of.page(tx, offer_filter, state, after, limit) if visible else OfferPage([], None, state.head)
        )
    next_place = page.next_after and AsOfCursor(
        state.head.position, to_microseconds(state.evaluated_at), page.next_after
    )
    return _document(page, cursors.encode(next_place))


def _present_page(
    ledger: LedgerReader, offer_filter: OfferFilter, cursor: str | None, limit: int, *, visible: bool
) -> dict[str, Any]:
    with ledger.read() as tx:
        cursors = PageCursors(ledger.name_in(tx), offer_filter)
        after = cursors.decode(cursor)
        if visible:
            page = inventory.page(tx, offer_filter, ledger.now(tx), after, limit)
        else:
            page = OfferPage([], None, current_head(tx))
    return _document(page, cursors.encode(page.next_after))


def _document(page: OfferPage, next_cursor: str | None) -> dict[str, Any]:
    return {"items": page.items, "nextCursor": next_cursor, **head_members(page.head)}


def count_document(
    ledger: LedgerReader, partner: str | None, channel: Channel | None, as_of: AsOf, *, visible: bool = True
) -> dict[str, Any]:
    """Returns the number of offers in each status."""
    with ledger.read() as tx:
        head = resolve_head(ledger, tx, as_of)
        counts = status_counts.counts(tx, partner, channel, head if visible else LedgerHead(0, None))
    return {"counts": counts, **head_members(head)}


def find_visible(ledger: LedgerReader, tx: Cursor, caller: Caller, offer_uid: str, as_of: AsOf) -> OfferView | None:
    """Returns an offer by its offerUid in text form; None if it does not exist or the caller may not see it."""
    parsed_uid = uid(offer_uid)
    return find_offer(ledger, tx, parsed_uid, as_of, caller.partner) if parsed_uid else None


def find_offer(
    ledger: LedgerReader, tx: Cursor, offer_uid: UUID, as_of: AsOf, partner: str | None = None
) -> OfferView | None:
    """Returns an offer; with `partner`, only an offer of that partner."""
    if as_of.is_now:
        return inventory.find(tx, offer_uid, ledger.now(tx), partner)
    return inventory_as_of.find(tx, offer_uid, resolve(ledger, tx, as_of), partner)


def entity_tag(offer: OfferView) -> str:
    """Returns the strong ETag of an offer: its version, a dot, and a digest of all members.

    The digest leaves out the content, which may be large: the version and `contentDigest` determine it."""
    members = msgspec.json.encode(msgspec.structs.replace(offer, content=_NO_CONTENT))
    return f'"{offer.version}.{hashlib.sha256(members).hexdigest()[:TAG_DIGITS]}"'


TAG_DIGITS = 16
_NO_CONTENT = msgspec.Raw(b"null")
