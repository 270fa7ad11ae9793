"""offer-ledger watch"""

import os
import sys
import time
import traceback
from contextlib import ExitStack, suppress
from datetime import date
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, NoReturn
from uuid import UUID

import msgspec
import typer
from msgspec import Struct

from api.channels.drop_folder import DropFolder, FolderInUse, TakenFileChanged, open_folder
from api.cli.local_runs import accept_offers_file, execute_locally, require_partner
from api.cli.output import AsJson, as_text, exit_with_error, print_json, print_line, until_interrupted
from api.http.exception_handlers import problem_of
from api.runs.execution import RunFailed
from api.runs.report import counts_of, file_report, refusal_report
from api.service import Service
from api.wiring import open_service
from domain.ledgers.ledger import StorageError
from domain.refusals import RunInProgress
from domain.runs.file_reconciliation import parse_file_name
from domain.runs.run import Run, RunState
from domain.store.schema import SchemaMismatch

FOLDER_POLL_SECONDS = 0.5
ANOTHER_TIME = (RunInProgress, StorageError, TakenFileChanged, OSError)
"""What keeps a file waiting: it stays where it is."""


def _directory(text: str) -> Path:
    """Not what Path makes of it: nothing at all would be the present directory."""
    if not text or not Path(text).is_dir():
        raise typer.BadParameter(f"Directory {text!r} does not exist.")
    return Path(text)


class Processed(Struct, frozen=True):
    """What became of a file: in a sentence, and in a report on each of its records."""

    done: bool
    said: str
    report: dict[str, Any]


def watch(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where offers files are dropped.", parser=_directory)
    ],
    partner: Annotated[str, typer.Option(help="Whose offers they are.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Carry out the offers files that are dropped into a directory, until interrupted.

    A file is taken when it is complete: closed, or renamed into the directory. It ends in done/ or refused/ there, with a
    report beside it. One at a time, the oldest by the date in its name first."""
    with until_interrupted(), open_service() as service:
        require_partner(service, partner)
        settings = service.settings
        if not settings.is_shared and settings.database.parent.resolve() == directory.resolve():
            exit_with_error("DIR: holds the ledger itself, which is no offers file.", exit_code=2)
        with ExitStack() as opened:
            try:
                folder = opened.enter_context(open_folder(directory, _order))
            except FolderInUse as error:
                exit_with_error(str(error))
            except OSError as error:
                exit_with_error(f"DIR: can't be used: {error.strerror}.")
            _say_beside(f"Watching {directory} for offers files of {partner}; end it with Ctrl-C.")
            _watch(service, folder, partner, as_json=as_json)


def _order(name: str) -> date:
    """What is no offers file comes last: it is refused anyway."""
    parts = parse_file_name(name)
    return parts.dated if parts else date.max


def _watch(service: Service, folder: DropFolder, partner: str, *, as_json: bool) -> NoReturn:
    excuse = ""
    while True:
        try:
            found = _process_next(service, folder, partner)
        except SchemaMismatch:
            raise
        except ANOTHER_TIME as error:
            if str(error) != excuse:
                excuse = str(error)
                _say_beside(f"Has to wait: {excuse}")
            found = None
        if found:
            excuse = ""
            _tell(*found, as_json=as_json)
        else:
            time.sleep(FOLDER_POLL_SECONDS)


def _process_next(service: Service, folder: DropFolder, partner: str) -> tuple[Path, Processed] | None:
    """What became of the next file, and where it lies now. Raises one of ANOTHER_TIME."""
    taken = folder.next()
    if taken is None:
        return None
    processed = process(service, taken, partner)
    report = msgspec.json.format(msgspec.json.encode(processed.report)) + b"\n"
    return folder.finish(taken, report, done=processed.done), processed


def process(service: Service, file: Path, partner: str) -> Processed:
    """Carries an offers file out, or finds that it has been: the same file again is answered with its first outcome.

    Raises one of ANOTHER_TIME. Whatever else goes wrong with a file, the next one shall have its turn."""
    try:
        run, _ = execute_locally(service, accept_offers_file(service, file, partner).run)
    except RunInProgress as waited_for:
        _take_up(service, waited_for.run_id)
        raise
    except ANOTHER_TIME:
        raise
    except RunFailed as failed:
        _say_beside(f"{file.name}: {failed.report.strip().splitlines()[-1]}")
        return _of_run(service, service.runs.find(failed.run_id))
    except Exception as error:  # noqa: BLE001 - it would be the same at every start
        problem = problem_of(error)
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _say_beside(f"{file.name}: {traceback.format_exc().strip().splitlines()[-1]}")
        said = "; ".join(map(str, problem.errors)) or problem.detail
        return Processed(done=False, said=said, report=refusal_report(partner, _in_json(file.name), problem))
    return _of_run(service, run)


def _take_up(service: Service, run_id: UUID) -> None:
    """Ends a run that nobody holds any more: there may be no server that would."""
    for run in service.runs.overdue():
        if run.run_id == run_id:
            with suppress(RunFailed):
                execute_locally(service, run)


def _of_run(service: Service, run: Run | None) -> Processed:
    assert run is not None  # noqa: S101 - runs are never removed
    if run.state is RunState.COMPLETED:
        said = counts_of(run)
    else:
        said = "the service could not carry the file out; it may be dropped again"
    with service.ledger.recorder.read() as tx:
        return Processed(run.state is RunState.COMPLETED, said, file_report(tx, run))


def _tell(place: Path, processed: Processed, *, as_json: bool) -> None:
    if as_json:
        told = {name: value for name, value in processed.report.items() if name != "records"}
        print_json({**told, "file": _in_json(str(place))}, on_one_line=True)
    else:
        print_line(f"{place}: {processed.said}")
    sys.stdout.flush()


def _in_json(name: str) -> str:
    """Bytes of a name that are not UTF-8 are spelt out."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _say_beside(line: str) -> None:
    print(as_text(line), file=sys.stderr, flush=True)
