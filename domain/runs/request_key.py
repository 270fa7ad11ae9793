"""The idempotency key of a run."""

from typing import assert_never
from uuid import UUID

from domain.runs.run import Batch, OffersFile, RunInput, Undo


def request_key(run_input: RunInput, body_digest: str, repeated: UUID | None = None) -> str:
    """Returns the idempotency key of a run. It is unique for the partner and the channel, except for failed runs.

    A batch keeps its key for ever. Files with the same name but different content have different keys. `repeated`: the
    last run of the same file, if this run applies the file again. A run is undone only once: its undo can be undone."""
    match run_input:
        case Batch(concurrency_request_id=request_id):
            return str(request_id)
        case OffersFile(name=name):
            return f"{name} {body_digest} {repeated}" if repeated else f"{name} {body_digest}"
        case Undo(run_id=run_id):
            return f"undo {run_id}"
        case _:
            assert_never(run_input)
