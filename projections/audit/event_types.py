"""In which commits are there events of a type?

A row for each type of event in a commit: what is rare is found among millions of others.
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
"""`position`: the commit's first; `partner`: empty for what belongs to none."""
INDEXES = (
    # Unique, so that SQLite sees that they lead to commits in their order.
    "CREATE UNIQUE INDEX event_types_by_position ON event_types (type, position, commit_id)",
    "CREATE UNIQUE INDEX event_types_by_partner ON event_types (partner, type, position, commit_id)",
)


def gather(_tx: Cursor, kinds: CommitKinds) -> list[tuple[str, int]]:
    return [(kind.TOPIC, commit_id) for commit_id, some in kinds.items() for kind in some]


def seal(tx: Cursor, types: Sequence[Sequence[Any]]) -> None:
    tx.executemany(
        "INSERT INTO event_types SELECT ?, first_position, commit_id, coalesce(partner, '') FROM commits WHERE commit_id = ?",
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
