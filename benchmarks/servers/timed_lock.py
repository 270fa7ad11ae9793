"""For how long do large batches hold the ledger's lock? `offer-ledger` that writes it down, a line in seconds for each transaction
that stores much."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.cli.main import main
from domain.store.cursor import Cursor
from domain.store.postgres.dialect import PostgresDialect
from domain.store.recorder import LedgerRecorder
from domain.store.sqlite.dialect import SQLITE
from domain.values import Scope

HELD_FILE = "BENCHMARK_HELD_FILE"
"""The environment's name for where it is written."""

_storing, _take_turn = LedgerRecorder.bulk_write, PostgresDialect.acquire_ledger_lock


class _Turn(threading.local):
    """Of the thread's transaction: since when it has held the lock, or waited for it."""

    since: float | None = None


_turn = _Turn()


@contextmanager
def _timed_storing(recorder: LedgerRecorder, scope: Scope | None = None) -> Iterator[Cursor]:
    with _storing(recorder, scope) as tx:
        _turn.since = time.perf_counter() if tx.dialect is SQLITE else None
        yield tx
    if _turn.since is not None:
        with Path(os.environ[HELD_FILE]).open("a") as held:
            held.write(f"{time.perf_counter() - _turn.since}\n")


def _timed_take_turn(dialect: PostgresDialect, tx: Cursor) -> None:
    _turn.since = time.perf_counter()
    _take_turn(dialect, tx)


# A helper process has its server's main module under this other name.
if __name__ in {"__main__", "__mp_main__"}:
    LedgerRecorder.bulk_write = _timed_storing  # type: ignore[assignment, method-assign]
    PostgresDialect.acquire_ledger_lock = _timed_take_turn  # type: ignore[assignment, method-assign]
if __name__ == "__main__":
    main()
