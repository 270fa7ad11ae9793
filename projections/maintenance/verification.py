"""Is the ledger what was recorded, and do the projections say what it says?

Commits are sealed by a chain of digests. Projections are checked by replaying the events into temporary tables of the
same names, which hide the real ones from the projection; then the two are compared row by row.
"""

import hashlib
import itertools
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from domain.events import OfferCreated, OfferRestored, OfferUpdated
from domain.ledgers.ledger import Entry, OfferLedger, StorageError
from domain.store.commit import CommitContext, EventsDigest, commit_digest, current_head, next_chain_hash
from domain.store.cursor import Column, Cursor, missing_indexes
from domain.values import ProgressCallback, no_progress
from projections.maintenance.table_diff import DIFFERENCES_SHOWN, Difference, differing_rows
from projections.projection import Projection
from projections.projector import PROJECTIONS, ProjectionReplay


def verify(ledger: OfferLedger, watch: ProgressCallback = no_progress) -> list[Difference]:
    """Places, up to a bound, where a commit or a projection is not what was recorded. Writes nothing."""
    with ledger.recorder.read() as tx:
        broken = _broken_commits(tx)
        differences = list(itertools.islice(broken, DIFFERENCES_SHOWN))
        for _ in broken:
            pass  # nothing else can be asked before all have been looked at
        for projection in PROJECTIONS:
            tx.execute(projection.table.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
        try:
            referred = _replay(ledger, tx, watch)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - who changes rows by hand may leave anything in them
            return [*differences, Difference("events", {"unreadable": str(error)}, None)][:DIFFERENCES_SHOWN]
        differences.extend(_broken_images(tx, referred))
        for projection in PROJECTIONS:
            differences.extend(_wrong_rows(tx, projection))
        return differences[:DIFFERENCES_SHOWN]


# Commits


def _broken_commits(tx: Cursor) -> Iterator[Difference]:
    """Commits that are not as they were recorded, in the place where they were recorded."""
    before = _Place(0, 0, b"")
    for commit_id, rows in itertools.groupby(tx.each(_COMMITTED), lambda row: row["commit_id"]):
        differences, before = _check(f"commit {commit_id}", rows, before)
        yield from differences
    head = tx.execute("SELECT position, recorded_at, chain FROM head").fetchone()
    if head is None or tuple(head) != before:
        yield Difference("head", _shown(tuple(head)) if head else None, _shown(before))
    for row in tx.execute("SELECT DISTINCT commit_id FROM events EXCEPT SELECT commit_id FROM commits"):
        yield Difference(f"commit {row['commit_id']}", None, {"events": "recorded"})


class _Place(NamedTuple):
    """Where a commit ends, when it was recorded, and how it was sealed."""

    position: int
    recorded_at: int
    chain: bytes


_NOT_WHAT_WAS_STORED = (TypeError, ValueError, AttributeError, OverflowError, struct.error)
"""What comes of values whose types were changed by hand."""


def _check(where: str, rows: Iterator[Any], before: _Place) -> tuple[list[Difference], _Place]:
    """A commit, by its rows with an event each."""
    commit = next(rows)
    place = (commit["first_position"], commit["event_count"], commit["recorded_at"])
    found: list[Difference] = []
    try:
        events = EventsDigest()
        for row in itertools.chain([commit], rows):
            events.add(*tuple(row)[-5:])
        digest = commit_digest({column: commit[column] for column in _TOLD}, events.digest())
        if place[0] != before.position + 1:
            found.append(Difference(where, {"firstPosition": place[0]}, {"firstPosition": before.position + 1}))
        if digest != commit["digest"]:
            found.append(Difference(where, {"digest": digest.hex()}, {"digest": commit["digest"].hex()}))
        if (chain := next_chain_hash(before.chain, commit["digest"], *place)) != commit["chain"]:
            found.append(Difference(where, {"chain": chain.hex()}, {"chain": commit["chain"].hex()}))
        return found, _Place(place[0] + place[1] - 1, place[2], commit["chain"])
    except _NOT_WHAT_WAS_STORED as error:
        return [*found, Difference(where, {"unreadable": str(error)}, None)], before


_TOLD = tuple(CommitContext().announced())
_COMMITTED = """
    SELECT c.*, coalesce(e.ordinal, 0) AS ordinal,
           coalesce(s.stream_uid, x'') AS stream_uid, coalesce(e.version, 0) AS version,
           coalesce(e.topic, '') AS topic, CAST(coalesce(e.state, '') AS BLOB) AS state
    FROM commits c LEFT JOIN events e USING (commit_id) LEFT JOIN streams s USING (stream_id)
    ORDER BY c.first_position, e.ordinal
"""


def _shown(head: Sequence[Any]) -> dict[str, Any]:
    position, recorded_at, chain = head
    return {
        "position": position,
        "recordedAt": recorded_at,
        "chain": chain.hex() if isinstance(chain, bytes) else str(chain),
    }


# Images


def _images_of(entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry.event, OfferCreated | OfferUpdated | OfferRestored):
            yield from entry.event.images


def _bytes(value: bytes | str) -> bytes:
    # Who changes a row by hand may change its type too.
    return value.encode() if isinstance(value, str) else value


def _broken_images(tx: Cursor, referred: set[str]) -> Iterator[Difference]:
    """Images that are not what they were, and those that events refer to and that are not there."""
    for row in tx.each("SELECT digest, literal FROM images"):
        digest = _bytes(row["digest"]).hex()
        if (found := hashlib.sha256(_bytes(row["literal"])).hexdigest()) != digest:
            yield Difference(f"image {digest}", {"digest": found}, {"digest": digest})
        referred.discard(digest)
    for digest in sorted(referred):
        yield Difference(f"image {digest}", None, {"digest": digest})


# Projections


def _replay(ledger: OfferLedger, tx: Cursor, watch: ProgressCallback) -> set[str]:
    """Projects every event of the ledger; answers to which images they refer."""
    referred: set[str] = set()
    done, total = 0, current_head(tx).position
    replay = ProjectionReplay()
    for entries in ledger.entries(tx):
        replay.project(tx, entries)
        referred.update(_images_of(entries))
        done += len(entries)
        watch(done, total)
    replay.seal(tx)
    return referred


def _wrong_rows(tx: Cursor, projection: Projection) -> Iterator[Difference]:
    name, dialect = projection.name, tx.dialect
    found, expected = (dialect.columns(tx, place, name) for place in (dialect.live, dialect.temporary))
    if not found:
        yield Difference(name, {"built": False}, {"built": True})
    elif found != expected:
        yield Difference(name, {"columns": _told(found)}, {"columns": _told(expected)})
    else:
        yield from differing_rows(tx, projection, f"{dialect.live}{name}", f"{dialect.temporary}{name}")
        for index in missing_indexes(dialect, tx, name, projection.indexes):
            yield Difference(name, {"built": False, "index": index}, {"built": True, "index": index})


def _told(columns: Sequence[Column]) -> list[str]:
    return [f"{name} {kind}{' NOT NULL' * is_required}" for name, kind, is_required in columns]
