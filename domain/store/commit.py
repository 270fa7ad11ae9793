"""What is told of a commit, and of an event's place in it?"""

import hashlib
import struct
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.store.cursor import Cursor
from domain.values import Origin, Source, from_microseconds, to_microseconds

LEDGER_NAME_DIGITS = 32


class CommitContext(Struct, frozen=True):
    """Who and what stands behind a commit. The defaults are for commits that nobody makes but the library's tests."""

    origin: Origin = Origin("unknown", Source.CLI)
    partner: str | None = None
    """Whose offers, settings or token it is about; None for what belongs to no partner."""
    run_id: UUID | None = None
    trace_id: str | None = None
    traceparent: str | None = None

    def announced(self) -> dict[str, str | None]:
        """By column of `commits`."""
        return {
            "partner": self.partner,
            "actor": self.origin.actor,
            "source": str(self.origin.source),
            "run_id": str(self.run_id) if self.run_id else None,
            "trace_id": self.trace_id,
            "traceparent": self.traceparent,
        }


class StoredEntry(Struct, frozen=True):
    """An event as it lies in the ledger, with its place in its commit."""

    position: int
    commit_id: int
    ordinal: int
    stream_id: int
    version: int
    topic: str
    state: bytes
    recorded_at: int
    """Of its commit."""


class LedgerHead(Struct, frozen=True):
    """The newest commit that a transaction sees; position 0 and no time before the first one."""

    position: int
    recorded_at: datetime | None


def current_head(tx: Cursor) -> LedgerHead:
    row = tx.execute("SELECT position, recorded_at FROM head").fetchone()
    return LedgerHead(row["position"], from_microseconds(row["recorded_at"]) if row["position"] else None)


def head_at_time(tx: Cursor, moment: datetime) -> LedgerHead:
    """The newest commit that was recorded by then."""
    row = tx.execute(
        "SELECT first_position + event_count - 1 AS position, recorded_at FROM commits WHERE recorded_at <= ?"
        " ORDER BY recorded_at DESC LIMIT 1",
        (to_microseconds(moment),),
    ).fetchone()
    return LedgerHead(row["position"], from_microseconds(row["recorded_at"])) if row else LedgerHead(0, None)


def head_at_position(tx: Cursor, position: int) -> LedgerHead:
    """The same for a position, which may lie inside a commit; one beyond the newest means the newest."""
    row = tx.execute(
        "SELECT first_position + event_count - 1 AS last, recorded_at FROM commits WHERE first_position <= ?"
        " ORDER BY first_position DESC LIMIT 1",
        (position,),
    ).fetchone()
    return LedgerHead(min(position, row["last"]), from_microseconds(row["recorded_at"])) if row else LedgerHead(0, None)


def span_of_run(tx: Cursor, run_id: UUID) -> tuple[int, int] | None:
    """The first and the last position of what a run has recorded; None if it has recorded nothing."""
    row = tx.execute(
        "SELECT min(first_position) AS first, max(first_position + event_count - 1) AS last FROM commits WHERE run_id = ?",
        (str(run_id),),
    ).fetchone()
    return (row["first"], row["last"]) if row["first"] else None


def ledger_name(tx: Cursor) -> str:
    """What tells a ledger from all others: by what its first commit was sealed. Nothing without one."""
    row = tx.execute("SELECT chain FROM commits WHERE first_position = 1").fetchone()
    return row["chain"].hex()[:LEDGER_NAME_DIGITS] if row else ""


def changed_since(tx: Cursor, partner: str, position: int) -> set[UUID]:
    """The streams of which a partner's commits have recorded events after a position."""
    rows = tx.execute(
        "SELECT DISTINCT s.stream_uid FROM commits c JOIN events e USING (commit_id) JOIN streams s USING (stream_id)"
        " WHERE c.first_position > ? AND c.partner = ?",
        (position, partner),
    )
    return {UUID(bytes=row["stream_uid"]) for row in rows}


def commit_digest(told: Mapping[str, str | None], events: bytes) -> bytes:
    """SHA-256 over what is known of a commit before it has its place: `told` as CommitContext has it, and the digest of
    its events as hex, as a JSON object without null members in the order of their names."""
    members = {**told, "events": events.hex()}
    return hashlib.sha256(
        msgspec.json.encode({n: members[n] for n in sorted(members) if members[n] is not None})
    ).digest()


def next_chain_hash(previous: bytes, digest: bytes, first_position: int, event_count: int, recorded_at: int) -> bytes:
    """SHA-256 that seals a commit in its place, and with it all that came before."""
    return hashlib.sha256(previous + digest + struct.pack(">qqq", first_position, event_count, recorded_at)).digest()


class EventsDigest:
    """SHA-256 over a commit's events (ordinal, stream uid, version, topic, state), told in their order."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def add(self, ordinal: int, uid: bytes, version: int, topic: str, state: bytes) -> None:
        self._sha256.update(b"%d %b%d %b %d\n%b" % (ordinal, uid, version, topic.encode(), len(state), state))

    def digest(self) -> bytes:
        return self._sha256.digest()
