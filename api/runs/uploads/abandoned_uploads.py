"""Removes chunks that a killed process has left in the ledger between storing a body and accepting it."""

from collections.abc import Mapping
from uuid import UUID

from domain.ledgers.run_ledger import RunLedger

ABANDONED_SECONDS = 3600.0
"""Another process may still accept the body: it waits for others to be accepted."""


class AbandonedUploads:
    """Observes the uploads without a run. One whose chunks have not changed for ABANDONED_SECONDS is abandoned.

    It measures the time itself, so the clock plays no part: an upload is never old because the clock was set."""

    def __init__(self, runs: RunLedger) -> None:
        self._runs = runs
        self._seen: Mapping[UUID, tuple[int, float]] = {}
        """The number of chunks, and the time since which it is the same."""

    def remove(self, now: float) -> int:
        """Removes abandoned uploads, and returns their number. `now`: seconds of a clock that nobody sets."""
        found = self._runs.unaccepted_uploads()
        unchanged = {run_id: since for run_id, (chunks, since) in self._seen.items() if found.get(run_id) == chunks}
        self._seen = {run_id: (chunks, unchanged.get(run_id, now)) for run_id, chunks in found.items()}
        abandoned = [run_id for run_id, (_, since) in self._seen.items() if now - since >= ABANDONED_SECONDS]
        for run_id in abandoned:
            self._runs.drop_body(run_id)
        return len(abandoned)
