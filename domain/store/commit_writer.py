"""Writes the events of commits, and appends the commits to the ledger.

A caller writes events in batches of any size. Only `seal` takes the ledger lock and assigns positions: a large commit
blocks other writers for a short time.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import NamedTuple

from eventsourcing.persistence import IntegrityError

from domain.store.commit import CommitContext, EventsDigest, NewEvent, commit_digest, next_chain_hash
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

    def append(self, events: Sequence[tuple[int, NewEvent]]) -> list[EventPlace]:
        """Writes events after those already written. The number beside each event is the index of its commit's context.

        Raises IntegrityError if an event is not the next one of its stream."""
        new_events = [event for _, event in events]
        ids = _stream_ids(self._tx, new_events)
        places: list[EventPlace] = []
        for number, group in groupby(events, itemgetter(0)):
            places += self._commits[number].add([event for _, event in group], ids)
        rows = (
            (*place, version, topic, state)
            for place, (_, version, topic, state) in zip(places, new_events, strict=True)
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
_COLUMNS = (
    *("commit_id", "first_position", "event_count", "recorded_at", "digest", "chain"),
    *("highest_commit_id", "highest_stream_id", *CommitContext().as_columns()),
)
_INSERT = f"INSERT INTO commits ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"


class _Commit:
    """A commit whose events are being written."""

    def __init__(self, commit_id: int, context: CommitContext) -> None:
        self.commit_id, self.context = commit_id, context
        self.digest = EventsDigest()
        self.event_count = self.highest_stream_id = 0

    def add(self, events: Sequence[NewEvent], stream_ids: Mapping[bytes, int]) -> list[EventPlace]:
        """Adds events in their order, and returns their places."""
        commit_id, first = self.commit_id, self.event_count
        ids = [stream_ids[event.uid] for event in events]
        self.digest.add_all(first, events)
        self.event_count += len(events)
        self.highest_stream_id = max(self.highest_stream_id, *ids)
        return [EventPlace(commit_id, ordinal, stream_id) for ordinal, stream_id in enumerate(ids, first)]


class _Stream(NamedTuple):
    stream_id: int
    version: int


def _stream_ids(tx: Cursor, events: Sequence[NewEvent]) -> dict[bytes, int]:
    """Returns the ids of the streams by uid. New streams are stored, and get their ids in the order of their first events.

    Raises IntegrityError for a gap: a stream starts with version 0 or 1, and each version is one more than the last."""
    new_versions: dict[bytes, int] = {}
    others: list[NewEvent] = []
    for event in events:
        last = new_versions.get(event.uid)
        if event.version in FIRST_VERSIONS if last is None else event.version == last + 1:
            new_versions[event.uid] = event.version
        else:
            others.append(event)
    # No first event is among the others, so a stream of theirs has events already.
    streams = _streams(tx, dict.fromkeys(event.uid for event in others))
    _require_successors(others, streams, new_versions)
    ids = {uid: stream.stream_id for uid, stream in streams.items()}
    if new_versions:
        new_ids = dict(zip(new_versions, tx.dialect.next_stream_ids(tx, len(new_versions)), strict=True))
        # If another transaction has stored the stream, this is no first event, and the statement violates the unique key.
        tx.execute_set("INSERT INTO streams VALUES (?, ?)", ((stream_id, uid) for uid, stream_id in new_ids.items()))
        ids |= new_ids
    return ids


FIRST_VERSIONS = (0, 1)
"""A stream begins with version 1. One that begins with version 0, as the library permits, gets version 1 in the same call."""


def _streams(tx: Cursor, uids: Iterable[bytes]) -> dict[bytes, _Stream]:
    """Returns the streams that exist, by uid."""
    streams: dict[bytes, _Stream] = {}
    remaining = iter(uids)
    while chunk := list(islice(remaining, STREAMS_PER_QUERY)):
        condition, values = tx.dialect.in_list(chunk)
        rows = tx.execute(
            "SELECT s.stream_uid, s.stream_id, (SELECT max(e.version) FROM events e WHERE e.stream_id = s.stream_id) AS version"
            f" FROM streams s WHERE s.stream_uid {condition}",
            values,
        )
        streams.update((row[0], _Stream(row[1], row[2])) for row in rows)
    return streams


def _require_successors(
    events: Iterable[NewEvent], streams: Mapping[bytes, _Stream], new_versions: Mapping[bytes, int]
) -> None:
    """Raises IntegrityError if an event does not follow the last one of its stream."""
    last_versions = {uid: stream.version for uid, stream in streams.items()}
    for event in events:
        previous = last_versions.get(event.uid)
        if previous is None or event.uid in new_versions or event.version != previous + 1:
            before = new_versions.get(event.uid, previous)
            raise IntegrityError(f"Version {event.version} can't follow version {before} of its stream")
        last_versions[event.uid] = event.version
