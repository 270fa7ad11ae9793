"""Status and content of one offer as of a recorded time or in a version."""

from datetime import datetime
from uuid import UUID

import msgspec

from domain.redemption.activation import OfferAsOf
from domain.redemption.hold import Hold
from domain.store.cursor import Cursor
from domain.store.records.contents import find_content
from domain.values import Status, to_microseconds
from projections.offers.offer_holds import hold_until


def offer_as_of(tx: Cursor, offer_uid: UUID, time: datetime) -> OfferAsOf:
    """Returns the state of an offer as of a recorded time, or an empty `OfferAsOf` before it was created.

    A period starts at the recorded time of its event and ends before that of the next event."""
    row = tx.execute(
        "SELECT p.version, p.status FROM streams s JOIN offer_periods p ON p.offer_id = s.stream_id"
        " JOIN commits c ON c.commit_id = p.commit_id"
        " WHERE s.stream_uid = ? AND c.recorded_at <= ? ORDER BY p.version DESC LIMIT 1",
        (offer_uid.bytes, to_microseconds(time)),
    ).fetchone()
    return OfferAsOf(Status(row["status"]), row["version"], _hold_as_of(tx, offer_uid, time)) if row else OfferAsOf()


def _hold_as_of(tx: Cursor, offer_uid: UUID, time: datetime) -> Hold | None:
    """Returns the newest hold as of a recorded time; None if the offer was not held, or had been released."""
    row = tx.execute(
        "SELECT h.held, h.held_until FROM streams s JOIN offer_holds h ON h.offer_id = s.stream_id"
        " JOIN commits c ON c.commit_id = h.commit_id"
        " WHERE s.stream_uid = ? AND c.recorded_at <= ? ORDER BY h.version DESC LIMIT 1",
        (offer_uid.bytes, to_microseconds(time)),
    ).fetchone()
    return hold_until(row["held_until"]) if row and row["held"] else None


def content_of_version(tx: Cursor, offer_uid: UUID, version: int) -> msgspec.Raw:
    """Returns the content of an offer in an existing version."""
    row = tx.execute(
        "SELECT p.offer_id, p.content_version FROM streams s JOIN offer_periods p ON p.offer_id = s.stream_id"
        " WHERE s.stream_uid = ? AND p.version = ?",
        (offer_uid.bytes, version),
    ).fetchone()
    return find_content(tx, row["offer_id"], row["content_version"]).text
