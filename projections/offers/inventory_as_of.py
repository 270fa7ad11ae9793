"""In what state was every offer, at any position of the ledger?

Asked like the inventory, of the periods of offers; what never changes in an offer is told by the inventory itself.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.redemption.activation import CLOCK_TOLERANCE
from domain.redemption.window import MAX_DAYS
from domain.store.commit import LedgerHead
from domain.store.cursor import Cursor
from domain.values import Status, to_microseconds
from projections.offers.inventory import OfferFilter, OfferPage, OfferView, identity, page_of, view_of
from projections.offers.offer_periods import AT_POSITION

_LONGEST = (timedelta(days=MAX_DAYS) + CLOCK_TOLERANCE) // timedelta(microseconds=1)
"""How long after a moment a window can end that was recorded by then; in microseconds."""


class LedgerState(Struct, frozen=True):
    """What had been recorded until `head`; redemption windows are judged at `moment`."""

    head: LedgerHead
    evaluated_at: datetime


def page(tx: Cursor, wanted: OfferFilter, then: LedgerState, after: int, limit: int) -> OfferPage:
    """Offers in the order of their creation, as they were; none before the first event."""
    is_rare = wanted.status in {Status.PAUSED, Status.DELETED}
    are_few = any((wanted.partner, wanted.merchant_id, wanted.external_id))
    select = _THROUGH_PERIODS if is_rare and not are_few else _THROUGH_OFFERS
    conditions, values = _conditions(wanted)
    if is_rare:
        conditions.append(_EVER if are_few else _BEGAN)
        values += [wanted.status, then.head.position] if are_few else [then.head.position]
    rows = tx.execute(
        f"{select} WHERE {' AND '.join(['i.offer_id > ?', _WAS_THERE, *conditions])} ORDER BY i.offer_id LIMIT ?",
        (*_known(then), after, then.head.position, *values, limit + 1),
    ).fetchall()
    return page_of(tx, rows, then.evaluated_at, limit, then.head)


def find(tx: Cursor, offer_uid: UUID, then: LedgerState) -> OfferView | None:
    """None for one that was not there yet."""
    row = tx.execute(f"{_THROUGH_OFFERS} WHERE {_NAMED}", (*_known(then), offer_uid.bytes)).fetchone()
    return view_of(tx, row, then.evaluated_at) if row else None


# The latest end among the windows that were known then. None can end later than the longest one that was just activated.
_LAST_UNTIL = """
    (SELECT w.redeemable_until FROM redemption_windows w JOIN commits wc ON wc.commit_id = w.commit_id
     WHERE w.offer_id = i.offer_id AND w.redeemable_until > ? AND w.redeemable_until <= ? AND wc.first_position <= ?
     ORDER BY w.redeemable_until DESC LIMIT 1)
"""
_SELECT = f"""
    SELECT * FROM (
        SELECT {{first}}.offer_id, p.commit_id, i.partner, i.channel, i.merchant_id, i.external_id, i.searched_ids,
               p.status, p.version, p.content_version, brought.searched_names, s.stream_uid,
               created.recorded_at AS created_at, updated.recorded_at AS updated_at, since.recorded_at AS status_since,
               {_LAST_UNTIL} AS last_until
        FROM {{way}} ON p.offer_id = i.offer_id AND p.version = {AT_POSITION.format(offer_id="{first}.offer_id")}
        CROSS JOIN offer_periods brought ON brought.offer_id = i.offer_id AND brought.version = p.content_version
        CROSS JOIN offer_periods began ON began.offer_id = i.offer_id AND began.version = p.status_version
        CROSS JOIN streams s ON s.stream_id = i.offer_id
        CROSS JOIN commits created ON created.commit_id = i.created_commit
        CROSS JOIN commits updated ON updated.commit_id = p.commit_id
        CROSS JOIN commits since ON since.commit_id = began.commit_id
    ) i
"""
_THROUGH_OFFERS = _SELECT.format(first="i", way="inventory i CROSS JOIN offer_periods p")
# For a rare status: through the periods that have it, each of which is asked whether it is that of the position.
_THROUGH_PERIODS = _SELECT.format(first="p", way="offer_periods p CROSS JOIN inventory i")
_NAMED = "i.offer_id = (SELECT stream_id FROM streams WHERE stream_uid = ?)"
# No commit until then has a higher id, nor any offer in it.
_COMMIT = "(SELECT highest_commit_id FROM commits WHERE first_position <= ? ORDER BY first_position DESC LIMIT 1)"
_BEGAN = f"i.status <> 'active' AND i.commit_id <= {_COMMIT}"
_EVER = f"""
    EXISTS (
        SELECT 1 FROM offer_periods e
        WHERE e.offer_id = i.offer_id AND e.status = ? AND e.status <> 'active' AND e.commit_id <= {_COMMIT})
"""
# Nearly all of those that came later need not be looked at.
_WAS_THERE = "i.offer_id <= (SELECT highest_stream_id FROM commits WHERE first_position <= ? ORDER BY first_position DESC LIMIT 1)"


def _known(then: LedgerState) -> tuple[int, int, int, int]:
    """The parameters of _SELECT."""
    moment = to_microseconds(then.evaluated_at)
    return moment, moment + _LONGEST, then.head.position, then.head.position


def _conditions(wanted: OfferFilter) -> tuple[list[str], list[Any]]:
    conditions, values = identity(wanted)
    if wanted.status is not None:
        conditions.append("i.status = ?")
        values.append(wanted.status)
    if wanted.redeemable is not None:
        redeemable = "(i.status = 'active' OR i.last_until IS NOT NULL)"
        conditions.append(redeemable if wanted.redeemable else f"NOT {redeemable}")
    if wanted.q is not None:
        conditions.append("(instr(i.searched_ids, ?) > 0 OR instr(i.searched_names, ?) > 0)")
        values += [wanted.q.casefold()] * 2
    return conditions, values
