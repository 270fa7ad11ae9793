"""Which partners are there, and with which settings?"""

from collections.abc import Sequence

from msgspec import Struct

from domain.events import PartnerRegistered, PartnerSettingsChanged
from domain.ledger import Entry
from domain.store.cursor import Cursor
from domain.values import recorded_text
from projections.projection import Projection

TABLE = """
    CREATE TABLE partners (
        partner_id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        synchronize_per_day INTEGER NOT NULL,
        insert_per_hour INTEGER NOT NULL,
        created_commit INTEGER NOT NULL,
        updated_commit INTEGER NOT NULL
    )"""


# How an event changes it


def apply(tx: Cursor, entries: Sequence[Entry]) -> None:
    for entry in entries:
        match entry.event:
            case PartnerRegistered(partner=name, settings=settings):
                tx.execute(
                    "INSERT INTO partners VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (partner_id) DO UPDATE SET"
                    " name = excluded.name, synchronize_per_day = excluded.synchronize_per_day,"
                    " insert_per_hour = excluded.insert_per_hour, created_commit = excluded.created_commit,"
                    " updated_commit = excluded.updated_commit",
                    (
                        entry.stream_id,
                        name,
                        settings.synchronize_per_day,
                        settings.insert_per_hour,
                        entry.commit_id,
                        entry.commit_id,
                    ),
                )
            case PartnerSettingsChanged(settings=settings):
                tx.execute(
                    "UPDATE partners SET synchronize_per_day = ?, insert_per_hour = ?, updated_commit = ?"
                    " WHERE partner_id = ?",
                    (settings.synchronize_per_day, settings.insert_per_hour, entry.commit_id, entry.stream_id),
                )
            case _:
                pass


PROJECTION = Projection(name="partners", key="partner_id", table=TABLE, apply=apply, names=("name",))


# How it is asked


class PartnerView(Struct, frozen=True, rename="camel"):
    """A partner as the service shows it; a limit of 0 means unlimited."""

    name: str
    synchronize_per_day: int
    insert_per_hour: int
    created_at: str
    updated_at: str


def list_partners(tx: Cursor, name: str | None = None) -> list[PartnerView]:
    """All partners by name, or the one that is named."""
    rows = tx.execute(
        "SELECT p.*, created.recorded_at AS created_at, updated.recorded_at AS updated_at FROM partners p"
        " JOIN commits created ON created.commit_id = p.created_commit"
        " JOIN commits updated ON updated.commit_id = p.updated_commit"
        " WHERE p.name = coalesce(?, p.name) ORDER BY p.name",
        (name,),
    )
    return [
        PartnerView(
            row["name"],
            row["synchronize_per_day"],
            row["insert_per_hour"],
            recorded_text(row["created_at"]),
            recorded_text(row["updated_at"]),
        )
        for row in rows
    ]
