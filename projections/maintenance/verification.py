"""Verifies the ledger: commits against the hash chain, images against their digests, projections against the events.

Projections are checked by replaying the events into temporary tables. These have the names of the live tables and hide
them from the code of the projection. Then both are compared row by row.
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
from projections.maintenance.table_diff import MAX_DIFFERENCES, Difference, differing_rows
from projections.projection import Projection
from projections.projector import PROJECTIONS, ProjectionReplay


def verify(ledger: OfferLedger, on_progress: ProgressCallback = no_progress) -> list[Difference]:
    """Returns up to `MAX_DIFFERENCES` places where a commit, an image or a projection is wrong. Writes nothing to the
    ledger."""
    with ledger.recorder.read() as tx:
        broken = _broken_commits(tx)
        differences = list(itertools.islice(broken, MAX_DIFFERENCES))
        for _ in broken:
            pass  # the result must be read to its end before the connection can run another query
        for projection in PROJECTIONS:
            tx.execute(projection.table.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
        try:
            referred = _replay(ledger, tx, on_progress)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - rows changed by hand can hold anything
            return [*differences, Difference("events", {"unreadable": str(error)}, None)][:MAX_DIFFERENCES]
        differences.extend(_broken_images(tx, referred))
        for projection in PROJECTIONS:
            differences.extend(_wrong_rows(tx, projection))
        return differences[:MAX_DIFFERENCES]


# Commits


def _broken_commits(tx: Cursor) -> Iterator[Difference]:
    """Yields commits that contradict the hash chain, a `head` that does not match the last commit, and events without a
    commit."""
    before = _CommitEnd(0, 0, b"")
    for commit_id, rows in itertools.groupby(tx.stream_rows(_COMMITTED), lambda row: row["commit_id"]):
        differences, before = _check(f"commit {commit_id}", rows, before)
        yield from differences
    head = tx.execute("SELECT position, recorded_at, chain FROM head").fetchone()
    if head is None or tuple(head) != before:
        yield Difference("head", _shown(tuple(head)) if head else None, _shown(before))
    for row in tx.execute("SELECT DISTINCT commit_id FROM events EXCEPT SELECT commit_id FROM commits"):
        yield Difference(f"commit {row['commit_id']}", None, {"events": "recorded"})


class _CommitEnd(NamedTuple):
    """The last position, the recorded time and the chain value of a commit."""

    position: int
    recorded_at: int
    chain: bytes


_WRONG_TYPE_ERRORS = (TypeError, ValueError, AttributeError, OverflowError, struct.error)
"""The errors that values cause if a person has changed their types in the database."""


def _check(where: str, rows: Iterator[Any], before: _CommitEnd) -> tuple[list[Difference], _CommitEnd]:
    """Checks a commit, given a row for each of its events. Returns its differences and its end."""
    commit = next(rows)
    place = (commit["first_position"], commit["event_count"], commit["recorded_at"])
    differences: list[Difference] = []
    try:
        events = EventsDigest()
        for row in itertools.chain([commit], rows):
            events.add(*tuple(row)[-5:])
        digest = commit_digest({column: commit[column] for column in _CONTEXT_COLUMNS}, events.digest())
        if place[0] != before.position + 1:
            differences.append(Difference(where, {"firstPosition": place[0]}, {"firstPosition": before.position + 1}))
        if digest != commit["digest"]:
            differences.append(Difference(where, {"digest": digest.hex()}, {"digest": commit["digest"].hex()}))
        if (chain := next_chain_hash(before.chain, commit["digest"], *place)) != commit["chain"]:
            differences.append(Difference(where, {"chain": chain.hex()}, {"chain": commit["chain"].hex()}))
        return differences, _CommitEnd(place[0] + place[1] - 1, place[2], commit["chain"])
    except _WRONG_TYPE_ERRORS as error:
        return [*differences, Difference(where, {"unreadable": str(error)}, None)], before


_CONTEXT_COLUMNS = tuple(CommitContext().as_columns())
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
    # A change by hand can also have changed the type of the value.
    return value.encode() if isinstance(value, str) else value


def _broken_images(tx: Cursor, referred: set[str]) -> Iterator[Difference]:
    """Yields images that do not match their digest, and missing images that events refer to."""
    for row in tx.stream_rows("SELECT digest, literal FROM images"):
        digest = _bytes(row["digest"]).hex()
        if (found := hashlib.sha256(_bytes(row["literal"])).hexdigest()) != digest:
            yield Difference(f"image {digest}", {"digest": found}, {"digest": digest})
        referred.discard(digest)
    for digest in sorted(referred):
        yield Difference(f"image {digest}", None, {"digest": digest})


# Projections


def _replay(ledger: OfferLedger, tx: Cursor, on_progress: ProgressCallback) -> set[str]:
    """Applies every event of the ledger to the projections. Returns the digests of the images that events refer to."""
    referred: set[str] = set()
    done, total = 0, current_head(tx).position
    replay = ProjectionReplay()
    for entries in ledger.entries(tx):
        replay.project(tx, entries)
        referred.update(_images_of(entries))
        done += len(entries)
        on_progress(done, total)
    replay.seal(tx)
    return referred


def _wrong_rows(tx: Cursor, projection: Projection) -> Iterator[Difference]:
    name, dialect = projection.name, tx.dialect
    found, expected = (dialect.columns(tx, prefix, name) for prefix in (dialect.live_prefix, dialect.temporary_prefix))
    if not found:
        yield Difference(name, {"built": False}, {"built": True})
    elif found != expected:
        yield Difference(name, {"columns": _column_texts(found)}, {"columns": _column_texts(expected)})
    else:
        yield from differing_rows(tx, projection, f"{dialect.live_prefix}{name}", f"{dialect.temporary_prefix}{name}")
        for index in missing_indexes(dialect, tx, name, projection.indexes):
            yield Difference(name, {"built": False, "index": index}, {"built": True, "index": index})


def _column_texts(columns: Sequence[Column]) -> list[str]:
    return [f"{name} {kind}{' NOT NULL' * is_required}" for name, kind, is_required in columns]
