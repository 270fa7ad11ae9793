"""An error with one dropped file does not stop the processing of the next one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.channels.drop_folder import DropFolder
from api.cli.actions.intake.watch import process
from api.service import Service
from api.settings import Settings
from domain.access.partner import SetPartner
from domain.runs.run import OutcomeCounts
from tests.support.engine import only_sqlite
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR
from tests.support.histories.offers_files import file_with
from tests.support.histories.offers_files import process as process_elsewhere
from tests.support.processes.drop_folders import drop, open_quick_folder, take_next_file
from tests.support.processes.shell import Run, require_success, require_usage_error


@pytest.fixture
def dropped(tmp_path: Path) -> Path:
    file = tmp_path / "TidepoolOffers20261122.json"
    file.write_bytes(file_with("a"))
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DropFolder]:
    (tmp_path / "drop").mkdir()
    with open_quick_folder(tmp_path / "drop") as folder:
        yield folder


@pytest.mark.parametrize("fault", [RecursionError("deep"), MemoryError(), AssertionError("never")])
def test_internal_error_refuses_the_file_and_is_printed(
    service: Service,
    folder: DropFolder,
    dropped: Path,
    fault: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr("api.runs.acceptance.accept_run", fail)
    processed = process(service, folder, dropped, PARTNER)
    assert (processed.done, processed.report["state"]) == (False, "refused")
    assert processed.report["problem"]["type"] == "internal-server-error"
    assert type(fault).__name__ in capsys.readouterr().err


def test_disk_error_keeps_the_file_for_a_retry(
    service: Service, folder: DropFolder, dropped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("api.runs.acceptance.accept_run", fail)
    with pytest.raises(OSError, match="Input/output"):
        process(service, folder, dropped, PARTNER)


def test_outcome_of_a_file_survives_a_crash_and_another_file(service: Service, tmp_path: Path) -> None:
    name, directory = "TidepoolOffers20261122.json", tmp_path / "drop"
    service.ledger.handle(SetPartner(PARTNER), OPERATOR)
    directory.mkdir()
    with open_quick_folder(directory) as first:
        drop(directory, name, file_with("a"))
        before = process(service, first, take_next_file(first), PARTNER)
    other = process_elsewhere(service.runs, file_with("b"))
    assert other.counts == OutcomeCounts(updated=1)
    with open_quick_folder(directory) as second:
        taken = take_next_file(second)
        after = process(service, second, taken, PARTNER)
        assert (after.done, after.report["runId"]) == (True, before.report["runId"])
        second.finish(taken, b"{}", done=True).replace(directory / name)
        put_back = process(service, second, take_next_file(second), PARTNER)
    assert (put_back.summary, put_back.report["runId"] != before.report["runId"]) == ("1 updated", True)


@pytest.mark.parametrize("directory", ["", "nowhere", "ledger.db"])
def test_watching_a_missing_directory_is_a_usage_error(run: Run, directory: str) -> None:
    require_success(run("partners", "set", PARTNER))
    require_usage_error(run("watch", directory, "--partner", PARTNER))


@only_sqlite
def test_directory_of_the_ledger_cannot_be_watched(run: Run, settings: Settings) -> None:
    require_success(run("partners", "set", PARTNER))
    ended = run("watch", str(settings.database.parent), "--partner", PARTNER)
    assert (ended.exit_code, ended.stderr) == (2, "DIR: contains the database of the ledger. Name another directory.\n")
    assert not (settings.database.parent / "done").exists()
