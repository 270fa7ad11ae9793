"""The projection `event_types`: one row per type of event in a commit.

It finds the few events of a rare type among millions of others.
"""

from collections.abc import Sequence
from typing import Any

from domain.events import EVENT_TYPES
from domain.ledgers.ledger import CommitKinds
from domain.store.cursor import Cursor
from projections.projection import Projection

TABLE = """
    CREATE TABLE event_types (
        type TEXT NOT NULL,
        position INTEGER NOT NULL,
        commit_id INTEGER NOT NULL,
        partner TEXT NOT NULL
    )"""
"""`position` is the first position of the commit. `partner` is empty for commits of no partner."""
INDEXES = (
    # Unique, so that SQLite knows that they return commits in order and does not sort.
    "CREATE UNIQUE INDEX event_types_by_position ON event_types (type, position, commit_id)",
    "CREATE UNIQUE INDEX event_types_by_partner ON event_types (partner, type, position, commit_id)",
)


def gather(_tx: Cursor, kinds: CommitKinds) -> list[tuple[str, int]]:
    return [(kind.TOPIC, commit_id) for commit_id, types in kinds.items() for kind in types]


def seal(tx: Cursor, types: Sequence[Sequence[Any]]) -> None:
    tx.executemany(
        "INSERT INTO event_types SELECT ?, first_position, commit_id, coalesce(partner, '') FROM commits"
        " WHERE commit_id = ?",
        types,
    )


PROJECTION = Projection(
    name="event_types",
    key=("type", "position"),
    table=TABLE,
    gather=gather,
    seal=seal,
    events=frozenset(EVENT_TYPES),
    indexes=INDEXES,
)
