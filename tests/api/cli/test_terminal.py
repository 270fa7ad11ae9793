"""Terminals: tables fit their width, and shells complete commands and options."""

import json
import os
import pty
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from api.cli.output import record_lines_of, table_lines
from api.settings import Settings
from api.wiring import create_ledger
from tests.support.examples import batch, body, item
from tests.support.processes.shell import SCRIPT, environment, run_script
from tests.support.waiting import PATIENCE_SECONDS

COLUMNS = ("offerUid", "partner", "status", "headline")
ROWS = [
    ("6851e6d4-1908-5d30-b230-131c8e83c5db", "tidepool", "active", "Save for 1,200 points " * 4),
    ("18731a9b-0114-5d2e-ab56-76b3c5d006ee", "harbor", None, "温泉" * 40),
]


def test_wide_rows_become_blocks_that_fit() -> None:
    assert max(map(len, table_lines(COLUMNS, ROWS))) > 80
    lines = record_lines_of(COLUMNS, ROWS, 80)
    assert lines[0] == "offerUid  6851e6d4-1908-5d30-b230-131c8e83c5db"
    assert "status    active" in lines
    assert len([line for line in lines if line.startswith("status")]) == 1, "an empty cell has no line"
    assert max(len(line) + len(re.findall("[温泉]", line)) for line in lines) <= 80


def test_table_fits_a_terminal_of_80_columns(settings: Settings) -> None:
    create_ledger(settings)
    assert run_script(settings, "partners", "set", "tidepool").exit_code == 0
    shown, terminal = pty.openpty()
    try:
        subprocess.run([SCRIPT, "partners", "list"], stdout=terminal, env=environment(settings), check=True, timeout=60)
        lines = os.read(shown, 10_000).decode().splitlines()
    finally:
        os.close(shown)
        os.close(terminal)
    assert max(map(len, lines)) <= 80
    assert any(re.fullmatch(r"partner +tidepool", line) for line in lines)


def test_output_without_a_terminal_has_one_line_for_each_row(settings: Settings) -> None:
    create_ledger(settings)
    run_script(settings, "partners", "set", "tidepool")
    titles, row = run_script(settings, "partners", "list").stdout.splitlines()
    assert titles.startswith("partner ")
    assert row.startswith("tidepool ")


@pytest.mark.parametrize(
    ("shell", "words", "completed"),
    [
        ("bash", {"COMP_WORDS": "offer-ledger proj", "COMP_CWORD": "1"}, "projections"),
        ("bash", {"COMP_WORDS": "offer-ledger runs ", "COMP_CWORD": "2"}, "items"),
        ("bash", {"COMP_WORDS": "offer-ledger inventory --data", "COMP_CWORD": "2"}, "--database"),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "offer-ledger inventory --status a"}, "active"),
        (
            "fish",
            {"_TYPER_COMPLETE_ARGS": "offer-ledger proj", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
            "projections",
        ),
    ],
)
def test_shell_completes_commands_options_and_values(
    settings: Settings, shell: str, words: dict[str, str], completed: str
) -> None:
    asked = run_script(settings, env=words | {"_OFFER_LEDGER_COMPLETE": f"complete_{shell}"})
    assert completed in asked.stdout


def test_import_shows_megabytes_speed_remaining_time_and_storing(settings: Settings, tmp_path: Path) -> None:
    create_ledger(settings)
    assert run_script(settings, "partners", "set", "tidepool").exit_code == 0
    (file := tmp_path / "batch.json").write_bytes(body(batch("Insert", [item(f"TP-{n}") for n in range(3_000)])))
    shown, terminal = pty.openpty()
    reader = ThreadPoolExecutor(1).submit(read_all, shown)
    command = [str(SCRIPT), "import", str(file), "--partner", "tidepool", "--json"]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=environment(settings),
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    os.close(terminal)
    printed = reader.result()
    assert json.loads(done.stdout)["isSuccessful"]
    assert re.search(r"Processing the offers .*\d+\.\d/\d+\.\d MB +[\d.]+ [kM]B/s", printed)
    assert re.search(r"\d+:\d\d:\d\d", printed)
    assert "Storing the changes" in printed


def read_all(terminal: int) -> str:
    """Returns what is written to a terminal until it is closed."""
    parts = bytearray()
    # Linux reports the closed end as an error.
    with suppress(OSError):
        while part := os.read(terminal, 65_536):
            parts += part
    os.close(terminal)
    return re.sub(r"\x1b\[[\d;?]*\w", "", parts.decode())
