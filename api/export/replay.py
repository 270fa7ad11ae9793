"""Does the service answer what its events say? A state is replayed from the events alone, and compared with its answers."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import Any

from msgspec import Struct

from api.export.datasets import ROWS_PER_READ, What, export, state_of
from api.export.files import whole_file
from api.http.as_of import PRESENT, Asked
from api.http.row_formats import plain, values
from api.offers.queries import then_of
from api.service import Service
from domain.store.commit import Head, head_at
from domain.store.cursor import Cursor
from domain.values import Channel, Watch, unwatched
from projections.maintenance.replay_database import Replaying
from projections.maintenance.table_diff import DIFFERENCES_SHOWN, Difference, apart
from projections.offers import inventory, status_counts
from projections.offers.inventory import OfferFilter, OfferView
from projections.offers.inventory_as_of import Then
from projections.redemption.windows_as_of import WindowView

TABLES = {What.INVENTORY: ("offers", "offer_uid"), What.WINDOWS: ("redemption_windows", "activation_id")}
"""Of the replayed database, each with what tells its rows apart."""
KINDS: dict[What, type[Struct]] = {What.INVENTORY: OfferView, What.WINDOWS: WindowView}
"""As the service shows them."""


class Replayed(Struct, frozen=True):
    """The state that was replayed, how many rows of it were compared, and where the service answers something else."""

    head: Head
    rows: dict[str, int]
    differences: list[Difference]


def replay(service: Service, asked: Asked, out: Path, watch: Watch) -> Replayed:
    """The present state is that of one snapshot, in which everything that tells it is compared. Raises ThereAlready, OSError,
    sqlite3.Error."""
    then = state_of(service, asked)
    ledger = service.ledger
    with whole_file(out) as path, closing(sqlite3.connect(path)) as database:
        # Nobody reads it before it is whole.
        database.execute("PRAGMA synchronous = OFF")
        replaying = Replaying(database)
        replaying.follow(ledger, then.head.position, watch)
        with ledger.recorder.reading() as tx:
            if asked == PRESENT:
                then = then_of(ledger, tx, PRESENT)
                replaying.follow_in(tx, ledger, then.head.position)
            replaying.end(tx, then.head, then.moment)
            comparable = _comparable(tx, then)
            found = list(islice(_wrong_in(tx, then, database, asked), DIFFERENCES_SHOWN))
        # What was, stays: it is asked of other snapshots, and this one is not kept open without need.
        wrong = (_compare(database, what, export(service, what, then, None, 0, unwatched).rows) for what in comparable)
        differences = list(islice(chain(found, *wrong), DIFFERENCES_SHOWN))
        rows = {TABLES[what][0]: _count(database, what) for what in comparable}
    return Replayed(then.head, rows, differences)


def _wrong_in(tx: Cursor, then: Then, database: sqlite3.Connection, asked: Asked) -> Iterator[Difference]:
    """By what one snapshot tells."""
    yield from _wrong_counts(tx, then, database)
    if asked == PRESENT:
        yield from _compare(database, What.INVENTORY, _present_rows(tx, then))


def _comparable(tx: Cursor, then: Then) -> list[What]:
    """Of redemption windows, the service knows states at recorded times only: none inside a commit."""
    is_whole = not then.head.recorded_at or head_at(tx, then.head.recorded_at).position == then.head.position
    return [What.INVENTORY, What.WINDOWS] if is_whole else [What.INVENTORY]


def _listed(what: What) -> str:
    """A window that has not begun is not listed."""
    return "state IS NOT NULL" if what is What.WINDOWS else "1 = 1"


def _count(database: sqlite3.Connection, what: What) -> int:
    return int(database.execute(f"SELECT count(*) FROM {TABLES[what][0]} WHERE {_listed(what)}").fetchone()[0])


def _present_rows(tx: Cursor, then: Then) -> Iterator[Sequence[OfferView]]:
    """What is answered of the present has a table of its own."""
    after: int | None = 0
    while after is not None:
        page = inventory.page(tx, OfferFilter(), then.moment, after, ROWS_PER_READ)
        yield page.items
        after = page.next_after


def _wrong_counts(tx: Cursor, then: Then, database: sqlite3.Connection) -> Iterator[Difference]:
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


def _compare(database: sqlite3.Connection, what: What, answered: Iterable[Sequence[Struct]]) -> Iterator[Difference]:
    """Row by row, in both directions."""
    (table, key), kind = TABLES[what], KINDS[what]
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
                yield Difference(place, *apart(answer, expected))
    missing = f"{told} AND {key} NOT IN (SELECT key FROM answered)"
    for row in database.execute(missing):
        unanswered = dict(zip(names, row, strict=True))
        yield Difference(f"{table} {unanswered[key]}", None, unanswered)
