"""On which purchases has the verdict changed, and by which late fact?

A verdict changes only when an activation is recorded after the purchase was made: what is valid once stays so, on the same
activation. So only purchases that were in doubt are looked at: those that were refused, and those that are owed a reward on
an activation that was recorded later.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import Struct

from domain.redemption import Verdict, verdict_on
from domain.store.cursor import Cursor
from domain.values import from_microseconds, recorded_text, to_microseconds
from projections.redemption_windows import activations

ROWS_PER_QUERY = 100


class Span(Struct, frozen=True):
    """Two recorded times."""

    since: datetime
    until: datetime


class AttemptPlace(NamedTuple):
    redemption_id: int
    version: int


START = AttemptPlace(0, 0)


class LateFact(Struct, frozen=True, rename="camel"):
    """The activation that changed the verdict."""

    activation_id: UUID
    activated_at: str
    recorded_at: str
    position: int
    actor: str
    type: str = "OfferActivated"


class ChangedVerdict(Struct, frozen=True):
    """`row`: the purchase, with `partner`, `offer_uid`, `redemption_uid` and `recorded_at`."""

    row: Any
    before: Verdict
    after: Verdict
    late_fact: LateFact


class ChangedVerdictPage(Struct, frozen=True):
    items: list[ChangedVerdict]
    next_after: AttemptPlace | None


def page(tx: Cursor, span: Span, partner: str | None, after: AttemptPlace, limit: int) -> ChangedVerdictPage:
    """In the order in which the transactions were first heard of."""
    items: list[ChangedVerdict] = []
    for row in _doubtful(tx, span, partner, after):
        changed = _changed(tx, row, span)
        if changed and len(items) == limit:
            last = items[-1].row
            return ChangedVerdictPage(items, AttemptPlace(last["redemption_id"], last["version"]))
        if changed:
            items.append(changed)
    return ChangedVerdictPage(items, None)


def _doubtful(tx: Cursor, span: Span, partner: str | None, after: AttemptPlace) -> Iterator[Any]:
    """Purchases as they were told last, with activations of the customer and the offer that were recorded in the span."""
    since, until = to_microseconds(span.since), to_microseconds(span.until)
    of_partner = " AND i.partner = ?" if partner else ""
    while True:
        found = tx.execute(
            f"{_DOUBTFUL}{of_partner} ORDER BY r.redemption_id, r.version LIMIT ?",
            (*after, until, until, since, until, *([partner] if partner else []), ROWS_PER_QUERY),
        ).fetchall()
        yield from found
        if len(found) < ROWS_PER_QUERY:
            return
        after = AttemptPlace(found[-1]["redemption_id"], found[-1]["version"])


_DOUBTFUL = """
    SELECT r.*, i.partner, o.stream_uid AS offer_uid, s.stream_uid AS redemption_uid, c.recorded_at
    FROM redemptions r
    JOIN commits c ON c.commit_id = r.commit_id
    JOIN inventory i ON i.offer_id = r.offer_id
    JOIN streams o ON o.stream_id = r.offer_id
    JOIN streams s ON s.stream_id = r.redemption_id
    WHERE r.is_doubtful = 1 AND (r.redemption_id, r.version) > (?, ?) AND c.recorded_at <= ?
    AND NOT EXISTS (
        SELECT 1 FROM redemptions n JOIN commits d ON d.commit_id = n.commit_id
        WHERE n.redemption_id = r.redemption_id AND n.version > r.version AND n.type <> 'RedemptionReversed'
        AND d.recorded_at <= ?)
    AND EXISTS (
        SELECT 1 FROM redemption_windows w JOIN commits a ON a.commit_id = w.commit_id
        WHERE w.customer_id = r.customer_id AND w.offer_id = r.offer_id
        AND a.recorded_at > ? AND a.recorded_at > r.transacted_at AND a.recorded_at <= ?)
"""


def _changed(tx: Cursor, row: Any, span: Span) -> ChangedVerdict | None:
    offer_uid, transacted_at = UUID(bytes=row["offer_uid"]), from_microseconds(row["transacted_at"])
    first = max(span.since, transacted_at)  # before a purchase there is no verdict on it
    known, told = (activations(tx, row["customer_id"], offer_uid, moment) for moment in (first, span.until))
    before, after = verdict_on(known, transacted_at), verdict_on(told, transacted_at)
    if before == after:
        return None
    earlier = {activation.activation_id for activation in known}
    late = [activation.activation_id for activation in told if activation.activation_id not in earlier]
    changed_by = after.activation.activation_id if after.activation else None
    facts = [_late_fact(tx, activation_id) for activation_id in ([changed_by] if changed_by else late)]
    return ChangedVerdict(row, before, after, min(facts, key=lambda fact: fact.position))


def _late_fact(tx: Cursor, activation_id: UUID) -> LateFact:
    row = tx.execute(
        "SELECT w.activated_at, c.recorded_at, c.first_position + e.ordinal AS position, c.actor"
        " FROM streams s JOIN redemption_windows w ON w.activation_id = s.stream_id"
        " JOIN events e ON e.stream_id = s.stream_id JOIN commits c ON c.commit_id = e.commit_id"
        " WHERE s.stream_uid = ?",
        (activation_id.bytes,),
    ).fetchone()
    return LateFact(
        activation_id,
        recorded_text(row["activated_at"]),
        recorded_text(row["recorded_at"]),
        row["position"],
        row["actor"],
    )
