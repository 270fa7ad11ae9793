"""`offer-ledger watch` in its own process, and the offers files that a partner drops for it."""

import json
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from api.channels.drop_folder import DONE_FOLDER, REFUSED_FOLDER, REPORT_SUFFIX, TAKEN_FOLDER
from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.runs.run import Run, RunState
from domain.store.records.runs import RunFilter, select_runs
from projections.maintenance.verification import verify
from tests.support.calls.merchants import IMAGE_URL, merchant_offer
from tests.support.examples import PARTNER, body
from tests.support.processes.drop_folders import drop
from tests.support.processes.process_group import kill_group, start
from tests.support.processes.shell import SCRIPT, environment
from tests.support.waiting import PATIENCE_SECONDS, wait_until

LARGE = 8_000
"""A file with this number of records takes one or two seconds."""


def file_name(day: int) -> str:
    """Returns the name of the file for a day of November."""
    return f"TidepoolOffers202611{day:02}.json"


def file_record(offer: str, status: str = "UPSERT", **changes: Any) -> dict[str, Any]:
    """Returns a valid record without inline images."""
    logo = {"type": "IMAGE", "value": {"large": {"url": IMAGE_URL}}}
    offered = merchant_offer(offer=offer, **changes)
    return {**offered, "assets": dict.fromkeys(offered["assets"], logo), "offerStatus": status}


def offers_file(records: Sequence[Any], day: int = 22, **header: Any) -> bytes:
    defaults = {"fileDescription": "All offers", "fileCreationDate": f"2026-11-{day}", "offerRecordCount": len(records)}
    return body({"header": defaults | header, "offers": list(records)})


def file_of(*offers: str, day: int = 22, **changes: Any) -> bytes:
    """Returns the file of a day with these offers."""
    return offers_file([file_record(offer, **changes) for offer in offers], day)


def large_file(day: int = 22) -> bytes:
    return file_of(*(f"OFR-{n}" for n in range(LARGE)), day=day)


def drop_day(directory: Path, day: int, content: bytes) -> Path:
    return drop(directory, file_name(day), content)


class RunningWatch:
    """The command for the partner of the tests; killed with its children when the block ends."""

    def __init__(
        self, settings: Settings, directory: Path, *options: str, env: Mapping[str, str] | None = None
    ) -> None:
        logs = directory.parent
        number = len(list(logs.glob("watch-*.out")))
        self._out, self._err = logs / f"watch-{number}.out", logs / f"watch-{number}.err"
        with self._out.open("wb") as stdout, self._err.open("wb") as stderr:
            command: list[str | Path] = [SCRIPT, "watch", directory, "--partner", PARTNER, *options]
            self.process = start(command, env=environment(settings, env), stdout=stdout, stderr=stderr)

    @property
    def lines(self) -> list[str]:
        """Returns the complete lines on standard output so far."""
        return self._out.read_text().split("\n")[:-1]

    @property
    def stderr_lines(self) -> list[str]:
        """Returns the complete lines on standard error so far."""
        return self._err.read_text().split("\n")[:-1]

    def wait_for(self, true: Callable[[], object]) -> None:
        def is_true() -> object:
            found = true()
            assert found or self.process.poll() is None, self.stderr_lines
            return found

        wait_until(is_true, describe=lambda: (self.lines, self.stderr_lines))

    def wait_for_lines(self, files: int) -> list[str]:
        """Waits until N files are processed, and returns the line of each."""
        self.wait_for(lambda: len(self.lines) >= files)
        assert len(self.lines) == files
        return self.lines

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal to stop the command, and returns its exit code."""
        self.process.send_signal(by)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        try:
            self.wait_for(lambda: self.stderr_lines)
        except BaseException:
            kill_group(self.process)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        kill_group(self.process)


def report_of(place: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(place.with_name(place.name + REPORT_SUFFIX).read_bytes())
    return report


def files_by_folder(directory: Path) -> dict[str, list[str]]:
    """Returns the names of files per folder; "." has the waiting ones. Requires a report for each finished file."""
    names_by_folder = {place: _files(directory / place) for place in (".", TAKEN_FOLDER, DONE_FOLDER, REFUSED_FOLDER)}
    for place in (DONE_FOLDER, REFUSED_FOLDER):
        assert all(report_of(directory / place / name) for name in names_by_folder[place])
    return {place: names for place, names in names_by_folder.items() if names}


def _files(folder: Path) -> list[str]:
    names = [path.name for path in folder.glob("*") if path.is_file()]
    return sorted(name for name in names if not name.startswith(".") and not name.endswith(REPORT_SUFFIX))


# The contents of the ledger


def runs_of(service: Service) -> list[Run]:
    """Returns all runs, newest first."""
    with service.ledger.recorder.read() as tx:
        return [run for _, run in select_runs(tx, RunFilter(), 0, 1000)]


def require_executed_once(settings: Settings, created: int) -> None:
    """Requires exactly one run, with one event for each of its offers."""
    with open_service(settings) as service, service.ledger.recorder.read() as tx:
        (run,) = runs_of(service)
        assert run.state is RunState.COMPLETED
        assert run.counts is not None
        assert run.counts.created == created
        assert tx.execute("SELECT count(*) FROM events WHERE topic LIKE 'Offer%'").fetchone()[0] == created
        assert tx.execute("SELECT count(*) FROM run_bodies").fetchone()[0] == 0
        assert verify(service.ledger) == []
