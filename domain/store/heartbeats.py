"""Which runs have owners that are at work?

Told beside the ledger, for whoever stores a large run holds its one lock for longer than a lease lasts, and owners that wait for
it must still be able to say that they are there. It need not be kept: without it, leases end a little sooner.
"""

from datetime import datetime

from msgspec.structs import replace

from domain.run import Run
from domain.store.database import Database
from domain.values import from_microseconds, to_microseconds


class Heartbeats:
    """Of owners that work on the same database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, run: Run, until: datetime) -> None:
        """Its owner is there, and will be until then."""
        with self._database.beside() as tx:
            tx.execute(
                "INSERT INTO heartbeats VALUES (?, ?, ?) ON CONFLICT (run_id) DO UPDATE"
                " SET fence = excluded.fence, lease_until = excluded.lease_until",
                (str(run.run_id), run.lease.fence, to_microseconds(until)),
            )

    def renewed(self, run: Run) -> Run:
        """The run with its lease as its owner has renewed it."""
        with self._database.beside() as tx:
            row = tx.execute(
                "SELECT lease_until FROM heartbeats WHERE run_id = ? AND fence = ?", (str(run.run_id), run.lease.fence)
            ).fetchone()
        if row is None:
            return run
        until = max(run.lease.until, from_microseconds(row["lease_until"]))
        return replace(run, lease=replace(run.lease, until=until))

    def forget(self, run: Run) -> None:
        """It has ended."""
        with self._database.beside() as tx:
            tx.execute("DELETE FROM heartbeats WHERE run_id = ?", (str(run.run_id),))
