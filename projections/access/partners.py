"""The projection `partners`: partners with their present settings. Past settings are read from the events."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, get_args

from msgspec import Struct

from domain.events import Event, OfferCreated, PartnerEvent, PartnerRegistered, PartnerSettingsChanged
from domain.ledgers.ledger import Entry, LedgerReader
from domain.refusals import UnknownPartner
from domain.single_requests.quota import PartnerTerms
from domain.store.cursor import Condition, Cursor, Lookup
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


EVENTS: frozenset[type[Event]] = frozenset({OfferCreated, *get_args(PartnerEvent)})


# Updates


def apply(tx: Cursor, entries: Sequence[Entry]) -> None:
    offers: Counter[str] = Counter()
    for entry in entries:
        event = entry.event
        if type(event) not in EVENTS or (type(event) is OfferCreated and event.channel != Channel.MERCHANT):
            continue  # nearly all entries of a large commit
        match event:
            case PartnerRegistered(partner=name, settings=settings):
                tx.execute(
                    "INSERT INTO partners VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)"
                    " ON CONFLICT (partner_id) DO UPDATE SET name = excluded.name,"
                    " synchronize_per_day = excluded.synchronize_per_day,"
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
    events=EVENTS,
    names=("name",),
)


# Queries


class PartnerView(Struct, frozen=True, rename="camel"):
    """A partner as the API returns it. A limit of 0 means unlimited."""

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
    """Returns all partners sorted by name, or only the partner with this name."""
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


def all_names(tx: Cursor) -> list[str]:
    """Returns the names of all registered partners."""
    return [row["name"] for row in tx.execute("SELECT name FROM partners")]


def require_registered(ledger: LedgerReader, name: str | None) -> None:
    """Raises UnknownPartner for a name that no partner has. None stands for all partners."""
    if name is not None:
        with ledger.read() as tx:
            if tx.execute("SELECT 1 FROM partners WHERE name = ?", (name,)).fetchone() is None:
                raise UnknownPartner(name)


def terms_lookup(names: Condition) -> Lookup[dict[str, PartnerTerms]]:
    """Returns the lookup of the limits and the offer count by partner name. Unknown names are left out."""
    condition, values = names
    return Lookup(
        f"SELECT name, rps, daily_quota, merchant_offers FROM partners WHERE name {condition}",
        values,
        lambda rows: {row["name"]: PartnerTerms(row["rps"], _quota(row), row["merchant_offers"]) for row in rows},
    )


def window_days_at(tx: Cursor, name: str, time: datetime) -> int:
    """Returns the length of a partner's redemption windows, in days, by the settings recorded until that time."""
    settings = _newest_settings(tx, name, "c.recorded_at <= ?", to_microseconds(time)) or PartnerSettings()
    return settings.redemption_window_days


def settings_as_of(tx: Cursor, name: str, position: int) -> PartnerSettings | None:
    """Returns a partner's settings as of a position; None before the partner was registered."""
    return _newest_settings(tx, name, "c.first_position + e.ordinal <= ?", position)


def _newest_settings(tx: Cursor, name: str, condition: str, last: int) -> PartnerSettings | None:
    row = tx.execute(
        "SELECT e.topic, CAST(e.state AS BLOB) AS state"
        " FROM streams s JOIN events e USING (stream_id) JOIN commits c USING (commit_id)"
        f" WHERE s.stream_uid = ? AND {condition} ORDER BY e.version DESC LIMIT 1",
        (partner_uid(name).bytes, last),
    ).fetchone()
    event = decode_event(row["topic"], row["state"]) if row else None
    return event.settings if isinstance(event, PartnerEvent) else None


def _quota(row: Any) -> int | Literal["auto"]:
    return "auto" if row["daily_quota"] is None else int(row["daily_quota"])
