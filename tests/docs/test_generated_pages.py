"""Pages that the code determines are what the code says, and the catalogue of problem types is complete."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.http.problem_schemas import PROBLEM_TYPES
from domain.events import RefusalReason
from tests.support.generated_pages import DOCS, PAGES, ROOT

PLACES = {"Problem": 1, "RunProblem": 0}
"""The position of the type among the arguments of each constructor."""


@pytest.mark.parametrize("name", PAGES)
def test_page_is_what_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "Run: python -m tests.support.generated_pages"


def raised_types() -> Iterator[tuple[Path, str]]:
    """The literal problem types in the calls of Problem(...) and RunProblem(...)."""
    for path in sorted((ROOT / "api").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or (name := getattr(node.func, "id", "")) not in PLACES:
                continue
            for argument in node.args[PLACES[name] : PLACES[name] + 1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield path, argument.value


def test_every_raised_problem_type_is_in_the_catalogue() -> None:
    raised = list(raised_types())
    assert len(raised) > 15
    assert {(path, kind) for path, kind in raised if kind not in PROBLEM_TYPES} == set()
    assert set(RefusalReason) <= PROBLEM_TYPES.keys()


def test_catalogue_has_no_type_that_is_never_raised() -> None:
    texts = [
        path.read_text()
        for folder in ("api", "domain")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "problem_schemas.py"
    ]
    derived_from_a_status = {"method-not-allowed", "not-found"}
    unused = {kind for kind in PROBLEM_TYPES if not any(f'"{kind}"' in text for text in texts)}
    assert unused <= derived_from_a_status
