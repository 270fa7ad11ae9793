"""Every dropped file is executed once and in order, even if the watching process is killed at any time.

Several watchers run in parallel, each with its own ledger and folder, because a watcher mostly waits. `make faults`
kills more of them. OFFER_LEDGER_TEST_SEED repeats a series of random times.
"""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.channels.drop_folder import DONE_FOLDER, QUIET_SECONDS
from api.runs.report import file_report
from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.runs.run import MAX_ATTEMPTS, OffersFile, RunState
from projections.maintenance.verification import verify
from tests.support.calls.merchants import uid_of
from tests.support.processes.drop_folders import drop, is_empty
from tests.support.processes.fault_server import new_ledger_settings
from tests.support.processes.watch_process import RunningWatch, file_of, files_by_folder, report_of, runs_of

KILLS = int(os.environ.get("OFFER_LEDGER_TEST_KILLS", "2"))
SEED = int(os.environ.get("OFFER_LEDGER_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
LEASE_SECONDS = 0.5
WATCHERS = 3
FILES = 3
"""The number of files that are dropped together."""
KILLS_PER_DROP = 3
assert KILLS_PER_DROP < MAX_ATTEMPTS
SECONDS_PER_FILE = 0.35
"""About how long one file takes."""
RECORDS = 2_000
NEW_RECORDS = 1_000
"""Offers of each file that are not in the file of the day before. The same number of that file's offers is omitted."""
FIRST_DAY = date(2020, 11, 22)


def file_name(day: int) -> str:
    return f"TidepoolOffers{FIRST_DAY + timedelta(day):%Y%m%d}.json"


def offers_of(day: int) -> list[str]:
    return [f"OFR-{n}" for n in range(day * NEW_RECORDS, day * NEW_RECORDS + RECORDS)]


def content_of(day: int) -> bytes:
    return file_of(*offers_of(day), offerName=f"Noodles of day {day}")


class Series:
    """A folder into which files are dropped day by day, and the watchers that run one after the other."""

    def __init__(self, settings: Settings, directory: Path, seed: str, kills: int) -> None:
        self._settings, self._directory, self._kills = settings, directory, kills
        self._chance = random.Random(seed)
        self._days = 0
        directory.mkdir()

    def run(self) -> str:
        """Kills watchers, lets the last one finish, and checks the result. Returns a summary."""
        killed_at_work = 0
        for left in range(self._kills, 0, -KILLS_PER_DROP):
            self._drop()
            killed_at_work += sum(self._kill() for _ in range(min(left, KILLS_PER_DROP)))
            with RunningWatch(self._settings, self._directory) as watch:
                watch.wait_for(lambda: is_empty(self._directory))
                assert len(watch.stderr_lines) == 1
        self._require_executed_once()
        return f"{self._days} files, {self._kills} killed, {killed_at_work} of them at work"

    def _drop(self) -> None:
        days = list(range(self._days, self._days + FILES))
        self._days += FILES
        self._chance.shuffle(days)
        for day in days:
            drop(self._directory, file_name(day), content_of(day))

    def _kill(self) -> bool:
        left = FILES - self._done % FILES
        delay = QUIET_SECONDS + self._chance.uniform(0, left * SECONDS_PER_FILE)
        with RunningWatch(self._settings, self._directory) as watch:
            if self._chance.choice([True, False]):
                time.sleep(delay)
            else:
                self._wait_between_commit_and_move(watch)
            watch.kill()
        return not is_empty(self._directory)

    @property
    def _done(self) -> int:
        return len(files_by_folder(self._directory).get(DONE_FOLDER, []))

    def _wait_between_commit_and_move(self, watch: RunningWatch) -> None:
        """Waits until a file is executed but not yet moved. The interval is short, so it may have passed."""
        with open_service(self._settings) as service:
            before = completed(service)
            watch.wait_for(lambda: completed(service) > before or is_empty(self._directory))

    def _require_executed_once(self) -> None:
        names = [file_name(day) for day in range(self._days)]
        assert files_by_folder(self._directory) == {DONE_FOLDER: names}
        with open_service(self._settings) as service:
            runs = runs_of(service)[::-1]
            assert [run.input for run in runs] == [
                OffersFile(name, FIRST_DAY + timedelta(day)) for day, name in enumerate(names)
            ]
            for day, (name, run) in enumerate(zip(names, runs, strict=True)):
                assert (self._directory / DONE_FOLDER / name).read_bytes() == content_of(day)
                with service.ledger.recorder.read() as tx:
                    report = json.loads(msgspec.json.encode(file_report(tx, run)))
                assert report_of(self._directory / DONE_FOLDER / name) == report
                assert run.state is RunState.COMPLETED
                assert {name: count for name, count in report["counts"].items() if count} == expected_counts(day)
            assert events(service) == list(expected_events([str(run.run_id) for run in runs]))
            assert verify(service.ledger) == []


def completed(service: Service) -> int:
    return sum(run.state is RunState.COMPLETED for run in runs_of(service))


def expected_counts(day: int) -> dict[str, int]:
    if not day:
        return {"created": RECORDS}
    known = RECORDS - NEW_RECORDS
    return {"created": NEW_RECORDS, "updated": known, "discrepancy": day * NEW_RECORDS}


def events(service: Service) -> list[tuple[Any, ...]]:
    """Returns run, stream, version, type and offer name of each offer event, in ledger order."""
    with service.ledger.recorder.read() as tx:
        rows = tx.execute(
            "SELECT run_id, stream, version, type, json_extract(state, '$.content.offerName') FROM ledger"
            " WHERE type LIKE 'Offer%' ORDER BY position"
        )
        return [tuple(row) for row in rows]


def expected_events(run_ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yields the events of all files, each executed once, in the order of their days."""
    versions: Counter[str] = Counter()
    for day, run_id in enumerate(run_ids):
        for offer in offers_of(day):
            versions[offer] += 1
            kind = "OfferCreated" if versions[offer] == 1 else "OfferUpdated"
            yield run_id, str(uid_of(offer=offer)), versions[offer], kind, f"Noodles of day {day}"


@pytest.mark.long
def test_files_are_executed_once_and_in_order_after_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    print(f"seed {SEED}")
    series = []
    for n in range(min(WATCHERS, KILLS)):
        folder = tmp_path / str(n)
        folder.mkdir()
        settings = new_ledger_settings(folder, monkeypatch, LEASE_SECONDS)
        kills = len(range(n, KILLS, WATCHERS))
        series.append(Series(settings, folder / "drop", f"{SEED} {n}", kills))
    with ThreadPoolExecutor(WATCHERS) as pool:
        for summary in pool.map(Series.run, series):
            print(summary)
