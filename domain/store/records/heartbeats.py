"""Renewed leases and the progress of running runs.

They are stored outside the ledger's locks: storing a large run can hold the ledger lock for longer than a lease, and owners that
wait for the lock must still renew theirs. The data may be lost: then leases expire a little sooner.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from domain.runs.run import Progress, Run, lease_end
from domain.store.database import Database
from domain.values import from_microseconds, to_microseconds


class Heartbeats:
    """Leases and progress of all owners that use the same database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def renew(self, run: Run, until: datetime, progress: Progress | None) -> None:
        """Renews the lease of a run's owner, and stores the progress if it is known."""
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

    def with_renewed_lease(self, run: Run, now: datetime, duration: timedelta) -> Run:
        """Returns the run with the lease that its owner has renewed last. The lease has expired if a clock that was ahead set
        its end, and the owner has not renewed it since."""
        with self._database.heartbeat_write() as tx:
            row = tx.execute(
                "SELECT lease_until FROM heartbeats WHERE run_id = ? AND fence = ?", (str(run.run_id), run.lease.fence)
            ).fetchone()
        ends = [run.lease.until] if row is None else [run.lease.until, from_microseconds(row["lease_until"])]
        until = lease_end(ends, now, duration)
        return replace(run, lease=replace(run.lease, until=until))

    def find_progress(self, run: Run) -> Progress | None:
        """Returns the progress that the owner has reported last, or None."""
        with self._database.heartbeat_write() as tx:
            row = tx.execute(
                "SELECT done, total FROM progress WHERE run_id = ? AND fence = ?", (str(run.run_id), run.lease.fence)
            ).fetchone()
        return Progress(row["done"], row["total"]) if row else None

    def delete(self, run: Run) -> None:
        """Deletes the lease and progress of a finished run."""
        with self._database.heartbeat_write() as tx:
            for table in ("heartbeats", "progress"):
                tx.execute(f"DELETE FROM {table} WHERE run_id = ?", (str(run.run_id),))
