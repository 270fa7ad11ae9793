"""Replays a state from the events alone, and compares it with the answers of the service."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import Any

import apsw
from msgspec import Struct

from api.access.private_files import atomic_file
from api.audit.row_formats import row_values, scalar
from api.export.choices import Dataset
from api.export.datasets import EXPORT_ROWS_PER_READ, export_state, open_export
from api.http.as_of import NOW, AsOf, resolve
from api.service import Service
from domain.store.commit import LedgerHead, head_at_time
from domain.store.cursor import Cursor
from domain.store.sqlite.driver import connect
from domain.values import Channel, ProgressCallback, no_progress
from projections.maintenance.replay_database import ReplayDatabase
from projections.maintenance.table_diff import MAX_DIFFERENCES, Difference, differing_columns
from projections.offers import inventory, status_counts
from projections.offers.inventory import OfferFilter, OfferView
from projections.offers.inventory_as_of import LedgerState
from projections.redemption.windows_as_of import WindowView

PROJECTION_TABLES = {
    Dataset.INVENTORY: ("offers", "offer_uid"),
    Dataset.WINDOWS: ("redemption_windows", "activation_id"),
}
"""The replayed tables, each with its key column."""
COMPARED_ROWS: dict[Dataset, type[Struct]] = {Dataset.INVENTORY: OfferView, Dataset.WINDOWS: WindowView}
"""The rows as the service returns them."""


class ReplayResult(Struct, frozen=True):
    """The replayed state, the number of compared rows per table, and the differences to the answers of the service."""

    head: LedgerHead
    rows: dict[str, int]
    differences: list[Difference]


def compare_with_replay(service: Service, as_of: AsOf, out: Path, on_progress: ProgressCallback) -> ReplayResult:
    """Writes the replayed state to the SQLite file `out` and compares it with the service.

    The present state is that of one snapshot. All answers about the present are compared in that snapshot. Raises
    OutputExists, OSError, apsw.Error."""
    state = export_state(service, as_of)
    ledger = service.ledger
    with atomic_file(out) as path, closing(connect(path)) as database:
        # The file gets its name when it is complete, so a crash before that loses nothing.
        database.execute("PRAGMA synchronous = OFF")
        replay_database = ReplayDatabase(database)
        replay_database.replay(ledger, state.head.position, on_progress)
        with ledger.recorder.read() as tx:
            if as_of.is_now:
                state = resolve(ledger, tx, NOW)
                replay_database.replay_in(tx, state.head.position)
            replay_database.finish(tx, state.head, state.evaluated_at)
            comparable = _comparable(tx, state)
            in_snapshot = list(islice(_wrong_in(tx, state, database, as_of), MAX_DIFFERENCES))
        # Past states do not change, so the rest is read from other snapshots. This snapshot need not stay open longer.
        wrong = (
            _compare(database, dataset, open_export(service, dataset, state, None, 0, no_progress).rows)
            for dataset in comparable
        )
        differences = list(islice(chain(in_snapshot, *wrong), MAX_DIFFERENCES))
        rows = {PROJECTION_TABLES[dataset][0]: _count(database, dataset) for dataset in comparable}
    return ReplayResult(state.head, rows, differences)


def _wrong_in(tx: Cursor, state: LedgerState, database: apsw.Connection, as_of: AsOf) -> Iterator[Difference]:
    """Returns the differences in the answers about the state that need this snapshot."""
    yield from _wrong_counts(tx, state, database)
    if as_of.is_now:
        yield from _compare(database, Dataset.INVENTORY, _present_rows(tx, state))


def _comparable(tx: Cursor, state: LedgerState) -> list[Dataset]:
    """Returns the datasets to compare. Windows are left out for a position inside a commit, because the service
    evaluates windows only at recorded times."""
    is_whole = not state.head.recorded_at or head_at_time(tx, state.head.recorded_at).position == state.head.position
    return [Dataset.INVENTORY, Dataset.WINDOWS] if is_whole else [Dataset.INVENTORY]


def _listed(dataset: Dataset) -> str:
    """Returns the SQL condition of the rows that the service lists: windows that have not started are not listed."""
    return "state IS NOT NULL" if dataset is Dataset.WINDOWS else "1 = 1"


def _count(database: apsw.Connection, dataset: Dataset) -> int:
    query = f"SELECT count(*) FROM {PROJECTION_TABLES[dataset][0]} WHERE {_listed(dataset)}"
    count: Any = database.execute(query).get
    return int(count)


def _present_rows(tx: Cursor, state: LedgerState) -> Iterator[Sequence[OfferView]]:
    """Yields pages of the offers of the present state. They come from another table than past states."""
    after: int | None = 0
    while after is not None:
        page = inventory.page(tx, OfferFilter(), state.evaluated_at, after, EXPORT_ROWS_PER_READ)
        yield page.items
        after = page.next_after


def _wrong_counts(tx: Cursor, state: LedgerState, database: apsw.Connection) -> Iterator[Difference]:
    expected: defaultdict[tuple[str | None, Channel | None], Counter[str]] = defaultdict(Counter)
    grouped = "SELECT partner, channel, status, count(*) FROM offers GROUP BY partner, channel, status"
    for partner, channel, status, count in database.execute(grouped):
        for scope in ((partner, Channel(channel)), (None, None)):
            expected[scope][status] += count
    for (partner, channel), counts in {(None, None): Counter[str](), **expected}.items():
        answered = status_counts.counts(tx, partner, channel, state.head)
        wrong = [status for status in answered if answered[status] != counts[status]]
        if wrong:
            place = f"counts of {partner or 'all partners'}, {channel or 'all channels'}"
            found: dict[str, Any] = {status: answered[status] for status in wrong}
            yield Difference(place, found, {status: counts[status] for status in wrong})


def _compare(database: apsw.Connection, dataset: Dataset, answered: Iterable[Sequence[Struct]]) -> Iterator[Difference]:
    """Compares row by row: returns rows that differ, rows returned twice, and replayed rows that were not returned."""
    (table, key), kind = PROJECTION_TABLES[dataset], COMPARED_ROWS[dataset]
    names = list(kind.__struct_fields__)
    select = f"SELECT {', '.join(names)} FROM {table} WHERE {_listed(dataset)}"
    database.execute("DROP TABLE IF EXISTS temp.answered")
    database.execute("CREATE TEMP TABLE answered (key TEXT PRIMARY KEY)")
    for rows in answered:
        for row in rows:
            answer = {name: scalar(value) for name, value in zip(names, row_values(row), strict=True)}
            place = f"{table} {answer[key]}"
            if database.execute("SELECT 1 FROM answered WHERE key = ?", (answer[key],)).fetchone():
                yield Difference(place, answer, {"answered": "once"})
                continue
            database.execute("INSERT INTO answered VALUES (?)", (answer[key],))
            replayed_row = database.execute(f"{select} AND {key} = ?", (answer[key],)).fetchone()
            expected = dict(zip(names, replayed_row, strict=True)) if replayed_row else None
            if expected != answer:
                yield Difference(place, *differing_columns(answer, expected))
    missing = f"{select} AND {key} NOT IN (SELECT key FROM answered)"
    for row in database.execute(missing):
        unanswered = dict(zip(names, row, strict=True))
        yield Difference(f"{table} {unanswered[key]}", None, unanswered)
