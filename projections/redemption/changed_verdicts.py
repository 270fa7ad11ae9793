"""Purchases whose verdict changed in a range of recorded time, each with the late fact that changed it.

A verdict changes only if an activation is recorded after the purchase was made or reported: a valid purchase stays
valid, on the same activation. So the query starts from the activations recorded in the range, and other events cost
nothing.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import Struct

from domain.redemption.activation import Activation
from domain.redemption.redemption import Verdict, verdict_on
from domain.store.cursor import Cursor
from domain.values import from_microseconds, recorded_text, to_microseconds
from projections.redemption.redemption_windows import find_activations

ROWS_PER_QUERY = 100


class TimeRange(Struct, frozen=True):
    """The recorded times after `since`, up to and including `until`."""

    since: datetime
    until: datetime


class FactPlace(NamedTuple):
    """The place of a purchase in the list: its late fact, then its own id. `recorded_at` is in microseconds."""

    recorded_at: int
    activation_id: int
    redemption_id: int


FIRST_FACT = FactPlace(0, 0, 0)


class LateFactView(Struct, frozen=True, rename="camel"):
    """The activation that changed the verdict."""

    activation_id: UUID
    activated_at: str
    recorded_at: str
    position: int
    actor: str
    type: str = "OfferActivated"


class ChangedVerdictView(Struct, frozen=True, rename="camel"):
    """The newest record of a purchase by the end of the range, and the verdicts on it. Times are RFC 3339 text."""

    redemption_id: UUID
    transaction_id: str
    type: str
    customer_id: str
    offer_uid: UUID
    partner: str
    amount: str
    currency: str
    transacted_at: str
    recorded_at: str
    before: Verdict
    after: Verdict
    late_fact: LateFactView


class ChangedVerdictPage(Struct, frozen=True):
    """`next_after` is the place after which the next page starts; None on the last page."""

    items: list[ChangedVerdictView]
    next_after: FactPlace | None


def page(tx: Cursor, times: TimeRange, partner: str | None, after: FactPlace, limit: int) -> ChangedVerdictPage:
    """Returns changed verdicts in the order of their late facts. A purchase occurs once, because one fact changed its
    verdict."""
    items: list[ChangedVerdictView] = []
    place = after
    for row in _candidates(tx, times, partner, after):
        changed = _changed_verdict(tx, row, times)
        if changed is None:
            continue
        if len(items) == limit:
            return ChangedVerdictPage(items, place)
        items.append(changed)
        place = _place(row)
    return ChangedVerdictPage(items, None)


def _place(row: Any) -> FactPlace:
    return FactPlace(row["fact_recorded_at"], row["fact_id"], row["redemption_id"])


def _candidates(tx: Cursor, times: TimeRange, partner: str | None, after: FactPlace) -> Iterator[Any]:
    """Yields the activations recorded in the range, each with the customer's earlier purchases on the offer.

    Of a purchase, the row has its newest record by the end of the range."""
    since, until = to_microseconds(times.since), to_microseconds(times.until)
    of_partner = " AND i.partner = ?" if partner else ""
    while True:
        rows = tx.execute(
            f"{_CANDIDATES}{of_partner} ORDER BY a.recorded_at, w.activation_id, r.redemption_id LIMIT ?",
            (
                *(max(since + 1, after.recorded_at), until, *after, until, until),
                *([partner] if partner else []),
                ROWS_PER_QUERY,
            ),
        ).fetchall()
        yield from rows
        if len(rows) < ROWS_PER_QUERY:
            return
        after = _place(rows[-1])


# CROSS JOIN fixes the order of the joins in SQLite.
_CANDIDATES = """
    SELECT r.*, (SELECT min(d.recorded_at) FROM redemptions n JOIN commits d ON d.commit_id = n.commit_id
                 WHERE n.redemption_id = r.redemption_id) AS first_recorded_at,
           i.partner, o.stream_uid AS offer_uid, s.stream_uid AS redemption_uid, c.recorded_at,
           a.recorded_at AS fact_recorded_at, w.activation_id AS fact_id, w.activated_at AS fact_activated_at,
           f.stream_uid AS fact_uid, a.first_position + e.ordinal AS fact_position, a.actor AS fact_actor
    FROM commits a
    CROSS JOIN events e CROSS JOIN redemption_windows w CROSS JOIN redemptions r CROSS JOIN commits c
    CROSS JOIN inventory i CROSS JOIN streams o CROSS JOIN streams s CROSS JOIN streams f
    WHERE a.recorded_at >= ? AND a.recorded_at <= ?
    AND e.commit_id = a.commit_id AND w.activation_id = e.stream_id
    AND (a.recorded_at, w.activation_id, r.redemption_id) > (?, ?, ?)
    AND r.customer_id = w.customer_id AND r.offer_id = w.offer_id
    AND r.type <> 'RedemptionReversed'
    AND (r.transacted_at < a.recorded_at OR EXISTS (
        SELECT 1 FROM redemptions n JOIN commits d ON d.commit_id = n.commit_id
        WHERE n.redemption_id = r.redemption_id AND d.recorded_at < a.recorded_at))
    AND c.commit_id = r.commit_id AND c.recorded_at <= ?
    AND NOT EXISTS (
        SELECT 1 FROM redemptions n JOIN commits d ON d.commit_id = n.commit_id
        WHERE n.redemption_id = r.redemption_id AND n.version > r.version AND n.type <> 'RedemptionReversed'
        AND d.recorded_at <= ?)
    AND i.offer_id = r.offer_id AND o.stream_id = r.offer_id
    AND s.stream_id = r.redemption_id AND f.stream_id = w.activation_id
"""


def _changed_verdict(tx: Cursor, row: Any, times: TimeRange) -> ChangedVerdictView | None:
    """Returns the purchase with both verdicts; None if this activation did not change the verdict."""
    offer_uid, transacted_at = UUID(bytes=row["offer_uid"]), from_microseconds(row["transacted_at"])
    # A purchase has no verdict before it was made or first recorded.
    known_before = max(times.since, min(transacted_at, from_microseconds(row["first_recorded_at"])))
    pairs = [(row["customer_id"], offer_uid)]
    before = verdict_on(find_activations(tx, pairs, known_before), transacted_at)
    after = verdict_on(find_activations(tx, pairs, times.until), transacted_at)
    if before == after:
        return None
    fact = after.activation_id if isinstance(after, Activation) else _first_recorded_activation(tx, row)
    if fact != UUID(bytes=row["fact_uid"]):
        return None
    return ChangedVerdictView(
        redemption_id=UUID(bytes=row["redemption_uid"]),
        transaction_id=row["transaction_id"],
        type=row["type"],
        customer_id=row["customer_id"],
        offer_uid=offer_uid,
        partner=row["partner"],
        amount=row["amount"],
        currency=row["currency"],
        transacted_at=recorded_text(row["transacted_at"]),
        recorded_at=recorded_text(row["recorded_at"]),
        before=before,
        after=after,
        late_fact=LateFactView(
            activation_id=UUID(bytes=row["fact_uid"]),
            activated_at=recorded_text(row["fact_activated_at"]),
            recorded_at=recorded_text(row["fact_recorded_at"]),
            position=row["fact_position"],
            actor=row["fact_actor"],
        ),
    )


def _first_recorded_activation(tx: Cursor, row: Any) -> UUID:
    """Returns the activation that changed the reason of a refusal from "never activated the offer"."""
    activation = tx.execute(
        "SELECT s.stream_uid FROM redemption_windows w JOIN commits c ON c.commit_id = w.commit_id"
        " JOIN streams s ON s.stream_id = w.activation_id"
        " WHERE w.customer_id = ? AND w.offer_id = ? ORDER BY c.recorded_at LIMIT 1",
        (row["customer_id"], row["offer_id"]),
    ).fetchone()
    return UUID(bytes=activation["stream_uid"])
