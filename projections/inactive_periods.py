"""When was an offer that had been active not so?

A row for each time that it was paused or deleted, until it was resumed or restored; the commits tell the times.
"""

from collections.abc import Sequence
from itertools import groupby

from domain.events import OfferDeleted, OfferPaused, OfferRestored, OfferResumed
from domain.ledger import Entry
from domain.store.cursor import Cursor
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
    changes = [entry for entry in entries if isinstance(entry.event, _BEGINNING | _ENDING)]
    for begins, group in groupby(changes, lambda entry: isinstance(entry.event, _BEGINNING)):
        if begins:
            tx.executemany(_BEGIN, [(e.stream_id, e.version, e.commit_id, e.stream_id) for e in group])
        else:
            tx.executemany(_END, [(e.commit_id, e.stream_id) for e in group])


_BEGINNING = OfferPaused | OfferDeleted
_ENDING = OfferResumed | OfferRestored
_BEGIN = (
    # What is paused already and then deleted goes on not being active.
    "INSERT INTO inactive_periods SELECT ?, ?, ?, NULL"
    " WHERE NOT EXISTS (SELECT 1 FROM inactive_periods WHERE offer_id = ? AND until_commit IS NULL)"
)
_END = "UPDATE inactive_periods SET until_commit = ? WHERE offer_id = ? AND until_commit IS NULL"

PROJECTION = Projection(name="inactive_periods", key=("offer_id", "since_version"), table=TABLE, apply=apply)


# How it is asked


COVERING = """
    inactive_periods p
    JOIN commits since ON since.commit_id = p.since_commit
    LEFT JOIN commits ended ON ended.commit_id = p.until_commit
"""
"""The periods with their times, to be asked with COVERS."""
COVERS = "since.recorded_at <= ? AND (ended.recorded_at IS NULL OR ended.recorded_at > ?)"
"""Takes the same moment twice."""
