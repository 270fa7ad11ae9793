"""`offer-ledger` that measures how long large batches hold the ledger lock.

It appends one line to a file for each transaction with a bulk write: the seconds from the request for the lock to the
end of the transaction."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers.launcher import launch
from domain.store.cursor import Cursor
from domain.store.postgres.dialect import PostgresDialect
from domain.store.recorder import LedgerRecorder
from domain.store.sqlite.dialect import SQLITE
from domain.values import Scope

LOCK_TIMES_FILE = "BENCHMARK_HELD_FILE"
"""The environment variable that has the path of the file."""

_bulk_write, _acquire_lock = LedgerRecorder.bulk_write, PostgresDialect.acquire_ledger_lock


class _LockTime(threading.local):
    """The time since which the transaction of the thread has held the lock, or waited for it."""

    since: float | None = None


_lock_time = _LockTime()


@contextmanager
def _timed_bulk_write(recorder: LedgerRecorder, scope: Scope | None = None) -> Iterator[Cursor]:
    with _bulk_write(recorder, scope) as tx:
        _lock_time.since = time.perf_counter() if tx.dialect is SQLITE else None
        yield tx
    if _lock_time.since is not None:
        with Path(os.environ[LOCK_TIMES_FILE]).open("a") as held:
            held.write(f"{time.perf_counter() - _lock_time.since}\n")


def _timed_acquire_lock(dialect: PostgresDialect, tx: Cursor) -> None:
    _lock_time.since = time.perf_counter()
    _acquire_lock(dialect, tx)


def measure() -> None:
    LedgerRecorder.bulk_write = _timed_bulk_write  # type: ignore[assignment, method-assign]
    PostgresDialect.acquire_ledger_lock = _timed_acquire_lock  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    launch("benchmarks.servers.timed_lock", measure)
