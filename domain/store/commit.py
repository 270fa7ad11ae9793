"""Commits: their context, their hash chain, and queries for positions and recorded times."""

import hashlib
import secrets
import struct
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.store.cursor import Cursor
from domain.values import Origin, Source, from_microseconds, to_microseconds

LEDGER_NAME_DIGITS = 32
LEDGER_NAME = "ledger-name"
"""The row of `secrets` with the name after a restore."""


class CommitContext(Struct, frozen=True):
    """Cause of a commit: actor, source, reason, and the run or trace. Only the library's own tests use the defaults."""

    origin: Origin = Origin("unknown", Source.CLI)
    partner: str | None = None
    """Partner whose offers, settings or token the commit changes; None if it concerns no partner."""
    run_id: UUID | None = None
    trace_id: str | None = None

    def as_columns(self) -> dict[str, str | None]:
        """Returns the context as values by column of `commits`."""
        return {
            "partner": self.partner,
            "actor": self.origin.actor,
            "source": str(self.origin.source),
            "run_id": str(self.run_id) if self.run_id else None,
            "trace_id": self.trace_id,
            "traceparent": self.origin.traceparent,
            "reason": self.origin.reason,
        }


class NewEvent(NamedTuple):
    """An event as its row will be, before it has a place in the ledger. `uid` is that of its stream."""

    uid: bytes
    version: int
    topic: str
    state: bytes


class StoredEntry(Struct, frozen=True, gc=False):
    """An event as stored in the ledger, with its position and its ordinal in the commit."""

    position: int
    commit_id: int
    ordinal: int
    stream_id: int
    version: int
    topic: str
    state: bytes
    recorded_at: int
    """Recorded time of its commit, in microseconds since 1970."""


class LedgerHead(Struct, frozen=True):
    """Last position and recorded time of a commit. An empty ledger has position 0 and no time."""

    position: int
    recorded_at: datetime | None


class CommitSpan(Struct, frozen=True):
    """The first and the last position of a commit."""

    first: int
    last: int


def current_head(tx: Cursor) -> LedgerHead:
    row = tx.execute("SELECT position, recorded_at FROM head").fetchone()
    return LedgerHead(row["position"], from_microseconds(row["recorded_at"]) if row["position"] else None)


def head_at_time(tx: Cursor, time: datetime) -> LedgerHead:
    """Returns the newest commit that was recorded at or before `time`."""
    row = tx.execute(
        "SELECT first_position + event_count - 1 AS position, recorded_at FROM commits WHERE recorded_at <= ?"
        " ORDER BY recorded_at DESC LIMIT 1",
        (to_microseconds(time),),
    ).fetchone()
    return LedgerHead(row["position"], from_microseconds(row["recorded_at"])) if row else LedgerHead(0, None)


def applicable_time(tx: Cursor, time: datetime | None, now: datetime) -> datetime:
    """Returns the recorded time whose state applies at a time that a caller names; without `time`, at present.

    That is the time itself, except while the newest commit is ahead of the clock. Then the state of that commit applies at
    present. It also applies at each time after the last commit that is not ahead (`settled`)."""
    newest = max(current_head(tx).recorded_at or now, now)
    if time is None or newest == now:
        return time or newest
    settled = head_at_time(tx, now).recorded_at
    return max(time, newest) if settled is None or time > settled else time


def head_at_position(tx: Cursor, position: int) -> LedgerHead:
    """Returns a position, which may be inside a commit, with its recorded time. Beyond the newest, it returns the newest."""
    row = tx.execute(
        "SELECT first_position + event_count - 1 AS last, recorded_at FROM commits WHERE first_position <= ?"
        " ORDER BY first_position DESC LIMIT 1",
        (position,),
    ).fetchone()
    return LedgerHead(min(position, row["last"]), from_microseconds(row["recorded_at"])) if row else LedgerHead(0, None)


def commit_around(tx: Cursor, position: int) -> CommitSpan | None:
    """Returns the commit that has events up to this position and after it. None if no commit does."""
    row = tx.execute(
        "SELECT first_position AS first, first_position + event_count - 1 AS last FROM commits WHERE first_position <= ?"
        " ORDER BY first_position DESC LIMIT 1",
        (position,),
    ).fetchone()
    return CommitSpan(row["first"], row["last"]) if row and position < row["last"] else None


def positions_of_run(tx: Cursor, run_id: UUID) -> tuple[int, int] | None:
    """Returns the first and last position of the events of a run; None if the run has no events."""
    row = tx.execute(
        "SELECT min(first_position) AS first, max(first_position + event_count - 1) AS last FROM commits WHERE run_id = ?",
        (str(run_id),),
    ).fetchone()
    return (row["first"], row["last"]) if row["first"] else None


def count_events_of_run(tx: Cursor, run_id: UUID) -> int:
    row = tx.execute(
        "SELECT coalesce(sum(event_count), 0) AS events FROM commits WHERE run_id = ?", (str(run_id),)
    ).fetchone()
    return int(row["events"])


def ledger_name(tx: Cursor) -> str:
    """Returns an identifier of the ledger, which is new after each restore of a backup.

    Before the first restore it is the start of the first chain hash; empty if there is no commit."""
    row = tx.execute(
        "SELECT secret AS name FROM secrets WHERE name = ?"
        " UNION ALL SELECT chain FROM commits WHERE first_position = 1 LIMIT 1",
        (LEDGER_NAME,),
    ).fetchone()
    return row["name"].hex()[:LEDGER_NAME_DIGITS] if row else ""


def was_restored(tx: Cursor) -> bool:
    """Returns True if the ledger has a new name since a restore."""
    return tx.execute("SELECT 1 FROM secrets WHERE name = ?", (LEDGER_NAME,)).fetchone() is not None


def rename_ledger(tx: Cursor) -> str:
    """Gives the ledger a new random name, and returns it: from now on, positions are assigned a second time."""
    name = secrets.token_bytes(LEDGER_NAME_DIGITS // 2)
    tx.execute("DELETE FROM secrets WHERE name = ?", (LEDGER_NAME,))
    tx.execute("INSERT INTO secrets VALUES (?, ?)", (LEDGER_NAME, name))
    return name.hex()


def streams_changed_since(tx: Cursor, partner: str, position: int) -> set[UUID]:
    """Returns the streams that a partner's commits changed after a position."""
    rows = tx.execute(
        "SELECT DISTINCT s.stream_uid FROM commits c JOIN events e USING (commit_id) JOIN streams s USING (stream_id)"
        " WHERE c.first_position > ? AND c.partner = ?",
        (position, partner),
    )
    return {UUID(bytes=row["stream_uid"]) for row in rows}


def has_commits_since(tx: Cursor, partner: str, position: int) -> bool:
    """Returns whether commits after a position concern a partner."""
    query = "SELECT 1 FROM commits WHERE first_position > ? AND partner = ? LIMIT 1"
    return tx.execute(query, (position, partner)).fetchone() is not None


def commit_digest(context_columns: Mapping[str, str | None], events: bytes) -> bytes:
    """Returns the SHA-256 of a commit's context and events, without its position.

    The input is a JSON object: `context_columns` as `CommitContext.as_columns` returns them, and `events`, the hex digest of
    the events. Members are sorted by name; null members are left out."""
    members = {**context_columns, "events": events.hex()}
    return hashlib.sha256(
        msgspec.json.encode({n: members[n] for n in sorted(members) if members[n] is not None})
    ).digest()


def next_chain_hash(previous: bytes, digest: bytes, first_position: int, event_count: int, recorded_at: int) -> bytes:
    """Returns the SHA-256 over the previous chain hash, the commit's digest and its position: it covers all earlier commits."""
    return hashlib.sha256(previous + digest + struct.pack(">qqq", first_position, event_count, recorded_at)).digest()


class EventsDigest:
    """SHA-256 over a commit's events (ordinal, stream uid, version, topic, state), added in order."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def add(self, ordinal: int, uid: bytes, version: int, topic: str, state: bytes) -> None:
        self.add_all(ordinal, [NewEvent(uid, version, topic, state)])

    def add_all(self, first_ordinal: int, events: Iterable[NewEvent]) -> None:
        """Adds events with consecutive ordinals. One update with all of them takes half the time of an update for each."""
        parts: list[bytes] = []
        for ordinal, (uid, version, topic, state) in enumerate(events, first_ordinal):
            parts += (b"%d %b%d %b %d\n" % (ordinal, uid, version, topic.encode(), len(state)), state)
        self._sha256.update(b"".join(parts))

    def digest(self) -> bytes:
        return self._sha256.digest()
