"""Limits that keep the code readable, one vocabulary, and lock files without addresses."""

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("domain", "projections", "api")
SOURCES = sorted(path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
PACKAGES = sorted({path.parent for path in SOURCES})
CODE_FOLDERS = sorted(
    {
        path.parent.relative_to(ROOT)
        for folder in (*FOLDERS, "tests", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    }
)
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_MODULES = 12
SHARED_NAMES = {
    "router": "each module with routes has one; api/app.py and api/console/app.py include them",
    "raw_router": "the same for routes without dependency injection",
    "logger": "the logger of a module",
    "evolve": "each aggregate has one: state and event in, state out",
    "TABLE": "each projection is one module with one interface",
    "INDEXES": "each projection is one module with one interface",
    "PROJECTION": "each projection is one module with one interface",
    "apply": "each projection is one module with one interface",
    "gather": "each projection is one module with one interface",
    "seal": "each projection is one module with one interface",
    "page": "the query of a list, always used with the name of its module: inventory.page",
    "find": "the query of one row, always used with the name of its module: inventory.find",
    "count": "the query of a number, always used with the name of its module: diff.count",
}
"""Public names that several modules define by design, and why."""


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_source_file_is_short_and_has_a_docstring(path: Path) -> None:
    text = (ROOT / path).read_text()
    assert len(text.splitlines()) <= MAX_FILE_LINES
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_functions_are_short(path: Path) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}
    assert [name for name, length in lengths.items() if length > MAX_FUNCTION_LINES] == []


@pytest.mark.parametrize("folder", CODE_FOLDERS, ids=str)
def test_folder_has_few_modules(folder: Path) -> None:
    modules = [path.name for path in (ROOT / folder).glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MAX_MODULES, sorted(modules)


@pytest.mark.parametrize("package", PACKAGES, ids=str)
def test_package_says_what_it_holds_in_one_sentence(package: Path) -> None:
    tree = ast.parse((ROOT / package / "__init__.py").read_text())
    assert re.fullmatch(r"[A-Z][^.?!]*(\.\w[^.?!]*)*\.", ast.get_docstring(tree) or "")
    assert len(tree.body) == 1


def public_names(path: Path) -> Iterator[str]:
    """The names that a module defines at its top level for others."""
    for node in ast.parse((ROOT / path).read_text()).body:
        names: list[str] = []
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        yield from (name for name in names if not name.startswith("_"))


def test_public_name_is_defined_in_one_module() -> None:
    modules = defaultdict(set)
    for path in SOURCES:
        for name in public_names(path):
            modules[name].add(str(path))
    repeated = {name: sorted(paths) for name, paths in modules.items() if len(paths) > 1}
    assert {name: paths for name, paths in repeated.items() if name not in SHARED_NAMES} == {}
    assert SHARED_NAMES.keys() <= repeated.keys(), "a name that is no longer shared leaves the list"


UNTYPED_STATE = re.compile(r"\b(?:request|app)\.state\b")
ACCESSORS = {Path("api/app.py"), Path("api/dependencies/runtime.py"), Path("api/runs/server_runtime.py")}


def test_shared_objects_are_reached_by_typed_accessors_only() -> None:
    assert {path for path in SOURCES if UNTYPED_STATE.search((ROOT / path).read_text())} == ACCESSORS


POSSESSIVE_GROUP = re.compile(r"\)[*+?}]\+")


def test_no_pattern_repeats_a_group_possessively() -> None:
    """Before Python 3.11.5, such a pattern matches nothing. Debian 12 brings Python 3.11.2."""
    assert [path for path in SOURCES if POSSESSIVE_GROUP.search((ROOT / path).read_text())] == []


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_only_one_sqlite_library_opens_ledgers() -> None:
    """See docs/decisions/0043-sqlite-by-apsw.md. The rivals and floors of the benchmarks have files of their own."""
    paths = [path for folder in (*FOLDERS, "tests") for path in (ROOT / folder).rglob("*.py")]
    assert [str(path) for path in paths if "sqlite3" in imported_modules(path)] == []
    openers = [str(path) for path in SOURCES if "apsw.Connection(" in (ROOT / path).read_text()]
    assert openers == ["domain/store/sqlite/driver.py"]


@pytest.mark.parametrize("lock", sorted(ROOT.glob("requirements*.txt")), ids=lambda path: path.name)
def test_lock_file_holds_hashes_and_no_address(lock: Path) -> None:
    pins = re.findall(r"^[\w.\[\]-]+==.*$", lock.read_text(), re.MULTILINE)
    assert pins
    assert all(pin.endswith("\\") for pin in pins), "a pin is followed by its hashes"
    assert "://" not in lock.read_text()


@pytest.mark.parametrize("folder", ["browser", "openapi"])
def test_lock_file_of_npm_holds_hashes_and_no_address(folder: str) -> None:
    lock = json.loads((ROOT / "tests" / folder / "package-lock.json").read_text())
    installed = [package for path, package in lock["packages"].items() if path]
    assert installed
    assert all(package["integrity"].startswith("sha512-") for package in installed)
    for package in installed:
        package.pop("funding", None)
    assert "resolved" not in str(installed)
    assert "://" not in str(installed)
