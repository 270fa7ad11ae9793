"""On which purchases has the verdict changed, and by which late fact?

A verdict changes only when an activation is recorded after the purchase was made or told of: what is valid once stays so,
on the same activation. So the activations that were recorded in a span lead to the purchases, and what was recorded before
and after costs nothing.
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
from projections.redemption.redemption_windows import activations

ROWS_PER_QUERY = 100


class TimeRange(Struct, frozen=True):
    """Two recorded times."""

    since: datetime
    until: datetime


class FactPlace(NamedTuple):
    """The place of a late fact, and of a purchase on which it bears."""

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
    """What was recorded of a purchase last, and the verdicts on it. Times are RFC 3339 text."""

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
    items: list[ChangedVerdictView]
    next_after: FactPlace | None


def page(tx: Cursor, span: TimeRange, partner: str | None, after: FactPlace, limit: int) -> ChangedVerdictPage:
    """In the order of the late facts. Each purchase once: the fact that changed its verdict is one."""
    items: list[ChangedVerdictView] = []
    place = after
    for row in _late(tx, span, partner, after):
        changed = _changed(tx, row, span)
        if changed is None:
            continue
        if len(items) == limit:
            return ChangedVerdictPage(items, place)
        items.append(changed)
        place = _place(row)
    return ChangedVerdictPage(items, None)


def _place(row: Any) -> FactPlace:
    return FactPlace(row["fact_recorded_at"], row["fact_id"], row["redemption_id"])


def _late(tx: Cursor, span: TimeRange, partner: str | None, after: FactPlace) -> Iterator[Any]:
    """Activations recorded in the span, each with the earlier purchases of that customer on that offer, as told last."""
    since, until = to_microseconds(span.since), to_microseconds(span.until)
    of_partner = " AND i.partner = ?" if partner else ""
    while True:
        found = tx.execute(
            f"{_LATE}{of_partner} ORDER BY a.recorded_at, w.activation_id, r.redemption_id LIMIT ?",
            (
                *(max(since + 1, after.recorded_at), until, *after, until, until),
                *([partner] if partner else []),
                ROWS_PER_QUERY,
            ),
        ).fetchall()
        yield from found
        if len(found) < ROWS_PER_QUERY:
            return
        after = _place(found[-1])


# The joins are in the order in which they shall be made.
_LATE = """
    SELECT r.*, (SELECT min(d.recorded_at) FROM redemptions n JOIN commits d ON d.commit_id = n.commit_id
                 WHERE n.redemption_id = r.redemption_id) AS first_told_at,
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


def _changed(tx: Cursor, row: Any, span: TimeRange) -> ChangedVerdictView | None:
    """None if this fact has not changed the verdict."""
    offer_uid, transacted_at = UUID(bytes=row["offer_uid"]), from_microseconds(row["transacted_at"])
    # Before a purchase was made or told of, there is no verdict on it.
    first = max(span.since, min(transacted_at, from_microseconds(row["first_told_at"])))
    asked = [(row["customer_id"], offer_uid)]
    made, told = activations(tx, asked, first), activations(tx, asked, span.until)
    before, after = verdict_on(made, transacted_at), verdict_on(told, transacted_at)
    if before == after:
        return None
    cause = after.activation_id if isinstance(after, Activation) else _first_recorded(tx, row)
    if cause != UUID(bytes=row["fact_uid"]):
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


def _first_recorded(tx: Cursor, row: Any) -> UUID:
    """What has made a customer that had never activated the offer one that had."""
    found = tx.execute(
        "SELECT s.stream_uid FROM redemption_windows w JOIN commits c ON c.commit_id = w.commit_id"
        " JOIN streams s ON s.stream_id = w.activation_id"
        " WHERE w.customer_id = ? AND w.offer_id = ? ORDER BY c.recorded_at LIMIT 1",
        (row["customer_id"], row["offer_id"]),
    ).fetchone()
    return UUID(bytes=found["stream_uid"])
