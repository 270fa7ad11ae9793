"""Does the service answer what its events say? A state is replayed from the events alone, and compared with its answers."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from msgspec import Struct

from api.as_of import Asked
from api.export_files import sync, whole_file
from api.exports import What, export, state_of
from api.row_formats import plain, values
from api.wiring import Service
from domain.store.commit import Head, head_at
from domain.values import Watch
from projections import replayed
from projections.differences import DIFFERENCES_SHOWN, Difference, apart
from projections.inventory_then import Then

TABLES = {What.INVENTORY: ("offers", "offer_uid"), What.WINDOWS: ("redemption_windows", "activation_id")}
"""Of the replayed database, each with what tells its rows apart."""


class Replayed(Struct, frozen=True):
    """The state that was replayed, how many rows of it were compared, and where the service answers something else."""

    head: Head
    rows: dict[str, int]
    differences: list[Difference]


def replay(service: Service, asked: Asked, out: Path, watch: Watch) -> Replayed:
    """Raises ThereAlready, OSError, sqlite3.Error."""
    then = state_of(service, asked)
    comparable = _comparable(service, then)
    with whole_file(out) as path, path.open("xb") as file:
        with closing(sqlite3.connect(path)) as database:
            # Nobody reads it before it is whole.
            database.execute("PRAGMA synchronous = OFF")
            replayed.replay(service.ledger, then.head, then.moment, database, watch)
            rows = {TABLES[what][0]: _count(database, what) for what in comparable}
            found = (difference for what in comparable for difference in _compare(service, what, then, database))
            differences = list(islice(found, DIFFERENCES_SHOWN))
        sync(file)
    return Replayed(then.head, rows, differences)


def _comparable(service: Service, then: Then) -> list[What]:
    """Of redemption windows, the service knows states at recorded times only: none inside a commit."""
    with service.ledger.recorder.reading() as tx:
        is_whole = not then.head.recorded_at or head_at(tx, then.head.recorded_at).position == then.head.position
    return [What.INVENTORY, What.WINDOWS] if is_whole else [What.INVENTORY]


def _listed(what: What) -> str:
    """A window that has not begun is not listed."""
    return "state IS NOT NULL" if what is What.WINDOWS else "1 = 1"


def _count(database: sqlite3.Connection, what: What) -> int:
    return int(database.execute(f"SELECT count(*) FROM {TABLES[what][0]} WHERE {_listed(what)}").fetchone()[0])


def _compare(service: Service, what: What, then: Then, database: sqlite3.Connection) -> Iterator[Difference]:
    """Row by row, in both directions."""
    table, key = TABLES[what]
    answered = export(service, what, then, None, 0, lambda _done, _total: None)
    names = list(answered.kind.__struct_fields__)
    told = f"SELECT {', '.join(names)} FROM {table} WHERE {_listed(what)}"
    database.execute(f"CREATE TEMP TABLE answered_{table} (key TEXT PRIMARY KEY)")
    for rows in answered.rows:
        for row in rows:
            answer = {name: plain(value) for name, value in zip(names, values(row), strict=True)}
            place = f"{table} {answer[key]}"
            if database.execute(f"SELECT 1 FROM answered_{table} WHERE key = ?", (answer[key],)).fetchone():
                yield Difference(place, answer, {"answered": "once"})
                continue
            database.execute(f"INSERT INTO answered_{table} VALUES (?)", (answer[key],))
            found = database.execute(f"{told} AND {key} = ?", (answer[key],)).fetchone()
            expected = dict(zip(names, found, strict=True)) if found else None
            if expected != answer:
                yield Difference(place, *apart(answer, expected))
    missing = f"{told} AND {key} NOT IN (SELECT key FROM answered_{table})"
    for row in database.execute(missing):
        unanswered = dict(zip(names, row, strict=True))
        yield Difference(f"{table} {unanswered[key]}", None, unanswered)
