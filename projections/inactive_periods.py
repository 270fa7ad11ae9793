"""When was an offer that had been active not so?

A row for each time that it was paused or deleted, until it was resumed or restored; the commits tell the times.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import get_args

from domain.events import OfferCreated, OfferEvent
from domain.ledger import Entry
from domain.offer import STATUS_AFTER
from domain.store.cursor import Cursor
from domain.values import Status
from projections.projection import Projection

TABLE = """
    CREATE TABLE inactive_periods (
        offer_id INTEGER NOT NULL,
        since_version INTEGER NOT NULL,
        since_commit INTEGER NOT NULL,
        until_commit INTEGER,
        PRIMARY KEY (offer_id, since_version)
    )"""


# How an event changes it


def apply(tx: Cursor, entries: Sequence[Entry]) -> None:
    changes = [(entry, status) for entry in entries if (status := _status_after(entry))]
    for is_active, group in groupby(changes, lambda change: change[1] is Status.ACTIVE):
        if is_active:
            tx.executemany(_END, [(e.commit_id, e.stream_id) for e, _ in group])
        else:
            tx.executemany(_BEGIN, [(e.stream_id, e.version, e.commit_id, e.stream_id) for e, _ in group])


def _status_after(entry: Entry) -> Status | None:
    event = entry.event
    # A new offer ends nothing.
    return STATUS_AFTER[type(event)] if isinstance(event, OfferEvent) and not isinstance(event, OfferCreated) else None


_BEGIN = (
    # What is paused already and then deleted goes on not being active.
    "INSERT INTO inactive_periods SELECT ?, ?, ?, NULL"
    " WHERE NOT EXISTS (SELECT 1 FROM inactive_periods WHERE offer_id = ? AND until_commit IS NULL)"
)
_END = "UPDATE inactive_periods SET until_commit = ? WHERE offer_id = ? AND until_commit IS NULL"

PROJECTION = Projection(
    name="inactive_periods",
    key=("offer_id", "since_version"),
    table=TABLE,
    apply=apply,
    events=frozenset(get_args(OfferEvent)),
)


# How it is asked


COVERING = """
    inactive_periods p
    JOIN commits since ON since.commit_id = p.since_commit
    LEFT JOIN commits ended ON ended.commit_id = p.until_commit
"""
"""The periods with their times, to be asked with COVERS."""
COVERS = "since.recorded_at <= ? AND (ended.recorded_at IS NULL OR ended.recorded_at > ?)"
"""Takes the same moment twice."""
