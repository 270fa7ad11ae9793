"""Which partners are there, and with which settings?"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

from msgspec import Struct

from domain.events import OfferCreated, PartnerEvent, PartnerRegistered, PartnerSettingsChanged
from domain.ledgers.ledger import Entry
from domain.single_requests.quota import PartnerTerms
from domain.store.cursor import Cursor
from domain.store.mapper import decode_event
from domain.values import Channel, PartnerSettings, partner_uid, recorded_text, to_microseconds
from projections.projection import Projection

TABLE = """
    CREATE TABLE partners (
        partner_id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        synchronize_per_day INTEGER NOT NULL,
        insert_per_hour INTEGER NOT NULL,
        rps INTEGER NOT NULL,
        daily_quota INTEGER,
        missing_from_file TEXT NOT NULL,
        redemption_window_days INTEGER NOT NULL,
        merchant_offers INTEGER NOT NULL,
        created_commit INTEGER NOT NULL,
        updated_commit INTEGER NOT NULL
    )"""


# How an event changes it


def apply(tx: Cursor, entries: Sequence[Entry]) -> None:
    offers: Counter[str] = Counter()
    for entry in entries:
        match entry.event:
            case PartnerRegistered(partner=name, settings=settings):
                tx.execute(
                    "INSERT INTO partners VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?) ON CONFLICT (partner_id) DO UPDATE SET"
                    " name = excluded.name, synchronize_per_day = excluded.synchronize_per_day,"
                    " insert_per_hour = excluded.insert_per_hour, rps = excluded.rps,"
                    " daily_quota = excluded.daily_quota, missing_from_file = excluded.missing_from_file,"
                    " redemption_window_days = excluded.redemption_window_days,"
                    " created_commit = excluded.created_commit,"
                    " updated_commit = excluded.updated_commit",
                    (entry.stream_id, name, *_columns(settings), entry.commit_id, entry.commit_id),
                )
            case PartnerSettingsChanged(settings=settings):
                tx.execute(
                    "UPDATE partners SET synchronize_per_day = ?, insert_per_hour = ?, rps = ?, daily_quota = ?,"
                    " missing_from_file = ?, redemption_window_days = ?, updated_commit = ? WHERE partner_id = ?",
                    (*_columns(settings), entry.commit_id, entry.stream_id),
                )
            case OfferCreated(partner=name, channel=Channel.MERCHANT):
                offers[name] += 1
            case _:
                pass
    tx.executemany(
        "UPDATE partners SET merchant_offers = merchant_offers + ? WHERE name = ?",
        [(count, name) for name, count in offers.items()],
    )


def _columns(settings: PartnerSettings) -> tuple[int | str | None, ...]:
    quota = None if settings.daily_quota == "auto" else settings.daily_quota
    return (
        settings.synchronize_per_day,
        settings.insert_per_hour,
        settings.rps,
        quota,
        settings.missing_from_file,
        settings.redemption_window_days,
    )


PROJECTION = Projection(
    name="partners",
    key=("partner_id",),
    table=TABLE,
    apply=apply,
    events=frozenset({OfferCreated, *get_args(PartnerEvent)}),
    names=("name",),
)


# How it is asked


class PartnerView(Struct, frozen=True, rename="camel"):
    """A partner as the service shows it; a limit of 0 means unlimited."""

    name: str
    synchronize_per_day: int
    insert_per_hour: int
    rps: int
    daily_quota: int | Literal["auto"]
    missing_from_file: str
    redemption_window_days: int
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
            row["rps"],
            _quota(row),
            row["missing_from_file"],
            row["redemption_window_days"],
            recorded_text(row["created_at"]),
            recorded_text(row["updated_at"]),
        )
        for row in rows
    ]


def find_terms(tx: Cursor, names: Collection[str]) -> dict[str, PartnerTerms]:
    """Of those of the partners that there are."""
    among, values = tx.dialect.in_list(names)
    rows = tx.execute(f"SELECT name, rps, daily_quota, merchant_offers FROM partners WHERE name {among}", values)
    return {row["name"]: PartnerTerms(row["rps"], _quota(row), row["merchant_offers"]) for row in rows}


def window_days_at(tx: Cursor, name: str, moment: datetime) -> int:
    """How long a partner's redemption windows were at a moment; read from the events themselves."""
    settings = _settings_then(tx, name, "c.recorded_at <= ?", to_microseconds(moment)) or PartnerSettings()
    return settings.redemption_window_days


def settings_at(tx: Cursor, name: str, position: int) -> PartnerSettings | None:
    """A partner's settings as they stood after a position; None before it was created."""
    return _settings_then(tx, name, "c.first_position + e.ordinal <= ?", position)


def _settings_then(tx: Cursor, name: str, condition: str, until: int) -> PartnerSettings | None:
    row = tx.execute(
        "SELECT e.topic, CAST(e.state AS BLOB) AS state"
        " FROM streams s JOIN events e USING (stream_id) JOIN commits c USING (commit_id)"
        f" WHERE s.stream_uid = ? AND {condition} ORDER BY e.version DESC LIMIT 1",
        (partner_uid(name).bytes, until),
    ).fetchone()
    event = decode_event(row["topic"], row["state"]) if row else None
    return event.settings if isinstance(event, PartnerEvent) else None


def _quota(row: Any) -> int | Literal["auto"]:
    return "auto" if row["daily_quota"] is None else int(row["daily_quota"])
