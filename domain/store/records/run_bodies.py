"""Where is the request of a run while it is not finished? In packed chunks, in the ledger itself.

So it is there for whoever takes the run over, it is part of every backup, and it needs no place of its own.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.store.cursor import Cursor
from domain.store.records.compression import unpack
from domain.values import to_microseconds

CHUNK_BYTES = 4 * 1024 * 1024


def insert_chunks(tx: Cursor, run_id: UUID, first: int, packed: Sequence[bytes], now: datetime) -> None:
    """Stores chunks of a body, packed, in their order; `first` is how many are there already."""
    stored_at = to_microseconds(now)
    tx.executemany(
        "INSERT INTO run_bodies VALUES (?, ?, ?, ?)",
        ((str(run_id), chunk, stored_at, some) for chunk, some in enumerate(packed, first)),
    )


def find_chunk(tx: Cursor, run_id: UUID, chunk: int) -> bytes | None:
    """The chunk as it was sent, or None beyond the last one."""
    row = tx.execute("SELECT bytes FROM run_bodies WHERE run_id = ? AND chunk = ?", (str(run_id), chunk)).fetchone()
    return unpack(row["bytes"]) if row else None


def count_chunks(tx: Cursor, run_id: UUID) -> int:
    row = tx.execute("SELECT count(*) AS chunks FROM run_bodies WHERE run_id = ?", (str(run_id),)).fetchone()
    return int(row["chunks"])


def delete_body(tx: Cursor, run_id: UUID) -> None:
    tx.execute("DELETE FROM run_bodies WHERE run_id = ?", (str(run_id),))


def delete_abandoned(tx: Cursor, before: datetime) -> int:
    """Removes bodies to which nothing has come since a time, and which have never become the request of a run; answers
    how many chunks."""
    deleted = tx.execute(
        "DELETE FROM run_bodies WHERE run_id NOT IN (SELECT run_id FROM runs)"
        " AND run_id IN (SELECT run_id FROM run_bodies GROUP BY run_id HAVING max(stored_at) < ?) RETURNING 1",
        (to_microseconds(before),),
    )
    return len(deleted.fetchall())
