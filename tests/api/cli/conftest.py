"""The real entry point, run in this process on a database file of the test's own."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.cli.main import main
from api.settings import Settings
from tests.support.examples import PARTNER, batch, body, item
from tests.support.processes.shell import DATABASE_URL, SCHEMA, Ended, Run, RunningServer, WriteBatch


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """On the same database as the fixtures `service` and `call`, which a test may use beside it."""
    monkeypatch.setenv(DATABASE_URL, settings.database_url)
    monkeypatch.setenv(SCHEMA, settings.database_schema)
    # The same output wherever the tests run: plain, for a screen of the usual width.
    monkeypatch.setenv("COLUMNS", "80")
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("typer.rich_utils.FORCE_TERMINAL", None)

    def carry_out(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["offer-ledger", *map(str, arguments)])
        capsys.readouterr()
        exit_code: Any = 0
        try:
            main()
        except SystemExit as ended:
            exit_code = ended.code or 0
        return Ended(exit_code, *capsys.readouterr())

    return carry_out


@pytest.fixture
def partnered(run: Run) -> Run:
    """`run`, with a partner whose runs are not limited."""
    assert run("partners", "set", PARTNER, "--synchronize-per-day", 0, "--insert-per-hour", 0).exit_code == 0
    return run


@pytest.fixture
def write_batch(tmp_path: Path) -> WriteBatch:
    written = iter(range(1000))

    def write(operation: str, external_ids: list[str], **changes: Any) -> Path:
        path = tmp_path / f"batch-{next(written)}.json"
        path.write_bytes(body(batch(operation, [item(external_id, **changes) for external_id in external_ids])))
        return path

    return write


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(settings, tmp_path / "serve.log") as running:
        yield running
