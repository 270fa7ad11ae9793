"""Runs the real entry point in this process, on a database of the test."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from api.cli.main import main
from api.settings import Settings
from api.wiring import create_ledger
from tests.support.examples import PARTNER, batch, body, item
from tests.support.processes.shell import DATABASE_URL, SCHEMA, CommandResult, Run, RunningServer, WriteBatch


@pytest.fixture
def run(settings: Settings, run_without_ledger: Run) -> Run:
    """Runs commands on a ledger in the same database as the fixtures `service` and `call`."""
    create_ledger(settings)
    return run_without_ledger


@pytest.fixture
def run_without_ledger(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs commands on an empty database."""
    monkeypatch.setenv(DATABASE_URL, settings.database_url)
    monkeypatch.setenv(SCHEMA, settings.database_schema)
    # Makes the output independent of the terminal: plain, 80 columns wide.
    monkeypatch.setenv("COLUMNS", "80")
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("typer.rich_utils.FORCE_TERMINAL", None)

    def run_command(*arguments: object) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["offer-ledger", *map(str, arguments)])
        capsys.readouterr()
        exit_code: Any = 0
        # The option --database changes the environment of its process.
        with patch.dict(os.environ):
            try:
                main()
            except SystemExit as exit_request:
                exit_code = exit_request.code or 0
        return CommandResult(exit_code, *capsys.readouterr())

    return run_command


@pytest.fixture
def partnered(run: Run) -> Run:
    """Returns `run` on a ledger with a partner whose runs are not limited."""
    assert run("partners", "set", PARTNER, "--synchronize-per-day", 0, "--insert-per-hour", 0).exit_code == 0
    return run


@pytest.fixture
def write_batch(tmp_path: Path) -> WriteBatch:
    numbers = iter(range(1000))

    def write(operation: str, external_ids: list[str], **changes: Any) -> Path:
        path = tmp_path / f"batch-{next(numbers)}.json"
        path.write_bytes(body(batch(operation, [item(external_id, **changes) for external_id in external_ids])))
        return path

    return write


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(settings, tmp_path / "serve.log") as running:
        yield running
