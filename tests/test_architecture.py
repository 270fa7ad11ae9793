"""The house keeps its own rules: small files, short functions."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path.relative_to(ROOT) for folder in ("domain", "projections", "api") for path in (ROOT / folder).rglob("*.py")
)
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_source_file_is_short_and_says_what_it_answers(path: Path) -> None:
    text = (ROOT / path).read_text()
    assert len(text.splitlines()) <= MAX_FILE_LINES
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_functions_are_short(path: Path) -> None:
    functions = [
        n
        for n in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = {f.name: (f.end_lineno or f.lineno) - f.lineno + 1 for f in functions}
    assert [name for name, length in lengths.items() if length > MAX_FUNCTION_LINES] == []


def test_the_lock_holds_hashes_and_no_address() -> None:
    lock = (ROOT / "requirements.txt").read_text()
    pins = re.findall(r"^[\w.\[\]-]+==.*$", lock, re.MULTILINE)
    assert pins
    assert all(pin.endswith("\\") for pin in pins), "a pin is followed by its hashes"
    assert "://" not in lock


def test_the_lock_of_npm_does_too() -> None:
    lock = (ROOT / "tests/browser/package-lock.json").read_text()
    installed = [package for path, package in json.loads(lock)["packages"].items() if path]
    assert installed
    assert all(package["integrity"].startswith("sha512-") for package in installed)
    assert "resolved" not in lock
    assert "://" not in lock
