"""What is told of a commit, and of an event's place in it?"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.store.cursor import Cursor
from domain.values import Origin, Source, from_microseconds

Alongside = Callable[[Cursor, int, Sequence[int]], None]
"""Writes what belongs to a commit: given the transaction, the commit's id and each event's stream id."""


class CommitFacts(Struct, frozen=True):
    """Who and what stands behind a commit."""

    origin: Origin = Origin("unknown", Source.CLI, None)
    run_id: UUID | None = None
    trace_id: str | None = None


class StoredEntry(Struct, frozen=True):
    """An event as it lies in the ledger, with its place in its commit."""

    position: int
    commit_id: int
    ordinal: int
    stream_id: int
    version: int
    topic: str
    state: bytes


class Head(Struct, frozen=True):
    """The newest commit that a transaction sees; position 0 and no time before the first one."""

    position: int
    recorded_at: datetime | None


def head_of(tx: Cursor) -> Head:
    row = tx.execute("SELECT position, recorded_at FROM head").fetchone()
    return Head(row["position"], from_microseconds(row["recorded_at"]) if row["position"] else None)


class Commit(NamedTuple):
    """A row of `commits`."""

    commit_id: int
    first_position: int
    event_count: int
    recorded_at: int
    partner: str | None
    actor: str
    source: str
    run_id: str | None
    trace_id: str | None
    digest: bytes


def commit_digest(commit: Commit, events: bytes) -> bytes:
    """SHA-256 over all that a commit says (as a JSON array) and the digest of its events: shows what was changed by
    hand. Of `commit` everything is taken but its own digest."""
    told = msgspec.json.encode([*commit[:-1]])
    return hashlib.sha256(told + events).digest()


def events_digest(events: Iterable[tuple[bytes, int, str, bytes]]) -> bytes:
    """SHA-256 over events (stream uid, version, topic, state) in their order."""
    sha256 = hashlib.sha256()
    for uid, version, topic, state in events:
        sha256.update(b"%b%d %b %d\n" % (uid, version, topic.encode(), len(state)))
        sha256.update(state)
    return sha256.digest()
