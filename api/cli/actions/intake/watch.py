"""Processes the offers files that arrive in a directory."""

import os
import sys
import time
import traceback
from contextlib import ExitStack, suppress
from datetime import date
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

import msgspec
from msgspec import Struct

from api.channels.drop_folder import DropFolder, FolderInUse, TakenFileChanged, digest_of, open_folder
from api.cli.local_ledger import open_ledger
from api.cli.local_runs import accept_offers_file, execute_locally, require_partner
from api.cli.messages import exit_with_error, print_line, print_notice
from api.cli.output import print_json, until_interrupted
from api.http.exception_handlers import problem_of
from api.runs.execution import RunFailed
from api.runs.report import counts_of, file_report, refusal_report
from api.service import Service
from domain.ledgers.ledger import StorageError
from domain.refusals import RunInProgress
from domain.runs.file_names import parse_file_name
from domain.runs.run import Run, RunState
from domain.store.schema import SchemaMismatch

FOLDER_POLL_SECONDS = 0.5
RETRIED_ERRORS = (RunInProgress, StorageError, TakenFileChanged, OSError)
"""Errors after which a file stays where it is, to be tried again."""


class ProcessedFile(Struct, frozen=True):
    """The outcome of a file: a summary in one line, and a report with each of its records."""

    done: bool
    summary: str
    report: dict[str, Any]


def watch_directory(directory: Path, partner: str, *, as_json: bool) -> None:
    with until_interrupted(), open_ledger() as service:
        require_partner(service, partner)
        settings = service.settings
        if not settings.is_shared and settings.database.parent.resolve() == directory.resolve():
            exit_with_error("DIR: contains the database of the ledger. Name another directory.", exit_code=2)
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(open_folder(directory, _day_of, settings.max_body_bytes))
            except FolderInUse as error:
                exit_with_error(str(error))
            except OSError as error:
                exit_with_error(f"DIR: cannot be watched: {error.strerror}.")
            print_notice(f"Watching {directory} for offers files of {partner}. Press Ctrl-C to stop.")
            _watch(service, folder, partner, as_json=as_json)


def _day_of(name: str) -> date | None:
    """Returns the date in a file name. Files with other names come last, and are refused."""
    parts = parse_file_name(name)
    return parts.dated if parts else None


def _watch(service: Service, folder: DropFolder, partner: str, *, as_json: bool) -> NoReturn:
    reason = ""
    while True:
        try:
            result = _process_next(service, folder, partner)
        except SchemaMismatch:
            raise
        except RETRIED_ERRORS as error:
            if str(error) != reason:
                reason = str(error)
                print_notice(f"Waiting: {reason}")
            result = None
        if result:
            reason = ""
            _print(*result, as_json=as_json)
        else:
            time.sleep(FOLDER_POLL_SECONDS)


def _process_next(service: Service, folder: DropFolder, partner: str) -> tuple[Path, ProcessedFile] | None:
    """Processes the next file and returns its new path and its outcome. Raises one of RETRIED_ERRORS."""
    taken = folder.next()
    if taken is None:
        return None
    processed = process(service, folder, taken, partner)
    report = msgspec.json.format(msgspec.json.encode(processed.report)) + b"\n"
    return folder.finish(taken, report, done=processed.done), processed


def process(service: Service, folder: DropFolder, file: Path, partner: str) -> ProcessedFile:
    """Processes the taken file of a folder. The newest file of the partner gets its first outcome.

    Raises one of RETRIED_ERRORS. Any other error refuses the file, so that the next one can be processed."""
    try:
        run, _ = execute_locally(service, _run_of(service, folder, file, partner))
    except RunInProgress as other:
        _finish_overdue_run(service, other.run_id)
        raise
    except RETRIED_ERRORS:
        raise
    except RunFailed as failed:
        print_notice(f"{file.name}: {failed.report.strip().splitlines()[-1]}")
        return _processed(service, service.runs.find(failed.run_id))
    except Exception as error:  # noqa: BLE001 - a retry would fail in the same way
        problem = problem_of(error)
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            print_notice(f"{file.name}: {traceback.format_exc().strip().splitlines()[-1]}")
        summary = "; ".join(map(str, problem.errors)) or problem.detail
        return ProcessedFile(
            done=False, summary=summary, report=refusal_report(partner, _utf8_name(file.name), problem)
        )
    return _processed(service, run)


def _run_of(service: Service, folder: DropFolder, file: Path, partner: str) -> Run:
    """Returns the run of the taken file.

    If the process ended after it accepted the file, the note in the folder names its run. Without the note, the file
    would take effect a second time if another file came in between."""
    noted = folder.read_note()
    run = service.runs.find(UUID(noted)) if noted else None
    if run and run.state is not RunState.FAILED and (run.partner, run.body_digest) == (partner, digest_of(file)):
        return run
    accepted = accept_offers_file(service, file, partner, lambda run_id: folder.write_note(str(run_id)))
    if accepted.replayed:
        folder.write_note(str(accepted.run.run_id))
    return accepted.run


def _finish_overdue_run(service: Service, run_id: UUID) -> None:
    """Executes a run whose lease has expired: there may be no server that does."""
    for run in service.runs.find_overdue():
        if run.run_id == run_id:
            with suppress(RunFailed):
                execute_locally(service, run)


def _processed(service: Service, run: Run | None) -> ProcessedFile:
    assert run is not None
    if run.state is RunState.COMPLETED:
        summary = counts_of(run)
    else:
        summary = "the service could not process the file; you can drop it again"
    with service.ledger.recorder.read() as tx:
        return ProcessedFile(run.state is RunState.COMPLETED, summary, file_report(tx, run))


def _print(path: Path, processed: ProcessedFile, *, as_json: bool) -> None:
    if as_json:
        members = {name: value for name, value in processed.report.items() if name != "records"}
        print_json({**members, "file": _utf8_name(str(path))}, on_one_line=True)
    else:
        print_line(f"{path}: {processed.summary}")
    sys.stdout.flush()


def _utf8_name(name: str) -> str:
    """Returns a file name as valid UTF-8; other bytes become escapes."""
    return os.fsencode(name).decode(errors="backslashreplace")
