"""How was one offer at a moment, by what was recorded until then?"""

from datetime import datetime
from uuid import UUID

import msgspec

from domain.redemption.activation import OfferAsOf
from domain.store.cursor import Cursor
from domain.store.records.contents import find_content
from domain.values import Status, to_microseconds


def offer_as_of(tx: Cursor, offer_uid: UUID, moment: datetime) -> OfferAsOf:
    """Periods begin with the recorded time of an event, and end before that of the next one."""
    row = tx.execute(
        "SELECT p.version, p.status FROM streams s JOIN offer_periods p ON p.offer_id = s.stream_id"
        " JOIN commits c ON c.commit_id = p.commit_id"
        " WHERE s.stream_uid = ? AND c.recorded_at <= ? ORDER BY p.version DESC LIMIT 1",
        (offer_uid.bytes, to_microseconds(moment)),
    ).fetchone()
    return OfferAsOf(Status(row["status"]), row["version"]) if row else OfferAsOf()


def content_at(tx: Cursor, offer_uid: UUID, version: int) -> msgspec.Raw:
    """What the offer said in that version, which there is."""
    row = tx.execute(
        "SELECT p.offer_id, p.content_version FROM streams s JOIN offer_periods p ON p.offer_id = s.stream_id"
        " WHERE s.stream_uid = ? AND p.version = ?",
        (offer_uid.bytes, version),
    ).fetchone()
    return find_content(tx, row["offer_id"], row["content_version"]).text
