"""How do the projections follow the ledger, and do they say what it says?

A projection is written in the transaction of the events that change it. It can be thrown away and rebuilt from the
events at any time, and it can be checked: the events are replayed into temporary tables of the same names, which hide
the real ones from the projection, and the two are compared row by row.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any

from msgspec import Struct

from domain.ledger import Entry, OfferLedger
from domain.store.commit import Commit, commit_digest, events_digest, head_of
from domain.store.cursor import Cursor
from domain.store.mapper import UnreadableEvent
from projections import inventory, partners, tokens
from projections.projection import Projection

PROJECTIONS: tuple[Projection, ...] = (inventory.PROJECTION, partners.PROJECTION, tokens.PROJECTION)
DIFFERENCES_SHOWN = 20

Watch = Callable[[int, int], None]
"""Told how many of how many entries have been replayed."""


def unwatched(_done: int, _total: int) -> None:
    """For those who only want the result."""


class ProjectionStatus(Struct, frozen=True, rename="camel"):
    name: str
    rows: int
    position: int


class Difference(Struct, frozen=True, rename="camel"):
    """A place where the ledger contradicts itself; `found` is what lies in it, `expected` what should."""

    where: str
    found: dict[str, Any] | None
    expected: dict[str, Any] | None


def tables() -> list[str]:
    """The statements that create every projection's tables and indexes."""
    return [statement for projection in PROJECTIONS for statement in (projection.table, *projection.indexes)]


def project(tx: Cursor, entries: Sequence[Entry]) -> None:
    for projection in PROJECTIONS:
        projection.apply(tx, entries)


def status(ledger: OfferLedger) -> list[ProjectionStatus]:
    with ledger.recorder.reading() as tx:
        position = head_of(tx).position
        return [ProjectionStatus(p.name, _count(tx, p.name), position) for p in PROJECTIONS]


def rebuild(ledger: OfferLedger, watch: Watch = unwatched) -> int:
    """Makes every projection anew and fills it from the first event on; answers the position reached.

    Writers wait until it is done, readers see the old rows until then."""
    with ledger.recorder.writing() as tx:
        for projection in PROJECTIONS:
            tx.execute(f"DROP TABLE IF EXISTS {projection.name}")
            tx.execute(projection.table)
        _replay(ledger, tx, watch)
        for projection in PROJECTIONS:
            for index in projection.indexes:
                tx.execute(index)
        return head_of(tx).position


def verify(ledger: OfferLedger, watch: Watch = unwatched) -> list[Difference]:
    """Every place, up to a bound, where a commit or a projection is not what the events say. Writes nothing."""
    with ledger.recorder.reading() as tx:
        differences = list(islice(_broken_commits(tx), DIFFERENCES_SHOWN))
        for projection in PROJECTIONS:
            tx.execute(projection.table.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
        try:
            _replay(ledger, tx, watch)
        except UnreadableEvent as error:
            return [*differences, Difference("events", {"unreadable": str(error)}, None)]
        for projection in PROJECTIONS:
            differences.extend(_wrong_rows(tx, projection))
        return differences[:DIFFERENCES_SHOWN]


def _replay(ledger: OfferLedger, tx: Cursor, watch: Watch) -> None:
    done, total = 0, head_of(tx).position
    for entries in ledger.entries(tx):
        project(tx, entries)
        done += len(entries)
        watch(done, total)


def _count(tx: Cursor, table: str) -> int:
    return int(tx.execute(f"SELECT count(*) AS n FROM {table}").fetchone()["n"])


def _broken_commits(tx: Cursor) -> Iterator[Difference]:
    """Commits that are not as they were recorded, and positions that don't follow on."""
    last = 0
    for commit, rows in groupby(tx.execute(_COMMITTED), lambda row: Commit(*tuple(row)[: len(Commit._fields)])):
        where = f"commit {commit.commit_id}"
        if commit.first_position != last + 1:
            yield Difference(where, {"firstPosition": commit.first_position}, {"firstPosition": last + 1})
        events = events_digest((row["stream_uid"], row["version"], row["topic"], row["state"]) for row in rows)
        if (found := commit_digest(commit, events)) != commit.digest:
            yield Difference(where, {"digest": found.hex()}, {"digest": commit.digest.hex()})
        last = commit.first_position + commit.event_count - 1
    if (position := head_of(tx).position) != last:
        yield Difference("head", {"position": position}, {"position": last})
    for row in tx.execute("SELECT DISTINCT commit_id FROM events EXCEPT SELECT commit_id FROM commits"):
        yield Difference(f"commit {row[0]}", None, {"events": "recorded"})


_COMMITTED = f"""
    SELECT {", ".join(f"c.{field}" for field in Commit._fields)},
           coalesce(s.stream_uid, x'') AS stream_uid, coalesce(e.version, 0) AS version,
           coalesce(e.topic, '') AS topic, CAST(coalesce(e.state, '') AS BLOB) AS state
    FROM commits c LEFT JOIN events e USING (commit_id) LEFT JOIN streams s USING (stream_id)
    ORDER BY c.first_position, e.ordinal
"""


def _wrong_rows(tx: Cursor, projection: Projection) -> Iterator[Difference]:
    name, key = projection.name, projection.key
    found = {row[key]: dict(row) for row in _only_in(tx, f"main.{name}", f"temp.{name}")}
    expected = {row[key]: dict(row) for row in _only_in(tx, f"temp.{name}", f"main.{name}")}
    for value in found | expected:
        yield _difference(projection, found.get(value), expected.get(value))


def _difference(projection: Projection, found: dict[str, Any] | None, expected: dict[str, Any] | None) -> Difference:
    """Of two rows, only the columns that differ."""
    row = found or expected or {}
    named = [f"{column}={row[column]}" for column in (projection.key, *projection.names) if row[column] is not None]
    where = f"{projection.name} {' '.join(named)}"
    if found is None or expected is None:
        return Difference(where, found, expected)
    wrong = [column for column in found if found[column] != expected[column]]
    return Difference(where, {column: found[column] for column in wrong}, {c: expected[c] for c in wrong})


def _only_in(tx: Cursor, one: str, other: str) -> Iterable[Any]:
    return tx.execute(f"SELECT * FROM {one} EXCEPT SELECT * FROM {other} LIMIT ?", (DIFFERENCES_SHOWN,)).fetchall()
