"""Whatever goes wrong with one dropped file, the next one has its turn."""

from pathlib import Path

import pytest

from api.cli.commands.watch import process
from api.service import Service
from api.settings import Settings
from tests.support.engine import only_sqlite
from tests.support.examples import PARTNER
from tests.support.histories.offers_files import says
from tests.support.processes.shell import Run, require_done, require_usage_error


@pytest.fixture
def dropped(tmp_path: Path) -> Path:
    file = tmp_path / "TidepoolOffers20261122.json"
    file.write_bytes(says("a"))
    return file


@pytest.mark.parametrize("fault", [RecursionError("deep"), MemoryError(), AssertionError("never")])
def test_a_fault_of_the_program_refuses_the_file_and_is_told(
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


def test_the_disk_that_fails_keeps_the_file_waiting(
    service: Service, dropped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("api.runs.acceptance.accept_run", fail)
    with pytest.raises(OSError, match="Input/output"):
        process(service, dropped, PARTNER)


@pytest.mark.parametrize("directory", ["", "nowhere", "ledger.db"])
def test_what_is_no_directory_is_a_usage_error(run: Run, directory: str) -> None:
    require_done(run("partners", "set", PARTNER))
    require_usage_error(run("watch", directory, "--partner", PARTNER))


@only_sqlite
def test_the_directory_of_the_ledger_is_not_watched(run: Run, settings: Settings) -> None:
    require_done(run("partners", "set", PARTNER))
    ended = run("watch", str(settings.database.parent), "--partner", PARTNER)
    assert (ended.exit_code, ended.stderr) == (2, "DIR: holds the ledger itself, which is no offers file.\n")
    assert not (settings.database.parent / "done").exists()
