"""The recommended rules of Spectral and of Redocly find nothing in the OpenAPI document."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.openapi.tools import skip_or_fail_without
from tests.support.generated_pages import ROOT

FOLDER = Path(__file__).parent
PROGRAMS = FOLDER / "node_modules" / ".bin"
DOCUMENT = ROOT / "openapi.json"
# Spectral fails at hints too, and Redocly counts warnings as errors.
COMMANDS: dict[str, list[str | Path]] = {
    "spectral": ["lint", DOCUMENT, "--ruleset", FOLDER / "spectral.yaml", "--fail-severity", "hint"],
    "redocly": ["lint", DOCUMENT, "--config", FOLDER / "redocly.yaml", "--format", "json"],
}
SWITCHED_OFF = {"info-contact", "info-license", "info-license-strict"}
# Neither looks for a newer version, nor reports its use.
QUIET = {"REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "REDOCLY_TELEMETRY": "off", "NO_COLOR": "1"}


def lint(linter: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
    program = PROGRAMS / linter
    if not program.exists():
        skip_or_fail_without(linter, "linters")
    return subprocess.run([program, *command], env=os.environ | QUIET, check=False, capture_output=True, text=True)


def test_spectral_finds_nothing() -> None:
    done = lint("spectral", *COMMANDS["spectral"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No results with a severity of 'hint' or higher found!" in done.stdout


def test_redocly_finds_nothing() -> None:
    done = lint("redocly", *COMMANDS["redocly"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r'"problems": \[\]', done.stdout), done.stdout


@pytest.mark.parametrize("name", ["spectral.yaml", "redocly.yaml"])
def test_only_rules_about_contact_and_licence_are_off(name: str) -> None:
    off = set(re.findall(r'^  ([\w-]+): "?off"?$', (FOLDER / name).read_text(), re.MULTILINE))
    assert off
    assert off <= SWITCHED_OFF
