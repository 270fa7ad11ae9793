"""How was one offer at a moment, by what was recorded until then? Read from the events themselves."""

from datetime import datetime
from uuid import UUID

import msgspec

from domain.activation import OfferThen
from domain.events import OfferCreated, OfferRestored, OfferUpdated
from domain.offer import STATUS_AFTER
from domain.store.cursor import Cursor
from domain.store.images import whole_text
from domain.store.mapper import content_of
from domain.values import to_microseconds

_STATUS = {event.TOPIC: status for event, status in STATUS_AFTER.items()}
_BRINGING = (OfferCreated.TOPIC, OfferUpdated.TOPIC, OfferRestored.TOPIC)


def offer_then(tx: Cursor, offer_uid: UUID, moment: datetime) -> OfferThen:
    """Periods begin with the recorded time of an event, and end before that of the next one."""
    rows = tx.execute(
        "SELECT e.version, e.topic FROM streams s JOIN events e USING (stream_id) JOIN commits c USING (commit_id)"
        " WHERE s.stream_uid = ? AND c.recorded_at <= ? ORDER BY e.version DESC",
        (offer_uid.bytes, to_microseconds(moment)),
    )
    version = 0
    for row in rows:
        version = version or row["version"]
        if status := _STATUS[row["topic"]]:
            return OfferThen(status, version)
    return OfferThen()


def content_at(tx: Cursor, offer_uid: UUID, version: int) -> msgspec.Raw:
    """What the offer said in that version, which there is."""
    marks = ", ".join("?" * len(_BRINGING))
    row = tx.execute(
        "SELECT e.topic, CAST(e.state AS BLOB) AS state FROM streams s JOIN events e USING (stream_id)"
        f" WHERE s.stream_uid = ? AND e.version <= ? AND e.topic IN ({marks}) ORDER BY e.version DESC LIMIT 1",
        (offer_uid.bytes, version, *_BRINGING),
    ).fetchone()
    stored = content_of(row["topic"], row["state"])
    return msgspec.Raw(whole_text(tx, stored.content, stored.images))
