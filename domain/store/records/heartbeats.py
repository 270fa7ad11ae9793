"""Which runs have owners that are at work, and how far are they?

Told beside the ledger, for whoever stores a large run holds its one lock for longer than a lease lasts, and owners that wait for
it must still be able to say that they are there. It need not be kept: without it, leases end a little sooner.
"""

from datetime import datetime

from msgspec.structs import replace

from domain.runs.run import Progress, Run
from domain.store.database import Database
from domain.values import from_microseconds, to_microseconds


class Heartbeats:
    """Of owners that work on the same database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, run: Run, until: datetime, progress: Progress | None) -> None:
        """Its owner is there, will be until then, and is so far, if it knows."""
        with self._database.heartbeat_write() as tx:
            tx.execute(
                "INSERT INTO heartbeats VALUES (?, ?, ?) ON CONFLICT (run_id) DO UPDATE"
                " SET fence = excluded.fence, lease_until = excluded.lease_until",
                (str(run.run_id), run.lease.fence, to_microseconds(until)),
            )
            if progress:
                tx.execute(
                    "INSERT INTO progress VALUES (?, ?, ?, ?) ON CONFLICT (run_id) DO UPDATE"
                    " SET fence = excluded.fence, done = excluded.done, total = excluded.total",
                    (str(run.run_id), run.lease.fence, progress.done, progress.total),
                )

    def renewed(self, run: Run) -> Run:
        """The run with its lease as its owner has renewed it."""
        with self._database.heartbeat_write() as tx:
            row = tx.execute(
                "SELECT lease_until FROM heartbeats WHERE run_id = ? AND fence = ?", (str(run.run_id), run.lease.fence)
            ).fetchone()
        if row is None:
            return run
        until = max(run.lease.until, from_microseconds(row["lease_until"]))
        return replace(run, lease=replace(run.lease, until=until))

    def progress(self, run: Run) -> Progress | None:
        """How far its owner is; None where it has not told that."""
        with self._database.heartbeat_write() as tx:
            row = tx.execute(
                "SELECT done, total FROM progress WHERE run_id = ? AND fence = ?", (str(run.run_id), run.lease.fence)
            ).fetchone()
        return Progress(row["done"], row["total"]) if row else None

    def forget(self, run: Run) -> None:
        """It has ended."""
        with self._database.heartbeat_write() as tx:
            for table in ("heartbeats", "progress"):
                tx.execute(f"DELETE FROM {table} WHERE run_id = ?", (str(run.run_id),))
