"""Is the ledger what was recorded, and do the projections say what it says?

Commits are sealed by a chain of digests. Projections are checked by replaying the events into temporary tables of the
same names, which hide the real ones from the projection; then the two are compared row by row.
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from domain.events import OfferCreated, OfferRestored, OfferUpdated
from domain.ledger import Entry, OfferLedger
from domain.store.commit import CommitContext, EventsDigest, chained, commit_digest
from domain.store.cursor import Cursor
from domain.store.mapper import UnreadableEvent
from domain.values import Watch, unwatched
from projections.projection import Projection
from projections.projector import PROJECTIONS, replay

DIFFERENCES_SHOWN = 20


class Difference(Struct, frozen=True, rename="camel"):
    """A place where the ledger contradicts itself; `found` is what lies in it, `expected` what should."""

    where: str
    found: dict[str, Any] | None
    expected: dict[str, Any] | None


def verify(ledger: OfferLedger, watch: Watch = unwatched) -> list[Difference]:
    """Places, up to a bound, where a commit or a projection is not what was recorded. Writes nothing."""
    with ledger.recorder.reading() as tx:
        differences = list(itertools.islice(_broken_commits(tx), DIFFERENCES_SHOWN))
        for projection in PROJECTIONS:
            tx.execute(projection.table.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
        referred: set[str] = set()
        try:
            replay(ledger, tx, watch, lambda entries: referred.update(_images_of(entries)))
        except UnreadableEvent as error:
            return [*differences, Difference("events", {"unreadable": str(error)}, None)]
        differences.extend(_broken_images(tx, referred))
        for projection in PROJECTIONS:
            differences.extend(_wrong_rows(tx, projection))
        return differences[:DIFFERENCES_SHOWN]


# Commits


def _broken_commits(tx: Cursor) -> Iterator[Difference]:
    """Commits that are not as they were recorded, in the place where they were recorded."""
    position, recorded_at, chain = 0, 0, b""
    for commit_id, rows in itertools.groupby(tx.execute(_COMMITTED), lambda row: row["commit_id"]):
        where = f"commit {commit_id}"
        commit = next(rows)
        told = {column: commit[column] for column in _TOLD}
        events = EventsDigest()
        events.update(tuple(row)[-5:] for row in itertools.chain([commit], rows))
        digest = commit_digest(told, events.digest())
        place = (commit["first_position"], commit["event_count"], commit["recorded_at"])
        if place[0] != position + 1:
            yield Difference(where, {"firstPosition": place[0]}, {"firstPosition": position + 1})
        if digest != commit["digest"]:
            yield Difference(where, {"digest": digest.hex()}, {"digest": commit["digest"].hex()})
        if (found := chained(chain, commit["digest"], *place)) != commit["chain"]:
            yield Difference(where, {"chain": found.hex()}, {"chain": commit["chain"].hex()})
        position, recorded_at, chain = place[0] + place[1] - 1, place[2], commit["chain"]
    head = tx.execute("SELECT position, recorded_at, chain FROM head").fetchone()
    if tuple(head) != (position, recorded_at, chain):
        yield Difference("head", _shown(*head), _shown(position, recorded_at, chain))
    for row in tx.execute("SELECT DISTINCT commit_id FROM events EXCEPT SELECT commit_id FROM commits"):
        yield Difference(f"commit {row['commit_id']}", None, {"events": "recorded"})


_TOLD = tuple(CommitContext().told())
_COMMITTED = """
    SELECT c.*, coalesce(e.ordinal, 0) AS ordinal,
           coalesce(s.stream_uid, x'') AS stream_uid, coalesce(e.version, 0) AS version,
           coalesce(e.topic, '') AS topic, CAST(coalesce(e.state, '') AS BLOB) AS state
    FROM commits c LEFT JOIN events e USING (commit_id) LEFT JOIN streams s USING (stream_id)
    ORDER BY c.first_position, e.ordinal
"""


def _shown(position: int, recorded_at: int, chain: bytes) -> dict[str, Any]:
    return {"position": position, "recordedAt": recorded_at, "chain": chain.hex()}


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
    for row in tx.execute("SELECT digest, literal FROM images"):
        digest = _bytes(row["digest"]).hex()
        if (found := hashlib.sha256(_bytes(row["literal"])).hexdigest()) != digest:
            yield Difference(f"image {digest}", {"digest": found}, {"digest": digest})
        referred.discard(digest)
    for digest in sorted(referred):
        yield Difference(f"image {digest}", None, {"digest": digest})


# Projections


def _wrong_rows(tx: Cursor, projection: Projection) -> Iterator[Difference]:
    name, key = projection.name, ", ".join(projection.key)
    matches = " AND ".join(f"{column} = ?" for column in projection.key)
    keys = tx.execute(
        f"SELECT DISTINCT {key} FROM (SELECT * FROM (SELECT * FROM main.{name} EXCEPT SELECT * FROM temp.{name})"
        f" UNION ALL SELECT * FROM (SELECT * FROM temp.{name} EXCEPT SELECT * FROM main.{name})) ORDER BY {key} LIMIT ?",
        (DIFFERENCES_SHOWN,),
    ).fetchall()
    for row in keys:
        found, expected = (
            tx.execute(f"SELECT * FROM {schema}.{name} WHERE {matches}", tuple(row)).fetchone()
            for schema in ("main", "temp")
        )
        yield _difference(projection, dict(found) if found else None, dict(expected) if expected else None)


def _difference(projection: Projection, found: dict[str, Any] | None, expected: dict[str, Any] | None) -> Difference:
    """Of two rows, only the columns that differ."""
    row = found or expected or {}
    named = [f"{column}={row[column]}" for column in (*projection.key, *projection.names) if row[column] is not None]
    where = f"{projection.name} {' '.join(named)}"
    if found is None or expected is None:
        return Difference(where, found, expected)
    wrong = [column for column in found if found[column] != expected[column]]
    return Difference(where, {column: found[column] for column in wrong}, {c: expected[c] for c in wrong})
