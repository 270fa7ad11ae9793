"""An error with one dropped file does not stop the processing of the next one."""

from pathlib import Path

import pytest

from api.cli.actions.intake.watch import process
from api.service import Service
from api.settings import Settings
from tests.support.engine import only_sqlite
from tests.support.examples import PARTNER
from tests.support.histories.offers_files import file_with
from tests.support.processes.shell import Run, require_success, require_usage_error


@pytest.fixture
def dropped(tmp_path: Path) -> Path:
    file = tmp_path / "TidepoolOffers20261122.json"
    file.write_bytes(file_with("a"))
    return file


@pytest.mark.parametrize("fault", [RecursionError("deep"), MemoryError(), AssertionError("never")])
def test_internal_error_refuses_the_file_and_is_printed(
    service: Service,
    dropped: Path,
    fault: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr("api.runs.acceptance.accept_run", fail)
    processed = process(service, dropped, PARTNER)
    assert (processed.done, processed.report["state"]) == (False, "refused")
    assert processed.report["problem"]["type"] == "internal-server-error"
    assert type(fault).__name__ in capsys.readouterr().err


def test_disk_error_keeps_the_file_for_a_retry(
    service: Service, dropped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("api.runs.acceptance.accept_run", fail)
    with pytest.raises(OSError, match="Input/output"):
        process(service, dropped, PARTNER)


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
