"""Writes the events of commits, and appends the commits to the ledger.

A caller writes events in batches of any size. Only `seal` takes the ledger lock and assigns positions: a large commit
blocks other writers for a short time.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from eventsourcing.persistence import IntegrityError, StoredEvent

from domain.store.commit import CommitContext, EventsDigest, commit_digest, next_chain_hash
from domain.store.cursor import Cursor
from domain.values import Clock, to_microseconds

STREAMS_PER_QUERY = 10_000


class EventPlace(NamedTuple):
    """Identifies a written event before its commit has a position in the ledger."""

    commit_id: int
    ordinal: int
    stream_id: int


class CommitWriter:
    """Writes one or more consecutive commits in one transaction. A commit without events is not stored."""

    def __init__(self, tx: Cursor, clock: Clock, contexts: Sequence[CommitContext]) -> None:
        self._tx = tx
        self._clock = clock
        ids = tx.dialect.next_commit_ids(tx, len(contexts))
        self._commits = [_Commit(commit_id, context) for commit_id, context in zip(ids, contexts, strict=True)]

    def append(self, events: Sequence[tuple[int, StoredEvent]]) -> list[EventPlace]:
        """Writes events after those already written. The number beside each event is the index of its commit's context.

        Raises IntegrityError if an event is not the next one of its stream."""
        stored = [event for _, event in events]
        uids = [_uid(event) for event in stored]
        streams = _streams(self._tx, uids)
        _require_successors(zip(uids, stored, strict=True), streams)
        places = [
            self._commits[number].add(event, uid, streams[uid].stream_id)
            for (number, event), uid in zip(events, uids, strict=True)
        ]
        rows = (
            (*place, event.originator_version, event.topic, event.state)
            for place, event in zip(places, stored, strict=True)
        )
        self._tx.execute_set("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
        return places

    def seal(self) -> list[int]:
        """Takes the ledger lock, appends the commits at the head of the ledger, and returns their first positions.

        The lock is held until the transaction ends."""
        self._tx.dialect.acquire_ledger_lock(self._tx)
        head = self._tx.execute(_HEAD).fetchone()
        position, recorded_at, chain, highest_commit_id, highest_stream_id = tuple(head)
        now, rows, first_positions = to_microseconds(self._clock()), [], []
        for commit in (commit for commit in self._commits if commit.event_count):
            recorded_at = max(recorded_at + 1, now)
            place = (position + 1, commit.event_count, recorded_at)
            context_columns = commit.context.as_columns()
            digest = commit_digest(context_columns, commit.digest.digest())
            chain = next_chain_hash(chain, digest, *place)
            highest_commit_id = max(highest_commit_id, commit.commit_id)
            highest_stream_id = max(highest_stream_id, commit.highest_stream_id)
            highest_ids = (highest_commit_id, highest_stream_id)
            rows.append((commit.commit_id, *place, digest, chain, *highest_ids, *context_columns.values()))
            first_positions.append(position + 1)
            position += commit.event_count
        self._tx.executemany(_INSERT, rows)
        self._tx.execute("UPDATE head SET position = ?, recorded_at = ?, chain = ?", (position, recorded_at, chain))
        self._tx.dialect.notify_commit(self._tx)
        return first_positions


_HEAD = """
    SELECT h.position, h.recorded_at, h.chain, coalesce(c.highest_commit_id, 0), coalesce(c.highest_stream_id, 0)
    FROM head h LEFT JOIN commits c ON c.recorded_at = h.recorded_at
"""
_INSERT = (
    "INSERT INTO commits (commit_id, first_position, event_count, recorded_at, digest, chain, highest_commit_id,"
    f" highest_stream_id, {', '.join(CommitContext().as_columns())}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class _Commit:
    """A commit whose events are being written."""

    def __init__(self, commit_id: int, context: CommitContext) -> None:
        self.commit_id, self.context = commit_id, context
        self.digest = EventsDigest()
        self.event_count = self.highest_stream_id = 0

    def add(self, event: StoredEvent, uid: bytes, stream_id: int) -> EventPlace:
        place = EventPlace(self.commit_id, self.event_count, stream_id)
        self.digest.add(place.ordinal, uid, event.originator_version, event.topic, event.state)
        self.event_count += 1
        self.highest_stream_id = max(self.highest_stream_id, stream_id)
        return place


def _uid(event: StoredEvent) -> bytes:
    return (event.originator_id if isinstance(event.originator_id, UUID) else UUID(event.originator_id)).bytes


class _Stream(NamedTuple):
    stream_id: int
    version: int | None
    """Version of its last event; None if it has no events."""


def _streams(tx: Cursor, uids: Iterable[bytes]) -> dict[bytes, _Stream]:
    """Returns the streams by uid. New streams are stored, and get their ids in the order of their first events."""
    unique_uids = dict.fromkeys(uids)
    tx.execute_set(
        "INSERT INTO streams (stream_uid) VALUES (?) ON CONFLICT DO NOTHING", ((uid,) for uid in unique_uids)
    )
    streams: dict[bytes, _Stream] = {}
    remaining = iter(unique_uids)
    while chunk := list(islice(remaining, STREAMS_PER_QUERY)):
        condition, values = tx.dialect.in_list(chunk)
        rows = tx.execute(
            "SELECT s.stream_uid, s.stream_id, (SELECT max(e.version) FROM events e WHERE e.stream_id = s.stream_id) AS version"
            f" FROM streams s WHERE s.stream_uid {condition}",
            values,
        )
        streams.update((row[0], _Stream(row[1], row[2])) for row in rows)
    return streams


def _require_successors(events: Iterable[tuple[bytes, StoredEvent]], streams: dict[bytes, _Stream]) -> None:
    """Raises IntegrityError for a gap: a stream starts with version 0 or 1, and each version is one more than the last."""
    last_versions = {uid: stream.version for uid, stream in streams.items()}
    for uid, event in events:
        version, previous = event.originator_version, last_versions[uid]
        if version != previous + 1 if previous is not None else version not in {0, 1}:
            raise IntegrityError(f"Version {version} can't follow version {previous} of its stream")
        last_versions[uid] = version
