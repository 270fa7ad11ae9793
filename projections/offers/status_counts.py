"""How many offers were in each state, at any position of the ledger?

Running counts: a row for each commit and each number that it changed, so that a count of any moment is one look.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any, get_args

from domain.events import OfferEvent
from domain.ledgers.ledger import CommitKinds
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
"""`position`: that of the last event of the commit that has led to this number."""
COUNTED = (Status.ACTIVE, Status.PAUSED, Status.DELETED)


# How a commit changes it


def gather(tx: Cursor, kinds: CommitKinds) -> list[Any]:
    """By how much each number changes: so many rows are looked at before others have to wait."""
    remaining, changes = iter(kinds), list[Any]()
    while some := list(islice(remaining, COMMITS_PER_QUERY)):
        changes += tx.execute(_CHANGES.format(commits=",".join("?" * len(some))), (*some, ALL_OF_IT)).fetchall()
    return changes


def seal(tx: Cursor, changes: Sequence[Sequence[Any]]) -> None:
    tx.executemany(_SEAL, [(*key, int(offers), *key, commit_id) for commit_id, *key, offers in changes])


ALL_OF_IT = 2**62
COMMITS_PER_QUERY = 1_000
# Each offer that a commit has changed leaves the state that it was in before, and comes into the one that it is in after.
_CHANGES = """
    SELECT commit_id, partner, channel, status, sum(offers) AS offers FROM (
        SELECT e.commit_id, i.partner, i.channel, CASE way.offers WHEN 1 THEN p.status ELSE b.status END AS status, way.offers
        FROM events e
        CROSS JOIN (SELECT 1 AS offers UNION ALL SELECT -1) way
        JOIN offer_periods p ON p.offer_id = e.stream_id AND p.version = e.version
        JOIN inventory i ON i.offer_id = e.stream_id
        LEFT JOIN offer_periods b ON b.offer_id = e.stream_id AND b.version = e.version - 1
        WHERE e.commit_id IN ({commits}) AND e.ordinal <= ?
    ) changes WHERE status IS NOT NULL GROUP BY commit_id, partner, channel, status HAVING sum(offers) <> 0
    ORDER BY commit_id
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


# How it is asked


def counts(tx: Cursor, partner: str | None, channel: Channel | None, head: LedgerHead) -> dict[Status, int]:
    """By state, of the offers of a partner and a channel, or of all; as of a position, which may lie inside a commit."""
    partners, channels, whose = _whose(partner, channel)
    rows = tx.execute(_COUNTS.format(partners=partners, channels=channels), (head.position, *whose)).fetchall()
    found = dict.fromkeys(COUNTED, 0)
    for row in (*rows, *_since_the_last_commit(tx, partner, channel, head.position)):
        found[Status(row["status"])] += row["offers"] or 0
    return found


def counts_over(
    tx: Cursor, partner: str | None, channel: Channel | None, moments: Sequence[datetime]
) -> list[dict[Status, int]]:
    """The same as of many recorded times, by one look."""
    if not moments:
        return []
    partners, channels, whose = _whose(partner, channel)
    times = " UNION ALL ".join(["SELECT CAST(? AS BIGINT) AS number, CAST(? AS BIGINT) AS at"] * len(moments))
    values = [value for number, moment in enumerate(moments) for value in (number, to_microseconds(moment))]
    rows = tx.execute(
        _COUNTS_OVER.format(partners=partners, channels=channels, times=times), (*values, *whose)
    ).fetchall()
    found = [dict.fromkeys(COUNTED, 0) for _ in moments]
    for row in rows:
        found[row["number"]][Status(row["status"])] += int(row["offers"] or 0)
    return found


def _whose(partner: str | None, channel: Channel | None) -> tuple[str, str, list[str]]:
    """Partners and channels as parts of a query, and the parameters of it."""
    partners, whose = (_EVERYBODY, []) if partner is None else ("SELECT ? AS partner", [partner])
    return partners, " UNION ALL ".join(f"SELECT '{c}' AS channel" for c in Channel if channel in {None, c}), whose


# Goes from partner to partner through the key, however many numbers each has had.
_EVERYBODY = """
    WITH RECURSIVE p (partner) AS (
        SELECT min(partner) FROM status_counts
        UNION ALL
        SELECT (SELECT min(s.partner) FROM status_counts s WHERE s.partner > p.partner) FROM p WHERE p.partner IS NOT NULL
    )
    SELECT partner FROM p WHERE partner IS NOT NULL
"""
_STATUSES = " UNION ALL ".join(f"SELECT '{status}' AS status" for status in COUNTED)
_NUMBER_AT = """(
        SELECT s.offers FROM status_counts s WHERE s.partner = p.partner AND s.channel = c.channel AND s.status = t.status
        AND s.position <= {position} ORDER BY s.position DESC LIMIT 1)"""
_COUNTS = f"""
    SELECT t.status, {_NUMBER_AT.format(position="?")} AS offers
    FROM ({{partners}}) p CROSS JOIN ({{channels}}) c CROSS JOIN ({_STATUSES}) t
"""


_COUNTS_OVER = f"""
    SELECT h.number, t.status, {_NUMBER_AT.format(position="h.position")} AS offers
    FROM (SELECT m.number, (
        SELECT o.first_position + o.event_count - 1 FROM commits o WHERE o.recorded_at <= m.at
        ORDER BY o.recorded_at DESC LIMIT 1) AS position FROM ({{times}}) m) h
    CROSS JOIN ({{partners}}) p CROSS JOIN ({{channels}}) c CROSS JOIN ({_STATUSES}) t
"""


def _since_the_last_commit(tx: Cursor, partner: str | None, channel: Channel | None, position: int) -> list[Any]:
    """What the part of a commit before a position that lies inside of it has changed."""
    commit = tx.execute(
        "SELECT commit_id, first_position, event_count FROM commits WHERE first_position <= ?"
        " ORDER BY first_position DESC LIMIT 1",
        (position,),
    ).fetchone()
    if commit is None or position >= commit["first_position"] + commit["event_count"] - 1:
        return []
    rows = tx.execute(
        _CHANGES.format(commits="?"), (commit["commit_id"], position - commit["first_position"])
    ).fetchall()
    return [row for row in rows if partner in {None, row["partner"]} and channel in {None, row["channel"]}]
