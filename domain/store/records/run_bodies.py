"""Stores the request bodies of unfinished runs in the ledger, as compressed chunks.

So a process that takes over the run can read the body, every backup contains it, and no other storage is needed.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.store.cursor import Cursor
from domain.store.records.compression import decompress
from domain.values import to_microseconds

CHUNK_BYTES = 1024 * 1024


def insert_chunks(tx: Cursor, run_id: UUID, first: int, chunks: Sequence[bytes], now: datetime) -> None:
    """Stores compressed chunks of a body; `first` is the number of the first one, and so of the chunks already stored."""
    stored_at = to_microseconds(now)
    tx.executemany(
        "INSERT INTO run_bodies VALUES (?, ?, ?, ?)",
        ((str(run_id), number, stored_at, chunk) for number, chunk in enumerate(chunks, first)),
    )


def find_chunk(tx: Cursor, run_id: UUID, chunk: int) -> bytes | None:
    """Returns the decompressed chunk, or None after the last one."""
    row = tx.execute("SELECT bytes FROM run_bodies WHERE run_id = ? AND chunk = ?", (str(run_id), chunk)).fetchone()
    return decompress(row["bytes"]) if row else None


def count_chunks(tx: Cursor, run_id: UUID) -> int:
    row = tx.execute("SELECT count(*) AS chunks FROM run_bodies WHERE run_id = ?", (str(run_id),)).fetchone()
    return int(row["chunks"])


def delete_body(tx: Cursor, run_id: UUID) -> None:
    tx.execute("DELETE FROM run_bodies WHERE run_id = ?", (str(run_id),))


def unaccepted_bodies(tx: Cursor) -> dict[UUID, int]:
    """Returns the number of chunks of each body that belongs to no run."""
    rows = tx.execute(
        "SELECT run_id, count(*) AS chunks FROM run_bodies b"
        " WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.run_id = b.run_id) GROUP BY run_id"
    )
    return {UUID(row["run_id"]): row["chunks"] for row in rows.fetchall()}
