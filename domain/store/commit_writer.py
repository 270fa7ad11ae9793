"""How does a commit get into the ledger?

Its events are written first, as many at a time as its author likes; its place in the ledger is taken at the end.
"""

from collections.abc import Sequence
from itertools import islice
from uuid import UUID

from eventsourcing.persistence import IntegrityError, StoredEvent

from domain.store.commit import CommitContext, EventsDigest, chained, commit_digest
from domain.store.cursor import Cursor
from domain.values import Clock, to_microseconds

IDS_PER_QUERY = 10_000


class CommitWriter:
    """Writes the events of one commit in one transaction."""

    def __init__(self, tx: Cursor, clock: Clock) -> None:
        self._tx = tx
        self._clock = clock
        self._digest = EventsDigest()
        self.commit_id = tx.dialect.next_commit_id(tx)
        self.event_count = 0

    def append(self, events: Sequence[StoredEvent]) -> list[int]:
        """Writes events after those before, and answers their stream ids.

        Raises IntegrityError if one is not the next event of its stream."""
        stream_ids = _stream_ids(self._tx, events)
        _require_successors(self._tx, events, stream_ids)
        self._digest.update(
            (ordinal, _uid(event).bytes, event.originator_version, event.topic, event.state)
            for ordinal, event in enumerate(events, self.event_count)
        )
        rows = (
            (self.commit_id, ordinal, stream_id, event.originator_version, event.topic, event.state)
            for ordinal, (event, stream_id) in enumerate(zip(events, stream_ids, strict=True), self.event_count)
        )
        self._tx.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
        self.event_count += len(events)
        return stream_ids

    def seal(self, context: CommitContext) -> int:
        """Takes the commit's place at the head of the ledger; answers its first position. Nobody else writes from here on."""
        self._tx.dialect.take_turn(self._tx)
        head = self._tx.execute("SELECT position, recorded_at, chain FROM head").fetchone()
        told = context.told()
        digest = commit_digest(told, self._digest.digest())
        place = (
            head["position"] + 1,
            self.event_count,
            max(head["recorded_at"] + 1, to_microseconds(self._clock())),
        )
        chain = chained(head["chain"], digest, *place)
        self._tx.execute(
            f"INSERT INTO commits (commit_id, first_position, event_count, recorded_at, digest, chain, {', '.join(told)})"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self.commit_id, *place, digest, chain, *told.values()),
        )
        self._tx.execute(
            "UPDATE head SET position = ?, recorded_at = ?, chain = ?",
            (head["position"] + self.event_count, place[2], chain),
        )
        return int(place[0])


def _uid(event: StoredEvent) -> UUID:
    return event.originator_id if isinstance(event.originator_id, UUID) else UUID(event.originator_id)


def _stream_ids(tx: Cursor, events: Sequence[StoredEvent]) -> list[int]:
    """Each event's stream id; streams never seen get theirs here, in the order of their first event."""
    uids = dict.fromkeys(_uid(event).bytes for event in events)
    tx.executemany("INSERT INTO streams (stream_uid) VALUES (?) ON CONFLICT DO NOTHING", ((uid,) for uid in uids))
    ids: dict[bytes, int] = {}
    remaining = iter(uids)
    while chunk := list(islice(remaining, IDS_PER_QUERY)):
        marks = ",".join("?" * len(chunk))
        rows = tx.execute(f"SELECT stream_uid, stream_id FROM streams WHERE stream_uid IN ({marks})", chunk)
        ids.update((row["stream_uid"], row["stream_id"]) for row in rows)
    return [ids[_uid(event).bytes] for event in events]


def _require_successors(tx: Cursor, events: Sequence[StoredEvent], stream_ids: Sequence[int]) -> None:
    """A stream has no gaps: its first event is of version 0 or 1, every other one follows its predecessor."""
    seen: dict[int, int] = {}
    for event, stream_id in zip(events, stream_ids, strict=True):
        version = event.originator_version
        last = seen.get(stream_id, version - 1)
        if version != last + 1:
            raise IntegrityError(f"Version {version} can't follow version {last} of its stream")
        if stream_id not in seen and version > 1 and not _has_version(tx, stream_id, version - 1):
            raise IntegrityError(f"There is no version before {version} in its stream")
        seen[stream_id] = version


def _has_version(tx: Cursor, stream_id: int, version: int) -> bool:
    found = tx.execute("SELECT 1 FROM events WHERE stream_id = ? AND version = ?", (stream_id, version)).fetchone()
    return found is not None
