"""The projection `redemption_windows`: one row per activation, with the window that it opened."""

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
from projections.offers.offer_holds import NEWEST_VERSION, hold_until
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
    # Both indexes have the order of the lists of windows.
    "CREATE INDEX redemption_windows_by_customer ON redemption_windows (customer_id, offer_id, redeemable_until)",
    # The last column shows whether a window had started, so windows that had not are skipped without reading their
    # rows.
    """
    CREATE INDEX redemption_windows_by_offer
    ON redemption_windows (offer_id, redeemable_until, activation_id, activated_at)""",
)


# Updates


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


# Queries


def find_activations(
    tx: Cursor, pairs: Collection[tuple[str, UUID]], known_at: datetime | None = None
) -> list[Activation]:
    """Returns the activations of (customer, offer) pairs, in the order of their activation.

    With `known_at`, only activations recorded by that time are returned."""
    if not pairs:
        return []
    # Subqueries resolve the offer ids first. So the database uses the index by customer even without statistics of the
    # table.
    offer_id = "(SELECT stream_id FROM streams WHERE stream_uid = ?)"
    values = ", ".join([f"(CAST(? AS TEXT), {offer_id})"] * len(pairs))
    rows = tx.execute(
        f"{_COLUMNS} FROM (VALUES {values}) pair"
        " CROSS JOIN redemption_windows w ON w.customer_id = pair.column1 AND w.offer_id = pair.column2"
        " CROSS JOIN streams s ON s.stream_id = w.activation_id CROSS JOIN streams o ON o.stream_id = w.offer_id"
        " CROSS JOIN commits c ON c.commit_id = w.commit_id WHERE c.recorded_at <= ? ORDER BY w.activated_at",
        (
            *(value for customer_id, offer_uid in pairs for value in (customer_id, offer_uid.bytes)),
            to_microseconds(known_at) if known_at else 2**62,
        ),
    )
    return [_activation(row) for row in rows]


def find_activation(tx: Cursor, activation_id: UUID) -> Activation | None:
    row = tx.execute(f"{_SELECT} WHERE s.stream_uid = ?", (activation_id.bytes,)).fetchone()
    return _activation(row) if row else None


def count(tx: Cursor) -> int:
    return int(tx.execute("SELECT count(*) AS windows FROM redemption_windows").fetchone()["windows"])


def offer_terms(tx: Cursor, offer_uids: Collection[UUID]) -> dict[UUID, OfferTerms]:
    """Returns what an activation needs to know of each offer. Unknown offers are left out."""
    if not offer_uids:
        return {}
    in_list, values = tx.dialect.in_list([uid.bytes for uid in offer_uids])
    rows = tx.execute(
        "SELECT s.stream_uid, i.partner, i.status, i.version, p.redemption_window_days,"
        " oc.recorded_at AS offer_since, pc.recorded_at AS partner_since,"
        " h.held, h.held_until, coalesce(hc.recorded_at, 0) AS hold_since"
        " FROM streams s JOIN inventory i ON i.offer_id = s.stream_id JOIN partners p ON p.name = i.partner"
        " JOIN commits oc ON oc.commit_id = i.updated_commit JOIN commits pc ON pc.commit_id = p.updated_commit"
        f" LEFT JOIN offer_holds h ON h.offer_id = i.offer_id AND h.version = ({NEWEST_VERSION.format(offer_id='i.offer_id')})"
        " LEFT JOIN commits hc ON hc.commit_id = h.commit_id"
        f" WHERE s.stream_uid {in_list}",
        values,
    )
    return {
        UUID(bytes=row["stream_uid"]): OfferTerms(
            row["partner"],
            row["redemption_window_days"],
            OfferAsOf(Status(row["status"]), row["version"], hold_until(row["held_until"]) if row["held"] else None),
            from_microseconds(max(row["offer_since"], row["partner_since"], row["hold_since"])),
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
