"""Queries for stored events: by stream, and in the order of the ledger."""

from collections.abc import Collection, Iterator, Sequence
from uuid import UUID

from eventsourcing.persistence import Notification, StoredEvent

from domain.store.commit import NewEvent, StoredEntry
from domain.store.cursor import Cursor
from domain.store.records.events import selected_members

NO_LIMIT = 2**62


def new_event_of(event: StoredEvent) -> NewEvent:
    """Returns the library's event as a row."""
    uid = event.originator_id if isinstance(event.originator_id, UUID) else UUID(event.originator_id)
    return NewEvent(uid.bytes, event.originator_version, event.topic, event.state)


def select_stream(
    tx: Cursor,
    uid: UUID,
    *,
    gt: int | None = None,
    lte: int | None = None,
    desc: bool = False,
    limit: int | None = None,
) -> list[StoredEvent]:
    """Returns the events of a stream; the bounds are versions, as in the library's `select_events`."""
    bounds = (-1 if gt is None else gt, NO_LIMIT if lte is None else lte)
    rows = tx.execute(
        "SELECT e.version, e.topic, CAST(e.state AS BLOB) AS state FROM streams s JOIN events e USING (stream_id)"
        " WHERE s.stream_uid = ? AND e.version > ? AND e.version <= ?"
        f" ORDER BY e.version {'DESC' if desc else 'ASC'} LIMIT ?",
        (uid.bytes, *bounds, NO_LIMIT if limit is None else limit),
    )
    return [StoredEvent(uid, row["version"], row["topic"], row["state"]) for row in rows]


def select_streams(tx: Cursor, uids: Collection[UUID]) -> Iterator[tuple[UUID, StoredEvent]]:
    """Yields the events of several streams: one stream after the other, each by ascending version."""
    if not uids:
        return
    condition, values = tx.dialect.in_list([uid.bytes for uid in uids])
    rows = tx.execute(
        "SELECT s.stream_uid, e.version, e.topic, CAST(e.state AS BLOB) AS state FROM streams s JOIN events e USING (stream_id)"
        f" WHERE s.stream_uid {condition} ORDER BY e.stream_id, e.version",
        values,
    )
    for row in rows:
        uid = UUID(bytes=row["stream_uid"])
        yield uid, StoredEvent(uid, row["version"], row["topic"], row["state"])


def select_entries(tx: Cursor, after: int, limit: int) -> list[StoredEntry]:
    """Returns up to `limit` entries after a position, in the order of the ledger."""
    return [
        StoredEntry(position, commit_id, ordinal, stream_id, version, topic, state, recorded_at)
        for position, commit_id, recorded_at, ordinal, stream_id, _uid, version, topic, state in _entry_rows(
            tx, after, limit
        )
    ]


def read_notifications(
    tx: Cursor, after: int, limit: int, stop: int | None, topics: Sequence[str]
) -> list[Notification]:
    """Returns up to `limit` events after a position and up to `stop`, as the library's notifications."""
    return [
        Notification(
            originator_id=UUID(bytes=row["stream_uid"]),
            originator_version=row["version"],
            topic=row["topic"],
            state=row["state"],
            id=row["position"],
        )
        for row in _entry_rows(tx, after, limit, NO_LIMIT if stop is None else stop, topics)
    ]


def _entry_rows(tx: Cursor, after: int, limit: int, stop: int = NO_LIMIT, topics: Sequence[str] = ()) -> Cursor:
    # The subquery finds the commit of the first position, so that a large commit is not read from its start.
    of_topics = f" AND e.topic IN ({','.join('?' * len(topics))})" if topics else ""
    members, values = selected_members("c", after, stop, limit, topics)
    return tx.execute(
        "SELECT c.first_position + e.ordinal AS position, c.commit_id, c.recorded_at, e.ordinal, e.stream_id, s.stream_uid,"
        " e.version, e.topic, CAST(e.state AS BLOB) AS state"
        " FROM commits c CROSS JOIN events e USING (commit_id) JOIN streams s USING (stream_id)"
        " WHERE c.first_position >= coalesce((SELECT max(first_position) FROM commits WHERE first_position <= ?), 0)"
        f" AND c.first_position <= ? AND {members}{of_topics} ORDER BY c.first_position, e.ordinal LIMIT ?",
        (after + 1, stop, *values, *topics, limit),
    )
