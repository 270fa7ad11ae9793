"""Accepts and executes a file of this machine as a run, in this process and beside running servers."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from api.bounds.allowances import Allowance
from api.bounds.waiting_file import WaitingDisk, WaitingFile
from api.cli.local_user import cli_origin
from api.parsing.content_coding import decoded_body_too_large
from api.runs import acceptance
from api.runs.acceptance import RunSender
from api.runs.execution import execute
from api.runs.upload import Upload
from api.service import Service
from domain.ledgers.ledger import StorageError
from domain.ledgers.run_ledger import AcceptedRun
from domain.refusals import LeaseLost
from domain.runs.run import Run
from domain.values import Origin, ProgressCallback, Source, no_progress

READ_BLOCK_BYTES = 1024 * 1024
LEASE_POLL_SECONDS = 0.5


def require_partner(service: Service, partner: str) -> None:
    """Checks that the partner exists. Raises UnknownPartner."""
    with service.ledger.recorder.read() as tx:
        service.ledger.require_partner(tx, partner)


def accept_batch_or_file(service: Service, path: Path, partner: str, on_progress: ProgressCallback) -> AcceptedRun:
    """Accepts a batch or an offers file; its content decides which of the two it is.

    Raises what `accept_run` raises."""

    def sender(upload: Upload) -> RunSender:
        body = upload.uploaded_body.body(service.runs)
        name = path.name if acceptance.is_offers_file(body, service.settings.body_bounds) else None
        return RunSender(partner, cli_origin(), name)

    return _accept(service, path, sender, on_progress)


def accept_offers_file(
    service: Service, path: Path, partner: str, before_acceptance: Callable[[UUID], None] = lambda _: None
) -> AcceptedRun:
    """Accepts an offers file from a drop folder: the run is recorded with the source `file`, not `cli`.

    `before_acceptance` receives the id that a new run gets. Raises what `accept_run` raises."""

    def sender(upload: Upload) -> RunSender:
        before_acceptance(upload.run_id)
        return RunSender(partner, Origin(cli_origin().actor, Source.FILE), path.name)

    return _accept(service, path, sender, no_progress)


def execute_locally(service: Service, run: Run, on_progress: ProgressCallback = no_progress) -> tuple[Run, bool]:
    """Executes a run until it has finished, and returns it with True if this process executed it.

    Waits for a run that another process owns, and takes it over when its lease expires.
    Raises RunFailed, StorageError."""
    while not run.is_finished:
        try:
            claimed = service.runs.claim(run.run_id)
            return execute(service.runs, claimed, service.settings.body_bounds, on_progress), True
        except LeaseLost:
            time.sleep(LEASE_POLL_SECONDS)
            run = service.runs.find(run.run_id) or run
        except KeyboardInterrupt:
            # If the ledger cannot be reached, the lease expires.
            with suppress(StorageError):
                service.runs.release()
            raise
    return run, False


def _accept(
    service: Service, path: Path, sender: Callable[[Upload], RunSender], on_progress: ProgressCallback
) -> AcceptedRun:
    size, max_bytes = path.stat().st_size, service.settings.max_body_bytes
    if size > max_bytes:
        raise decoded_body_too_large(max_bytes)
    # The file of this machine is complete, and this process sends one: no bound applies.
    one, unbounded = Allowance(1, 1), Allowance(sys.maxsize, sys.maxsize)
    file = WaitingFile(WaitingDisk(unbounded, one, service.settings.waiting_folder), path.name)
    upload = Upload(service.runs, "identity", service.settings, file)
    try:
        # Only the stored copy is read from here on: the file may change.
        for block in _blocks(path):
            upload.write(block)
            on_progress(upload.size, size)
        upload.end()
        upload.store()
        return acceptance.accept_run(service.runs, upload.uploaded_body, sender(upload), service.settings.body_bounds)
    finally:
        if upload.is_kept:
            with suppress(StorageError):
                upload.discard()


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while block := opened.read(READ_BLOCK_BYTES):
            yield block
