"""`offer-ledger watch` in a process of its own, and the offers files that a partner drops for it."""

import json
import signal
import subprocess
import time
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
from tests.support.processes.shell import PATIENCE_SECONDS, SCRIPT, environment

LARGE = 8_000
"""As many records take a second or two."""


def file_name(day: int) -> str:
    """That of the file of a day of November."""
    return f"TidepoolOffers202611{day:02}.json"


def file_record(offer: str, status: str = "UPSERT", **changes: Any) -> dict[str, Any]:
    """A record in order, without inline images."""
    logo = {"type": "IMAGE", "value": {"large": {"url": IMAGE_URL}}}
    offered = merchant_offer(offer=offer, **changes)
    return {**offered, "assets": dict.fromkeys(offered["assets"], logo), "offerStatus": status}


def offers_file(records: Sequence[Any], day: int = 22, **header: Any) -> bytes:
    told = {"fileDescription": "All offers", "fileCreationDate": f"2026-11-{day}", "offerRecordCount": len(records)}
    return body({"header": told | header, "offers": list(records)})


def file_of(*offers: str, day: int = 22, **changes: Any) -> bytes:
    """A file of a day that has these offers."""
    return offers_file([file_record(offer, **changes) for offer in offers], day)


def large_file(day: int = 22) -> bytes:
    return file_of(*(f"OFR-{n}" for n in range(LARGE)), day=day)


def drop_day(directory: Path, day: int, content: bytes) -> Path:
    return drop(directory, file_name(day), content)


class RunningWatch:
    """The command for the partner of the tests, until it is ended; killed when the block ends."""

    def __init__(
        self, settings: Settings, directory: Path, *options: str, env: Mapping[str, str] | None = None
    ) -> None:
        logs = directory.parent
        number = len(list(logs.glob("watch-*.out")))
        self._out, self._err = logs / f"watch-{number}.out", logs / f"watch-{number}.err"
        with self._out.open("wb") as stdout, self._err.open("wb") as stderr:
            command: list[str | Path] = [SCRIPT, "watch", directory, "--partner", PARTNER, *options]
            self.process = subprocess.Popen(command, env=environment(settings, env), stdout=stdout, stderr=stderr)

    @property
    def lines(self) -> list[str]:
        """What it has printed so far, by whole lines."""
        return self._out.read_text().split("\n")[:-1]

    @property
    def heartbeat_write(self) -> list[str]:
        """What it has said on standard error so far."""
        return self._err.read_text().split("\n")[:-1]

    def wait_for(self, true: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not true():
            assert self.process.poll() is None, self.heartbeat_write
            assert time.monotonic() < deadline, (self.lines, self.heartbeat_write)
            time.sleep(0.01)

    def told(self, files: int) -> list[str]:
        """A line for each of so many files, when they are processed."""
        self.wait_for(lambda: len(self.lines) >= files)
        assert len(self.lines) == files
        return self.lines

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to end and answers its exit code."""
        self.process.send_signal(by)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        try:
            self.wait_for(lambda: self.heartbeat_write)
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()


def report_of(place: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(place.with_name(place.name + REPORT_SUFFIX).read_bytes())
    return report


def lying_in(directory: Path) -> dict[str, list[str]]:
    """Which files lie where, those that wait under "."; what is done or refused has its report beside it."""
    lying = {place: _files(directory / place) for place in (".", TAKEN_FOLDER, DONE_FOLDER, REFUSED_FOLDER)}
    for place in (DONE_FOLDER, REFUSED_FOLDER):
        assert all(report_of(directory / place / name) for name in lying[place])
    return {place: names for place, names in lying.items() if names}


def _files(folder: Path) -> list[str]:
    names = [path.name for path in folder.glob("*") if path.is_file()]
    return sorted(name for name in names if not name.startswith(".") and not name.endswith(REPORT_SUFFIX))


# What is in the ledger


def runs_of(service: Service) -> list[Run]:
    """The newest first."""
    with service.ledger.recorder.read() as tx:
        return [run for _, run in select_runs(tx, RunFilter(), 0, 1000)]


def require_carried_out_once(settings: Settings, created: int) -> None:
    """One run only, and one event for each of its offers."""
    with open_service(settings) as service, service.ledger.recorder.read() as tx:
        (run,) = runs_of(service)
        assert run.state is RunState.COMPLETED
        assert run.counts is not None
        assert run.counts.created == created
        assert tx.execute("SELECT count(*) FROM events WHERE topic LIKE 'Offer%'").fetchone()[0] == created
        assert tx.execute("SELECT count(*) FROM run_bodies").fetchone()[0] == 0
        assert verify(service.ledger) == []
