"""The tool finds mutants, identifies them without line numbers, and detects known ones by their tests."""

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.mutation.equivalents import read_equivalents, stale_entries
from tests.mutation.mutants import ROOT, MutantId, MutatedModule, parse_module, read_module
from tests.mutation.report import MutationResult
from tests.mutation.targets import TARGETS
from tests.mutation.trial import Job, Trial
from tests.support.waiting import PATIENCE_SECONDS

SOURCE = '''
"""A module."""

LIMIT = 3
QUERY = "SELECT a FROM t WHERE a > ? AND b = ? ORDER BY a DESC LIMIT 1"


def first(values: list[int]) -> int | None:
    """Returns the first small value."""
    for value in values:
        if 0 < value <= LIMIT and not value == 2:
            return value
    return None
'''


def changes(source: str) -> list[tuple[str, str, str]]:
    return [mutant.id[1:] for mutant in parse_module("example.py", source).mutants]


def test_operators_conditions_constants_and_statements_are_changed() -> None:
    condition = "0 < value <= LIMIT and (not value == 2)"
    assert [change for change in changes(SOURCE) if change[0] in {"LIMIT", "first"}] == [
        ("LIMIT", "constant", "3 -> 4"),
        ("LIMIT", "constant", "3 -> 2"),
        ("first", "condition", f"{condition} -> True"),
        ("first", "condition", f"{condition} -> False"),
        ("first", "boolean operator", f"{condition} -> 0 < value <= LIMIT or not value == 2"),
        ("first", "operand removed", f"{condition} -> not value == 2"),
        ("first", "operand removed", f"{condition} -> 0 < value <= LIMIT"),
        ("first", "comparison", f"{condition} -> 0 <= value <= LIMIT and (not value == 2)"),
        ("first", "comparison", f"{condition} -> 0 >= value <= LIMIT and (not value == 2)"),
        ("first", "comparison", f"{condition} -> 0 < value < LIMIT and (not value == 2)"),
        ("first", "comparison", f"{condition} -> 0 < value > LIMIT and (not value == 2)"),
        ("first", "constant", f"{condition} -> 1 < value <= LIMIT and (not value == 2)"),
        ("first", "constant", f"{condition} -> -1 < value <= LIMIT and (not value == 2)"),
        ("first", "negation removed", f"{condition} -> 0 < value <= LIMIT and value == 2"),
        ("first", "comparison", f"{condition} -> 0 < value <= LIMIT and (not value != 2)"),
        ("first", "constant", f"{condition} -> 0 < value <= LIMIT and (not value == 3)"),
        ("first", "constant", f"{condition} -> 0 < value <= LIMIT and (not value == 1)"),
        ("first", "return value", "return value -> return None"),
    ]


def test_each_part_of_a_query_is_changed() -> None:
    assert sorted(change for _function, kind, change in changes(SOURCE) if kind == "sql") == [
        "? AND b = ? ORDER BY a [DESC -> ASC] LIMIT 1",
        "CT a FROM t WHERE a > ? [AND -> OR] b = ? ORDER BY a DESC L",
        "D b = ? ORDER BY a DESC [LIMIT 1 -> LIMIT 0]",
        "ROM t WHERE a > ? AND b [= -> <>] ? ORDER BY a DESC LIMIT",
        "SELECT a FROM t WHERE a [> -> >=] ? AND b = ? ORDER BY a",
    ]


def test_mutant_keeps_its_identity_if_lines_move() -> None:
    assert changes(f"import re\n\n{SOURCE}") == changes(SOURCE)


def test_long_expressions_are_shortened_around_the_change() -> None:
    long = f"LONG = {{{', '.join(f'{number}: None' for number in range(1000, 1020))}}}"
    removed = [change for _function, kind, change in changes(long) if kind == "member removed"]
    assert removed[1] == "{1000: None, 100[1: None, 100 -> ]2: None, 1003: None, 100"
    assert len(removed) == len(set(removed))


def test_equal_changes_in_one_function_are_numbered() -> None:
    twice = "def f(x):\n    g(x > 1)\n    h()\n    g(x > 1)\n"
    numbered = [change for _function, kind, change in changes(twice) if kind == "constant"]
    assert numbered == [
        "g(x > 1) -> g(x > 2)",
        "g(x > 1) -> g(x > 0)",
        "g(x > 1) -> g(x > 2) #2",
        "g(x > 1) -> g(x > 0) #2",
    ]


def test_mutant_changes_only_its_place() -> None:
    module = parse_module("example.py", SOURCE)
    next(mutant for mutant in module.mutants if mutant.id.change.endswith("return None")).apply()
    assert ast.unparse(module.tree) == ast.unparse(ast.parse(SOURCE.replace("return value", "return None")))


def result(killers: Sequence[str | None], *equivalents: int) -> MutationResult:
    """Returns the result of mutants with these first failed tests; some of them are listed as equivalent."""
    module = parse_module("example.py", SOURCE)
    trials = [
        Trial(Job(module, mutant, []), killer, 0, "") for mutant, killer in zip(module.mutants, killers, strict=False)
    ]
    return MutationResult("example.py", trials, {module.mutants[number].id for number in equivalents})


@pytest.mark.parametrize(
    ("killers", "equivalents", "is_sufficient"),
    [
        (["a test"] * 19 + [None], [], True),
        (["a test"] * 18 + [None] * 2, [], False),
        (["a test"] * 18 + [None] * 2, [19], False),
        (["a test"] * 18 + [None] * 2, [18, 19], True),
        (["a test"] * 20, [19], False),
        ([None] * 2, [0, 1], True),
    ],
)
def test_result_requires_95_percent_without_the_equivalent_mutants(
    killers: list[str | None], equivalents: list[int], is_sufficient: bool
) -> None:
    assert result(killers, *equivalents).is_sufficient is is_sufficient


def test_summary_names_survivors_and_detected_equivalents() -> None:
    assert result(["a test", None, "another test", None], 2, 3).summary().splitlines() == [
        "example.py: 4 mutants, 2 equivalent, 1 survived; 50.0 % of the rest detected",
        "  survived: line 4: LIMIT: constant: 3 -> 2",
        f"  listed as equivalent, but detected: {parse_module('', SOURCE).mutants[2].id} (another test)",
    ]


# The list of equivalent mutants, and the table of modules


@pytest.fixture(scope="module")
def modules() -> list[MutatedModule]:
    return [read_module(path) for path in TARGETS]


def test_each_equivalent_mutant_exists_and_has_a_reason(modules: list[MutatedModule]) -> None:
    listed = read_equivalents()
    assert stale_entries(listed, modules) == []
    assert {mutant_id.module for mutant_id in listed} <= TARGETS.keys()


def test_stale_entry_is_found(modules: list[MutatedModule]) -> None:
    stale = MutantId(modules[0].path, "gone", "constant", "1 -> 2")
    assert stale_entries({stale: "It is gone.", modules[0].mutants[0].id: "It exists."}, modules) == [stale]


@pytest.mark.parametrize("reasons", [["", "why"], ["why", "why"]])
def test_list_rejects_missing_reasons_and_repeated_entries(tmp_path: Path, reasons: list[str]) -> None:
    entry = '[[equivalent]]\nmodule = "m"\nfunction = "f"\nkind = "k"\nchange = "c"\nreason = "{}"\n'
    file = tmp_path / "equivalents.toml"
    file.write_text("".join(map(entry.format, reasons)))
    with pytest.raises(ValueError, match="one entry with a reason"):
        read_equivalents(file)


def test_table_names_existing_modules_and_tests() -> None:
    assert [path for path in TARGETS if not (ROOT / path).is_file()] == []
    assert [test for tests in TARGETS.values() for test in tests if not (ROOT / test.split("::")[0]).is_file()] == []


# Known mutants


def test_known_mutants_are_made_and_detected() -> None:
    command = [sys.executable, "-m", "tests.mutation.self_check"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
