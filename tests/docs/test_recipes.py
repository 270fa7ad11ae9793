"""The recipes work: their blocks, applied to a clean copy of the project, pass the checks and the tests that they add."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.generated_pages import DOCS
from tests.support.recipes import ROOT, apply, copy_project, edits_of

RECIPES = {
    "new-event": [
        "tests/domain/store/test_mapper.py",
        "tests/docs/test_pages.py::test_command_has_a_section_with_all_its_options",
        "tests/api/cli/commands/test_tokens.py",
        "tests/projections/maintenance/test_rebuild.py::test_eventful_ledger_has_every_event_that_changes_projections",
    ],
    "new-projection": [
        "tests/api/dependencies/test_roles.py",
        "tests/docs/test_pages.py::test_every_route_is_on_an_http_page",
    ],
    "new-console-column": ["tests/api/console/test_pages.py::test_offers_page_counts_lists_and_searches"],
}
"""By page: tests that exist already and that must pass with the change."""
FAST = "not source_file and not functions_are_short"
"""The copy has the same files as the project, so the two checks of each file need not run for it, too."""
EXISTING = ["tests/test_architecture.py", "tests/docs/test_generated_pages.py"]


def run(folder: Path, *command: str | Path) -> None:
    """Runs a command in the copy; its own packages come first on the path."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_passes_its_own_tests(recipe: str, tmp_path: Path) -> None:
    copy = copy_project(tmp_path / "copy")
    edits = edits_of(DOCS / "contributing" / f"{recipe}.md")
    assert len(edits) > 3
    for edit in edits:
        apply(edit, copy)
    python = sorted({edit.path for edit in edits if edit.path.endswith(".py")})
    run(copy, "ruff", "check", "--quiet", *python)
    run(copy, "ruff", "format", "--check", "--quiet", *python)
    run(copy, "tests.support.generated_pages")
    added = [edit.path for edit in edits if edit.before is None and edit.path.startswith("tests/")]
    assert added
    run(
        copy,
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-k",
        FAST,
        *added,
        *EXISTING,
        *RECIPES[recipe],
    )


@pytest.mark.long
@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_passes_types_and_import_contracts(recipe: str, tmp_path: Path) -> None:
    copy = copy_project(tmp_path / "copy")
    (copy / "benchmarks").symlink_to(ROOT / "benchmarks")
    for edit in edits_of(DOCS / "contributing" / f"{recipe}.md"):
        apply(edit, copy)
    run(copy, "mypy", "domain", "projections", "api")
    subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=copy, check=True, capture_output=True)
