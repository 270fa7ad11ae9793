"""The inventory as of any position of the ledger.

The queries are those of the inventory, over the periods of offers. Members that never change come from the inventory
itself.
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
from projections.offers.inventory import (
    OfferFilter,
    OfferPage,
    OfferView,
    identity_conditions,
    owned_offer,
    page_of,
    view_of,
)
from projections.offers.offer_holds import COLUMNS, JOINS, VERSION_AS_OF
from projections.offers.offer_periods import VERSION_AS_OF_POSITION

_LONGEST_WINDOW = (timedelta(days=MAX_DAYS) + CLOCK_TOLERANCE) // timedelta(microseconds=1)
"""The longest time from the recording of a window to its end, in microseconds."""


class LedgerState(Struct, frozen=True):
    """The state of the ledger as of `head`. Redemption windows are evaluated at `evaluated_at`."""

    head: LedgerHead
    evaluated_at: datetime


def page(tx: Cursor, offer_filter: OfferFilter, state: LedgerState, after: int, limit: int) -> OfferPage:
    """Returns offers as of a state, in the order of their creation. Before the first event, the page is empty."""
    is_rare = offer_filter.status in {Status.PAUSED, Status.DELETED}
    are_few = any((offer_filter.partner, offer_filter.merchant_id, offer_filter.external_id))
    select = _THROUGH_PERIODS if is_rare and not are_few else _THROUGH_OFFERS
    conditions, values = _conditions(offer_filter, state.evaluated_at)
    if is_rare:
        conditions.append(_EVER_HAD_STATUS if are_few else _BEGAN)
        values += [offer_filter.status, state.head.position] if are_few else [state.head.position]
    rows = tx.execute(
        f"{select} WHERE {' AND '.join(['i.offer_id > ?', _EXISTED, *conditions])} ORDER BY i.offer_id LIMIT ?",
        (*_select_parameters(state), after, state.head.position, *values, limit + 1),
    ).fetchall()
    return page_of(tx, rows, state.evaluated_at, limit, state.head)


def find(tx: Cursor, offer_uid: UUID, state: LedgerState, partner: str | None = None) -> OfferView | None:
    """Returns an offer as of a state, with `partner` only an offer of that partner; None before it was created."""
    condition, values = owned_offer(_NAMED, offer_uid, partner)
    row = tx.execute(f"{_THROUGH_OFFERS} WHERE {condition}", (*_select_parameters(state), *values)).fetchone()
    return view_of(tx, row, state.evaluated_at) if row else None


# The latest end of the recorded windows. The upper bound is the end of the longest window of the newest commit.
_LAST_UNTIL = """
    (SELECT w.redeemable_until FROM redemption_windows w JOIN commits wc ON wc.commit_id = w.commit_id
     WHERE w.offer_id = i.offer_id AND w.redeemable_until > ? AND w.redeemable_until <= ? AND wc.first_position <= ?
     ORDER BY w.redeemable_until DESC LIMIT 1)
"""
_SELECT = f"""
    SELECT * FROM (
        SELECT {{first}}.offer_id, p.commit_id, i.partner, i.channel, i.merchant_id, i.external_id, i.searched_ids,
               p.status, p.version, p.content_version, content.searched_names, s.stream_uid,
               created.recorded_at AS created_at, updated.recorded_at AS updated_at, since.recorded_at AS status_since,
               {_LAST_UNTIL} AS last_until, {COLUMNS}
        FROM {{tables}} ON p.offer_id = i.offer_id
            AND p.version = {VERSION_AS_OF_POSITION.format(offer_id="{first}.offer_id")}
        CROSS JOIN offer_periods content ON content.offer_id = i.offer_id AND content.version = p.content_version
        CROSS JOIN offer_periods status_start ON status_start.offer_id = i.offer_id
            AND status_start.version = p.status_version
        CROSS JOIN streams s ON s.stream_id = i.offer_id
        CROSS JOIN commits created ON created.commit_id = i.created_commit
        CROSS JOIN commits updated ON updated.commit_id = p.commit_id
        CROSS JOIN commits since ON since.commit_id = status_start.commit_id
        {JOINS.format(offer_id="i.offer_id", version=VERSION_AS_OF.format(offer_id="i.offer_id"))}
    ) i
"""
_THROUGH_OFFERS = _SELECT.format(first="i", tables="inventory i CROSS JOIN offer_periods p")
# For a rare status: reads the periods with this status and keeps those that include the position.
_THROUGH_PERIODS = _SELECT.format(first="p", tables="offer_periods p CROSS JOIN inventory i")
_NAMED = "i.offer_id = (SELECT stream_id FROM streams WHERE stream_uid = ?)"
# Commits up to the position have no higher id than this one, so later periods are skipped.
_COMMIT = "(SELECT highest_commit_id FROM commits WHERE first_position <= ? ORDER BY first_position DESC LIMIT 1)"
_BEGAN = f"i.status <> 'active' AND i.commit_id <= {_COMMIT}"
# Because of LIMIT, SQLite tests this before the joins. Otherwise, it joins `e` after all other tables.
_EVER_HAD_STATUS = f"""
    EXISTS (
        SELECT 1 FROM offer_periods e
        WHERE e.offer_id = i.offer_id AND e.status = ? AND e.status <> 'active' AND e.commit_id <= {_COMMIT} LIMIT 1)
"""
# Skips nearly all offers that were created after the position.
_EXISTED = (
    "i.offer_id <= (SELECT highest_stream_id FROM commits WHERE first_position <= ?"
    " ORDER BY first_position DESC LIMIT 1)"
)


def _select_parameters(state: LedgerState) -> tuple[int, int, int, int, int]:
    """Returns the parameters of `_SELECT`."""
    evaluated_at = to_microseconds(state.evaluated_at)
    newest = max(evaluated_at, to_microseconds(state.head.recorded_at or state.evaluated_at))
    return evaluated_at, newest + _LONGEST_WINDOW, state.head.position, state.head.position, state.head.position


_IS_HELD = "(i.hold_version IS NOT NULL AND (i.held_until IS NULL OR i.held_until > ?))"


def _conditions(offer_filter: OfferFilter, evaluated_at: datetime) -> tuple[list[str], list[Any]]:
    conditions, values = identity_conditions(offer_filter)
    if offer_filter.status is not None:
        conditions.append("i.status = ?")
        values.append(offer_filter.status)
    if offer_filter.redeemable is not None:
        redeemable = f"((i.status = 'active' AND NOT {_IS_HELD}) OR i.last_until IS NOT NULL)"
        conditions.append(redeemable if offer_filter.redeemable else f"NOT {redeemable}")
        values.append(to_microseconds(evaluated_at))
    if offer_filter.q is not None:
        conditions.append("(instr(i.searched_ids, ?) > 0 OR instr(i.searched_names, ?) > 0)")
        values += [offer_filter.q.casefold()] * 2
    return conditions, values
