"""What has a customer been promised, by which activations?"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.events import OfferActivated
from domain.ledgers.ledger import Entry
from domain.redemption.activation import Activation, OfferAsOf
from domain.redemption.activation_group import OfferTerms
from domain.redemption.window import RedemptionWindow
from domain.store.cursor import Cursor
from domain.values import Status, from_microseconds, to_microseconds
from projections.projection import Projection

TABLE = """
    CREATE TABLE redemption_windows (
        activation_id INTEGER PRIMARY KEY,
        commit_id INTEGER NOT NULL,
        customer_id TEXT NOT NULL,
        offer_id INTEGER NOT NULL,
        offer_version INTEGER NOT NULL,
        activated_at INTEGER NOT NULL,
        redemption_window_days INTEGER NOT NULL,
        redeemable_until INTEGER NOT NULL,
        late INTEGER NOT NULL
    )"""
INDEXES = (
    # The order of lists, within a customer and without.
    "CREATE INDEX redemption_windows_by_customer ON redemption_windows (customer_id, offer_id, redeemable_until)",
    # This ends with what tells whether a window had begun, so that those that had not are passed without a look at their rows.
    """
    CREATE INDEX redemption_windows_by_offer
    ON redemption_windows (offer_id, redeemable_until, activation_id, activated_at)""",
)


# How an event changes it


def apply(tx: Cursor, entries: Sequence[Entry]) -> None:
    tx.executemany(
        "INSERT INTO redemption_windows"
        " VALUES (?, ?, ?, coalesce((SELECT stream_id FROM streams WHERE stream_uid = ?), 0), ?, ?, ?, ?, ?)"
        " ON CONFLICT (activation_id) DO NOTHING",
        [_row(entry, entry.event) for entry in entries if isinstance(entry.event, OfferActivated)],
    )


def _row(entry: Entry, event: OfferActivated) -> tuple[Any, ...]:
    return (
        entry.stream_id,
        entry.commit_id,
        event.customer_id,
        UUID(event.offer_uid).bytes,
        event.offer_version,
        event.activated_at,
        event.redemption_window_days,
        event.redeemable_until,
        int(event.late),
    )


PROJECTION = Projection(
    name="redemption_windows",
    key=("activation_id",),
    table=TABLE,
    apply=apply,
    events=frozenset({OfferActivated}),
    indexes=INDEXES,
    names=("customer_id", "activated_at"),
)


# How it is asked


def activations(tx: Cursor, asked: Collection[tuple[str, UUID]], known: datetime | None = None) -> list[Activation]:
    """Of customers, each of an offer, by when they were activated; those that had been recorded by `known`, or all."""
    if not asked:
        return []
    # The offers' ids are known before: so there is one way to their rows, by customer, also for who knows nothing of the table.
    offer_id = "(SELECT stream_id FROM streams WHERE stream_uid = ?)"
    given = ", ".join([f"(CAST(? AS TEXT), {offer_id})"] * len(asked))
    rows = tx.execute(
        f"{_COLUMNS} FROM (VALUES {given}) asked CROSS JOIN redemption_windows w ON w.customer_id = asked.column1 AND w.offer_id = asked.column2"
        " CROSS JOIN streams s ON s.stream_id = w.activation_id CROSS JOIN streams o ON o.stream_id = w.offer_id"
        " CROSS JOIN commits c ON c.commit_id = w.commit_id WHERE c.recorded_at <= ? ORDER BY w.activated_at",
        (
            *(value for customer_id, offer_uid in asked for value in (customer_id, offer_uid.bytes)),
            to_microseconds(known) if known else 2**62,
        ),
    )
    return [_activation(row) for row in rows]


def find_activation(tx: Cursor, activation_id: UUID) -> Activation | None:
    row = tx.execute(f"{_SELECT} WHERE s.stream_uid = ?", (activation_id.bytes,)).fetchone()
    return _activation(row) if row else None


def count(tx: Cursor) -> int:
    return int(tx.execute("SELECT count(*) AS windows FROM redemption_windows").fetchone()["windows"])


def offer_terms(tx: Cursor, offer_uids: Collection[UUID]) -> dict[UUID, OfferTerms]:
    """Of the offers that were ever seen."""
    if not offer_uids:
        return {}
    among, values = tx.dialect.in_list([uid.bytes for uid in offer_uids])
    rows = tx.execute(
        "SELECT s.stream_uid, i.partner, i.status, i.version, p.redemption_window_days,"
        " oc.recorded_at AS offer_since, pc.recorded_at AS partner_since"
        " FROM streams s JOIN inventory i ON i.offer_id = s.stream_id JOIN partners p ON p.name = i.partner"
        " JOIN commits oc ON oc.commit_id = i.updated_commit JOIN commits pc ON pc.commit_id = p.updated_commit"
        f" WHERE s.stream_uid {among}",
        values,
    )
    return {
        UUID(bytes=row["stream_uid"]): OfferTerms(
            row["partner"],
            row["redemption_window_days"],
            OfferAsOf(Status(row["status"]), row["version"]),
            from_microseconds(max(row["offer_since"], row["partner_since"])),
        )
        for row in rows
    }


_COLUMNS = "SELECT w.*, s.stream_uid, o.stream_uid AS offer_uid"
_SELECT = f"""
    {_COLUMNS} FROM redemption_windows w
    JOIN streams s ON s.stream_id = w.activation_id JOIN streams o ON o.stream_id = w.offer_id
"""


def _activation(row: Any) -> Activation:
    return Activation(
        activation_id=UUID(bytes=row["stream_uid"]),
        customer_id=row["customer_id"],
        offer_uid=UUID(bytes=row["offer_uid"]),
        offer_version=row["offer_version"],
        redemption_window_days=row["redemption_window_days"],
        window=RedemptionWindow(from_microseconds(row["activated_at"]), from_microseconds(row["redeemable_until"])),
        late=bool(row["late"]),
    )
