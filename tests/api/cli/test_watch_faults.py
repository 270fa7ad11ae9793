"""Whatever goes wrong with one dropped file, the next one has its turn."""

from pathlib import Path

import pytest

from api.cli.watch import process
from api.wiring import Service
from tests.examples import PARTNER
from tests.offers_files import says


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

    monkeypatch.setattr("api.run_intake.accept", fail)
    processed = process(service, dropped, PARTNER)
    assert (processed.done, processed.report["state"]) == (False, "refused")
    assert processed.report["problem"]["type"] == "internal-server-error"
    assert type(fault).__name__ in capsys.readouterr().err


def test_the_disk_that_fails_keeps_the_file_waiting(
    service: Service, dropped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("api.run_intake.accept", fail)
    with pytest.raises(OSError, match="Input/output"):
        process(service, dropped, PARTNER)
