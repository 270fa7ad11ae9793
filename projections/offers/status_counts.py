"""The projection `status_counts`: the number of offers per status, as of any position.

It has running counts: a commit adds a row for each count that it changes. So a past count is one index lookup.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, get_args

from domain.events import OfferEvent
from domain.ledgers.ledger import CommitKinds
from domain.offers.offer import STATUS_AFTER
from domain.store.commit import LedgerHead
from domain.store.cursor import Cursor
from domain.values import Channel, Status, to_microseconds
from projections.projection import Projection

TABLE = """
    CREATE TABLE status_counts (
        partner TEXT NOT NULL,
        channel TEXT NOT NULL,
        status TEXT NOT NULL,
        position INTEGER NOT NULL,
        offers INTEGER NOT NULL,
        PRIMARY KEY (partner, channel, status, position)
    )"""
"""`position` is that of the last event of the commit; `offers` is the count after it."""
COUNTED_STATUSES = (Status.ACTIVE, Status.PAUSED, Status.DELETED)


# Updates


class CountChange(NamedTuple):
    """The change that a commit makes to the number of offers with a status."""

    commit_id: int
    partner: str
    channel: str
    status: str
    offers: int


def gather(tx: Cursor, kinds: CommitKinds) -> list[CountChange]:
    """Returns the changes of the counts. This reads many rows, so it runs before the ledger lock is taken."""
    remaining, changes = iter(kinds), list[CountChange]()
    while commit_ids := list(islice(remaining, COMMITS_PER_QUERY)):
        changes += _changes(tx, commit_ids, WHOLE_COMMIT)
    return changes


def _changes(tx: Cursor, commit_ids: Sequence[int], last_ordinal: int) -> list[CountChange]:
    """Returns the changes by the events of the commits up to an ordinal, in the order of the commits."""
    query = _TRANSITIONS.format(commits=",".join("?" * len(commit_ids)))
    changes = Counter[tuple[int, str, str, str]]()
    for *scope, before, after, offers in tx.execute(query, (*commit_ids, last_ordinal)).fetchall():
        changes[(*scope, after)] += offers
        if before is not None:
            changes[(*scope, before)] -= offers
    places = {commit_id: place for place, commit_id in enumerate(commit_ids)}
    ordered = sorted(changes, key=lambda key: (places[key[0]], key))
    return [CountChange(*key, changes[key]) for key in ordered if changes[key]]


def seal(tx: Cursor, changes: Sequence[Sequence[Any]]) -> None:
    tx.executemany(_SEAL, [(*key, int(offers), *key, commit_id) for commit_id, *key, offers in changes])


WHOLE_COMMIT = 2**62
COMMITS_PER_QUERY = 1_000
_TRANSITION_TOPICS = ", ".join(f"'{kind.TOPIC}'" for kind, status in STATUS_AFTER.items() if status is not None)
_TRANSITIONS = f"""
    SELECT e.commit_id, i.partner, i.channel, b.status, p.status, count(*)
    FROM events e
    JOIN offer_periods p ON p.offer_id = e.stream_id AND p.version = e.version
    JOIN inventory i ON i.offer_id = e.stream_id
    LEFT JOIN offer_periods b ON b.offer_id = e.stream_id AND b.version = e.version - 1
    WHERE e.commit_id IN ({{commits}}) AND e.ordinal <= ? AND e.topic IN ({_TRANSITION_TOPICS})
        AND (b.status IS NULL OR b.status <> p.status)
    GROUP BY e.commit_id, i.partner, i.channel, b.status, p.status
"""
_SEAL = """
    INSERT INTO status_counts
    SELECT ?, ?, ?, c.first_position + c.event_count - 1, ? + coalesce((
        SELECT s.offers FROM status_counts s
        WHERE s.partner = ? AND s.channel = ? AND s.status = ? ORDER BY s.position DESC LIMIT 1), 0)
    FROM commits c WHERE c.commit_id = ?
"""

PROJECTION = Projection(
    name="status_counts",
    key=("partner", "channel", "status", "position"),
    table=TABLE,
    gather=gather,
    seal=seal,
    events=frozenset(get_args(OfferEvent)),
    reads=("inventory", "offer_periods"),
)


# Queries


def counts(tx: Cursor, partner: str | None, channel: Channel | None, head: LedgerHead) -> dict[Status, int]:
    """Returns the number of offers per status as of a position, which may be inside a commit.

    None as partner or channel counts all of them."""
    partners, channels, parameters = _scope(partner, channel)
    rows = tx.execute(_COUNTS.format(partners=partners, channels=channels), (head.position, *parameters)).fetchall()
    totals = dict.fromkeys(COUNTED_STATUSES, 0)
    for row in rows:
        totals[Status(row["status"])] += row["offers"] or 0
    for change in _changes_inside_commit(tx, partner, channel, head.position):
        totals[Status(change.status)] += change.offers
    return totals


def counts_as_of_times(
    tx: Cursor, partner: str | None, channel: Channel | None, times: Sequence[datetime]
) -> list[dict[Status, int]]:
    """Returns the number of offers per status as of each of several recorded times, with one query."""
    if not times:
        return []
    partners, channels, parameters = _scope(partner, channel)
    times_table = " UNION ALL ".join(["SELECT CAST(? AS BIGINT) AS number, CAST(? AS BIGINT) AS at"] * len(times))
    values = [value for number, time in enumerate(times) for value in (number, to_microseconds(time))]
    rows = tx.execute(
        _COUNTS_AS_OF_TIMES.format(partners=partners, channels=channels, times=times_table), (*values, *parameters)
    ).fetchall()
    totals = [dict.fromkeys(COUNTED_STATUSES, 0) for _ in times]
    for row in rows:
        totals[row["number"]][Status(row["status"])] += int(row["offers"] or 0)
    return totals


def _scope(partner: str | None, channel: Channel | None) -> tuple[str, str, list[str]]:
    """Returns a subquery for the partners, one for the channels, and their parameters."""
    partners, parameters = (_ALL_PARTNERS, []) if partner is None else ("SELECT ? AS partner", [partner])
    return partners, " UNION ALL ".join(f"SELECT '{c}' AS channel" for c in Channel if channel in {None, c}), parameters


# Steps from partner to partner in the primary key, so the number of rows per partner does not matter.
_ALL_PARTNERS = """
    WITH RECURSIVE p (partner) AS (
        SELECT min(partner) FROM status_counts
        UNION ALL
        SELECT (SELECT min(s.partner) FROM status_counts s WHERE s.partner > p.partner) FROM p
        WHERE p.partner IS NOT NULL
    )
    SELECT partner FROM p WHERE partner IS NOT NULL
"""
_STATUSES = " UNION ALL ".join(f"SELECT '{status}' AS status" for status in COUNTED_STATUSES)
_COUNT_AS_OF = """(
        SELECT s.offers FROM status_counts s
        WHERE s.partner = p.partner AND s.channel = c.channel AND s.status = t.status
        AND s.position <= {position} ORDER BY s.position DESC LIMIT 1)"""
_COUNTS = f"""
    SELECT t.status, {_COUNT_AS_OF.format(position="?")} AS offers
    FROM ({{partners}}) p CROSS JOIN ({{channels}}) c CROSS JOIN ({_STATUSES}) t
"""


_COUNTS_AS_OF_TIMES = f"""
    SELECT h.number, t.status, {_COUNT_AS_OF.format(position="h.position")} AS offers
    FROM (SELECT m.number, (
        SELECT o.first_position + o.event_count - 1 FROM commits o WHERE o.recorded_at <= m.at
        ORDER BY o.recorded_at DESC LIMIT 1) AS position FROM ({{times}}) m) h
    CROSS JOIN ({{partners}}) p CROSS JOIN ({{channels}}) c CROSS JOIN ({_STATUSES}) t
"""


def _changes_inside_commit(
    tx: Cursor, partner: str | None, channel: Channel | None, position: int
) -> list[CountChange]:
    """Returns the changes by the first part of a commit, if the position is inside one."""
    commit = tx.execute(
        "SELECT commit_id, first_position, event_count FROM commits WHERE first_position <= ?"
        " ORDER BY first_position DESC LIMIT 1",
        (position,),
    ).fetchone()
    if commit is None or position >= commit["first_position"] + commit["event_count"] - 1:
        return []
    changes = _changes(tx, [commit["commit_id"]], position - commit["first_position"])
    return [change for change in changes if partner in {None, change.partner} and channel in {None, change.channel}]
