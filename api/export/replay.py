"""Does the service answer what its events say? A state is replayed from the events alone, and compared with its answers."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import Any

from msgspec import Struct

from api.export.datasets import EXPORT_ROWS_PER_READ, Dataset, export_state, open_export
from api.export.files import whole_file
from api.http.as_of import NOW, AsOf, resolve
from api.http.row_formats import plain, values
from api.service import Service
from domain.store.commit import LedgerHead, head_at_time
from domain.store.cursor import Cursor
from domain.values import Channel, ProgressCallback, no_progress
from projections.maintenance.replay_database import ReplayDatabase
from projections.maintenance.table_diff import DIFFERENCES_SHOWN, Difference, differing_columns
from projections.offers import inventory, status_counts
from projections.offers.inventory import OfferFilter, OfferView
from projections.offers.inventory_as_of import LedgerState
from projections.redemption.windows_as_of import WindowView

PROJECTION_TABLES = {
    Dataset.INVENTORY: ("offers", "offer_uid"),
    Dataset.WINDOWS: ("redemption_windows", "activation_id"),
}
"""Of the replayed database, each with what tells its rows apart."""
COMPARED_ROWS: dict[Dataset, type[Struct]] = {Dataset.INVENTORY: OfferView, Dataset.WINDOWS: WindowView}
"""As the service shows them."""


class ReplayResult(Struct, frozen=True):
    """The state that was replayed, how many rows of it were compared, and where the service answers something else."""

    head: LedgerHead
    rows: dict[str, int]
    differences: list[Difference]


def compare_with_replay(service: Service, asked: AsOf, out: Path, watch: ProgressCallback) -> ReplayResult:
    """The present state is that of one snapshot, in which everything that tells it is compared. Raises ThereAlready, OSError,
    sqlite3.Error."""
    then = export_state(service, asked)
    ledger = service.ledger
    with whole_file(out) as path, closing(sqlite3.connect(path)) as database:
        # Nobody reads it before it is whole.
        database.execute("PRAGMA synchronous = OFF")
        replaying = ReplayDatabase(database)
        replaying.follow(ledger, then.head.position, watch)
        with ledger.recorder.read() as tx:
            if asked.is_now:
                then = resolve(ledger, tx, NOW)
                replaying.follow_in(tx, ledger, then.head.position)
            replaying.end(tx, then.head, then.evaluated_at)
            comparable = _comparable(tx, then)
            found = list(islice(_wrong_in(tx, then, database, asked), DIFFERENCES_SHOWN))
        # What was, stays: it is asked of other snapshots, and this one is not kept open without need.
        wrong = (
            _compare(database, what, open_export(service, what, then, None, 0, no_progress).rows) for what in comparable
        )
        differences = list(islice(chain(found, *wrong), DIFFERENCES_SHOWN))
        rows = {PROJECTION_TABLES[what][0]: _count(database, what) for what in comparable}
    return ReplayResult(then.head, rows, differences)


def _wrong_in(tx: Cursor, then: LedgerState, database: sqlite3.Connection, asked: AsOf) -> Iterator[Difference]:
    """By what one snapshot tells."""
    yield from _wrong_counts(tx, then, database)
    if asked.is_now:
        yield from _compare(database, Dataset.INVENTORY, _present_rows(tx, then))


def _comparable(tx: Cursor, then: LedgerState) -> list[Dataset]:
    """Of redemption windows, the service knows states at recorded times only: none inside a commit."""
    is_whole = not then.head.recorded_at or head_at_time(tx, then.head.recorded_at).position == then.head.position
    return [Dataset.INVENTORY, Dataset.WINDOWS] if is_whole else [Dataset.INVENTORY]


def _listed(what: Dataset) -> str:
    """A window that has not begun is not listed."""
    return "state IS NOT NULL" if what is Dataset.WINDOWS else "1 = 1"


def _count(database: sqlite3.Connection, what: Dataset) -> int:
    return int(
        database.execute(f"SELECT count(*) FROM {PROJECTION_TABLES[what][0]} WHERE {_listed(what)}").fetchone()[0]
    )


def _present_rows(tx: Cursor, then: LedgerState) -> Iterator[Sequence[OfferView]]:
    """What is answered of the present has a table of its own."""
    after: int | None = 0
    while after is not None:
        page = inventory.page(tx, OfferFilter(), then.evaluated_at, after, EXPORT_ROWS_PER_READ)
        yield page.items
        after = page.next_after


def _wrong_counts(tx: Cursor, then: LedgerState, database: sqlite3.Connection) -> Iterator[Difference]:
    expected: defaultdict[tuple[str | None, Channel | None], Counter[str]] = defaultdict(Counter)
    grouped = "SELECT partner, channel, status, count(*) FROM offers GROUP BY partner, channel, status"
    for partner, channel, status, offers in database.execute(grouped):
        for scope in ((partner, Channel(channel)), (None, None)):
            expected[scope][status] += offers
    for (partner, channel), counts in {(None, None): Counter[str](), **expected}.items():
        found = status_counts.counts(tx, partner, channel, then.head)
        wrong = [status for status in found if found[status] != counts[status]]
        if wrong:
            place = f"counts of {partner or 'all partners'}, {channel or 'all channels'}"
            told: list[dict[str, Any]] = [{status: of[status] for status in wrong} for of in (found, counts)]
            yield Difference(place, *told)


def _compare(database: sqlite3.Connection, what: Dataset, answered: Iterable[Sequence[Struct]]) -> Iterator[Difference]:
    """Row by row, in both directions."""
    (table, key), kind = PROJECTION_TABLES[what], COMPARED_ROWS[what]
    names = list(kind.__struct_fields__)
    told = f"SELECT {', '.join(names)} FROM {table} WHERE {_listed(what)}"
    database.execute("DROP TABLE IF EXISTS temp.answered")
    database.execute("CREATE TEMP TABLE answered (key TEXT PRIMARY KEY)")
    for rows in answered:
        for row in rows:
            answer = {name: plain(value) for name, value in zip(names, values(row), strict=True)}
            place = f"{table} {answer[key]}"
            if database.execute("SELECT 1 FROM answered WHERE key = ?", (answer[key],)).fetchone():
                yield Difference(place, answer, {"answered": "once"})
                continue
            database.execute("INSERT INTO answered VALUES (?)", (answer[key],))
            found = database.execute(f"{told} AND {key} = ?", (answer[key],)).fetchone()
            expected = dict(zip(names, found, strict=True)) if found else None
            if expected != answer:
                yield Difference(place, *differing_columns(answer, expected))
    missing = f"{told} AND {key} NOT IN (SELECT key FROM answered)"
    for row in database.execute(missing):
        unanswered = dict(zip(names, row, strict=True))
        yield Difference(f"{table} {unanswered[key]}", None, unanswered)
