"""The projection `offer_holds`: one row for each hold and each release of an offer.

The newest row up to a position says whether the offer was held there. The commit of the row has the reason and the actor.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args
from uuid import UUID

from msgspec import Struct

from domain.events import HoldEvent, OfferHeld
from domain.ledgers.ledger import Entry
from domain.redemption.hold import Hold
from domain.store.cursor import Cursor
from domain.values import from_microseconds, recorded_text, to_microseconds
from projections.projection import Projection

TABLE = """
    CREATE TABLE offer_holds (
        offer_id INTEGER NOT NULL,
        version INTEGER NOT NULL,
        commit_id INTEGER NOT NULL,
        held INTEGER NOT NULL,
        held_until INTEGER,
        PRIMARY KEY (offer_id, version)
    )"""
_EVENTS = get_args(HoldEvent)


# Updates


def apply(tx: Cursor, entries: Sequence[Entry]) -> None:
    tx.executemany(
        "INSERT INTO offer_holds VALUES (coalesce((SELECT stream_id FROM streams WHERE stream_uid = ?), 0), ?, ?, ?, ?)"
        " ON CONFLICT (offer_id, version) DO NOTHING",
        [_row(entry, entry.event) for entry in entries if isinstance(entry.event, _EVENTS)],
    )


def _row(entry: Entry, event: HoldEvent) -> tuple[Any, ...]:
    is_held, until = (1, event.until) if isinstance(event, OfferHeld) else (0, None)
    return (UUID(event.offer_uid).bytes, entry.version, entry.commit_id, is_held, until)


PROJECTION = Projection(
    name="offer_holds",
    key=("offer_id", "version"),
    table=TABLE,
    apply=apply,
    events=frozenset(_EVENTS),
)


# Queries


class HoldView(Struct, frozen=True, rename="camel"):
    """A hold in force as the API returns it. `since` is its recorded time; without `until`, only a release ends it."""

    reason: str | None
    since: str
    until: str | None
    actor: str


JOINS = """
    LEFT JOIN offer_holds h ON h.offer_id = {offer_id} AND h.version = ({version}) AND h.held = 1
    LEFT JOIN commits hc ON hc.commit_id = h.commit_id
"""
"""Joins the hold `h` of an offer, and its commit `hc`. `version`: one of the queries below."""
NEWEST_VERSION = "SELECT max(g.version) FROM offer_holds g WHERE g.offer_id = {offer_id}"
VERSION_AS_OF = """
    SELECT max(g.version) FROM offer_holds g JOIN commits gc ON gc.commit_id = g.commit_id
    WHERE g.offer_id = {offer_id} AND gc.first_position <= ?
"""
COLUMNS = (
    "h.version AS hold_version, h.held_until, hc.recorded_at AS held_since, hc.actor AS held_by,"
    " hc.reason AS hold_reason"
)


def hold_until(microseconds: int | None) -> Hold:
    """Returns the hold of a row that says when it ends."""
    return Hold(None if microseconds is None else from_microseconds(microseconds))


def hold_of(row: Any, at: datetime) -> HoldView | None:
    """Returns the hold of a row with `COLUMNS`, if it is in force at a time."""
    until = row["held_until"]
    if row["hold_version"] is None or (until is not None and until <= to_microseconds(at)):
        return None
    return HoldView(
        row["hold_reason"],
        recorded_text(row["held_since"]),
        None if until is None else recorded_text(until),
        row["held_by"],
    )
