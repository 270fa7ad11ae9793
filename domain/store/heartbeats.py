"""Which runs have owners that are at work?

Beside the ledger, in a small database of its own (`…-leases`): whoever stores a large run holds the ledger's one write
lock for longer than a lease lasts, and owners that wait for it must still be able to say that they are there.
It need not be kept: without it, leases end a little sooner.
"""

from datetime import datetime

from msgspec.structs import replace

from domain.run import Run
from domain.store.connections import Connections
from domain.values import from_microseconds, to_microseconds

SUFFIX = "-leases"
_TABLE = """
    CREATE TABLE IF NOT EXISTS heartbeats (
        run_id TEXT PRIMARY KEY,
        fence INTEGER NOT NULL,
        lease_until INTEGER NOT NULL
    )"""


class Heartbeats:
    """Of owners on this machine."""

    def __init__(self, database: str) -> None:
        self._connections = Connections(database + SUFFIX)
        self._is_prepared = False

    def beat(self, run: Run, until: datetime) -> None:
        """Its owner is there, and will be until then."""
        self._prepare()
        with self._connections.writing() as tx:
            tx.execute(
                "INSERT OR REPLACE INTO heartbeats VALUES (?, ?, ?)",
                (str(run.run_id), run.lease.fence, to_microseconds(until)),
            )

    def renewed(self, run: Run) -> Run:
        """The run with its lease as its owner has renewed it."""
        self._prepare()
        with self._connections.reading() as tx:
            row = tx.execute(
                "SELECT lease_until FROM heartbeats WHERE run_id = ? AND fence = ?", (str(run.run_id), run.lease.fence)
            ).fetchone()
        if row is None:
            return run
        until = max(run.lease.until, from_microseconds(row["lease_until"]))
        return replace(run, lease=replace(run.lease, until=until))

    def forget(self, run: Run) -> None:
        """It has ended."""
        self._prepare()
        with self._connections.writing() as tx:
            tx.execute("DELETE FROM heartbeats WHERE run_id = ?", (str(run.run_id),))

    def close(self) -> None:
        self._connections.close()

    def _prepare(self) -> None:
        if not self._is_prepared:
            with self._connections.writing() as tx:
                tx.execute(_TABLE)
            self._is_prepared = True
