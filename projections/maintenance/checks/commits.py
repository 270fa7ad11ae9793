"""Compares all commits with the hash chain, and recomputes their highest ids."""

import itertools
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from domain.store.commit import CommitContext, EventsDigest, commit_digest, next_chain_hash
from domain.store.cursor import Cursor
from projections.maintenance.table_diff import Difference


def broken_commits(tx: Cursor) -> Iterator[Difference]:
    """Yields commits that contradict the hash chain or have wrong highest ids, a `head` that does not match the last
    commit, and events without a commit."""
    before = _CommitEnd(0, 0, b"", 0, 0)
    for commit_id, rows in itertools.groupby(tx.stream_rows(_COMMITTED), lambda row: row["commit_id"]):
        differences, before = _check(f"commit {commit_id}", rows, before)
        yield from differences
    head = tx.execute("SELECT position, recorded_at, chain FROM head").fetchone()
    if head is None or tuple(head) != before[:3]:
        yield Difference("head", _shown(tuple(head)) if head else None, _shown(before[:3]))
    for row in tx.execute("SELECT DISTINCT commit_id FROM events EXCEPT SELECT commit_id FROM commits"):
        yield Difference(f"commit {row['commit_id']}", None, {"events": "recorded"})


class _CommitEnd(NamedTuple):
    """The last position, the recorded time and the chain value of a commit, and the highest ids up to it."""

    position: int
    recorded_at: int
    chain: bytes
    highest_commit_id: int
    highest_stream_id: int


_WRONG_TYPE_ERRORS = (TypeError, ValueError, AttributeError, OverflowError, struct.error)
"""The errors that values cause if a person has changed their types in the database."""


def _check(where: str, rows: Iterator[Any], before: _CommitEnd) -> tuple[list[Difference], _CommitEnd]:
    """Checks a commit, given a row for each of its events. Returns its differences and its end."""
    commit = next(rows)
    place = (commit["first_position"], commit["event_count"], commit["recorded_at"])
    differences: list[Difference] = []
    try:
        events, highest_stream_id = EventsDigest(), before.highest_stream_id
        for row in itertools.chain([commit], rows):
            stream_id, *event = tuple(row)[-6:]
            highest_stream_id = max(highest_stream_id, stream_id)
            events.add(*event)
        digest = commit_digest({column: commit[column] for column in _CONTEXT_COLUMNS}, events.digest())
        if place[0] != before.position + 1:
            differences.append(Difference(where, {"firstPosition": place[0]}, {"firstPosition": before.position + 1}))
        if digest != commit["digest"]:
            differences.append(Difference(where, {"digest": digest.hex()}, {"digest": commit["digest"].hex()}))
        if (chain := next_chain_hash(before.chain, commit["digest"], *place)) != commit["chain"]:
            differences.append(Difference(where, {"chain": chain.hex()}, {"chain": commit["chain"].hex()}))
        highest_ids = (max(before.highest_commit_id, commit["commit_id"]), highest_stream_id)
        differences += _wrong_highest_ids(where, commit, highest_ids)
        return differences, _CommitEnd(place[0] + place[1] - 1, place[2], commit["chain"], *highest_ids)
    except _WRONG_TYPE_ERRORS as error:
        return [*differences, Difference(where, {"unreadable": str(error)}, None)], before


def _wrong_highest_ids(where: str, commit: Any, highest_ids: tuple[int, int]) -> Iterator[Difference]:
    for column, name, expected in zip(
        _HIGHEST_COLUMNS, ("highestCommitId", "highestStreamId"), highest_ids, strict=True
    ):
        if commit[column] != expected:
            yield Difference(where, {name: commit[column]}, {name: expected})


_HIGHEST_COLUMNS = ("highest_commit_id", "highest_stream_id")
_CONTEXT_COLUMNS = tuple(CommitContext().as_columns())
_COMMITTED = """
    SELECT c.*, coalesce(e.stream_id, 0) AS event_stream_id, coalesce(e.ordinal, 0) AS ordinal,
           coalesce(s.stream_uid, x'') AS stream_uid, coalesce(e.version, 0) AS version,
           coalesce(e.topic, '') AS topic, CAST(coalesce(e.state, '') AS BLOB) AS state
    FROM commits c LEFT JOIN events e USING (commit_id) LEFT JOIN streams s USING (stream_id)
    ORDER BY c.first_position, e.ordinal
"""


def _shown(head: Sequence[Any]) -> dict[str, Any]:
    position, recorded_at, chain = head
    return {
        "position": position,
        "recordedAt": recorded_at,
        "chain": chain.hex() if isinstance(chain, bytes) else str(chain),
    }
