"""Finds the mutants of a module. A mutant is the module with one small change."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from tests.mutation.python_rules import python_changes
from tests.mutation.text_rules import CONTEXT, text_changes
from tests.mutation.tree import Place, walk

ROOT = Path(__file__).parent.parent.parent
MAX_CONTEXT = 90
"""Characters of the expression around a change that its description may show."""


class MutantId(NamedTuple):
    """Identifies a mutant without a line number, as long as the changed expression stays the same."""

    module: str
    function: str
    kind: str
    change: str

    def __str__(self) -> str:
        return f"{self.function or 'module'}: {self.kind}: {self.change}"


@dataclass(frozen=True)
class Mutant:
    """A change of a module's tree: a node for a place."""

    id: MutantId
    line: int
    place: Place
    node: ast.AST

    def apply(self) -> None:
        """Changes the tree that the place belongs to."""
        self.place.put(ast.copy_location(self.node, self.place.node))


@dataclass(frozen=True)
class MutatedModule:
    """A module's path below the root, its tree, and all of its mutants. The mutants change the tree in place."""

    path: str
    tree: ast.Module
    mutants: list[Mutant]

    @property
    def name(self) -> str:
        return self.path.removesuffix(".py").replace("/", ".")

    def compile(self) -> CodeType:
        """Returns the code of the tree as it is now."""
        return compile(ast.fix_missing_locations(self.tree), ROOT / self.path, "exec")


def read_module(path: str) -> MutatedModule:
    """Reads a module, and finds all of its mutants."""
    return parse_module(path, (ROOT / path).read_text())


def parse_module(path: str, source: str) -> MutatedModule:
    tree = ast.parse(source)
    return MutatedModule(path, tree, list(_mutants(path, tree)))


def _mutants(path: str, tree: ast.Module) -> Iterator[Mutant]:
    occurrences: Counter[MutantId] = Counter()
    for place in walk(tree):
        for kind, description, line, node in _changes(place):
            mutant_id = MutantId(path, place.function, kind, description)
            occurrences[mutant_id] += 1
            if (number := occurrences[mutant_id]) > 1:
                mutant_id = mutant_id._replace(change=f"{description} #{number}")
            yield Mutant(mutant_id, line, place, node)


def _changes(place: Place) -> Iterator[tuple[str, str, int, ast.AST]]:
    """Yields kind, description, line and new node of each change."""
    line = getattr(place.node.pattern if isinstance(place.node, ast.match_case) else place.node, "lineno", 0)
    for kind, node in python_changes(place):
        yield kind, _describe(place, node), line, node
    is_key = isinstance(place.parent, ast.Subscript)  # each change of a key is a KeyError, which proves nothing
    if isinstance(place.node, ast.Constant) and isinstance(place.node.value, str) and not is_key:
        for change in text_changes(place.node.value):
            yield change.kind, change.description, line + change.line, ast.Constant(change.text)


def _describe(place: Place, node: ast.AST) -> str:
    """Returns the source before and after a change, with the expression around it if that is short."""
    if isinstance(place.node, ast.match_case):
        return f"case {ast.unparse(place.node.pattern)} -> never"
    shown = place
    while shown.above and isinstance(shown.parent, ast.expr | ast.keyword):
        if len(ast.unparse(shown.parent)) > MAX_CONTEXT:
            break
        shown = shown.above
    before = ast.unparse(shown.node)
    with place.holding(node):
        after = ast.unparse(node if shown is place else shown.node)
    return " ".join((f"{before} -> {after}" if len(before) <= MAX_CONTEXT else _shortened(before, after)).split())


def _shortened(before: str, after: str) -> str:
    """Returns the part that differs, with some characters on each side."""
    start = _common_length(before, after)
    rest = _common_length(before[start:][::-1], after[start:][::-1])
    end = len(before) - rest
    changed = f"[{before[start:end]} -> {after[start : len(after) - rest]}]"
    return before[max(start - CONTEXT, 0) : start] + changed + before[end : end + CONTEXT]


def _common_length(one: str, other: str) -> int:
    """Returns how many characters two texts share at their beginning."""
    return next(
        (length for length, pair in enumerate(zip(one, other, strict=False)) if len(set(pair)) > 1),
        min(len(one), len(other)),
    )
