"""Walks the syntax tree of a module: each node with its place and the function that contains it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

SKIPPED_NODES = (ast.Import, ast.ImportFrom, ast.Assert)
SKIPPED_FIELDS = {
    (ast.arg, "annotation"),
    (ast.AnnAssign, "annotation"),
    (ast.FunctionDef, "returns"),
    (ast.FunctionDef, "decorator_list"),
    (ast.ClassDef, "bases"),
    (ast.ClassDef, "keywords"),
    (ast.ClassDef, "decorator_list"),
    (ast.FormattedValue, "format_spec"),
}
"""Parts without behaviour that a test can detect: annotations, and options of classes."""


@dataclass(frozen=True)
class Place:
    """A node and where its parent has it. `above` is the parent's place; None for the module's statements."""

    node: ast.AST
    parent: ast.AST
    field: str
    index: int | None
    function: str
    """The qualified name of the function, class or module constant that contains the node."""
    above: Place | None

    def put(self, node: ast.AST) -> None:
        """Puts another node into this place."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node

    @contextmanager
    def holding(self, node: ast.AST) -> Iterator[None]:
        """Puts another node into this place, and puts the original one back at the end."""
        self.put(node)
        yield
        self.put(self.node)


def walk(parent: ast.AST, function: str = "", above: Place | None = None) -> Iterator[Place]:
    """Yields the places below a node, in the order of the source."""
    for field, value in ast.iter_fields(parent):
        if (type(parent), field) in SKIPPED_FIELDS:
            continue
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(node, ast.AST) and not _is_skipped(node):
                place = Place(
                    node, parent, field, index, ".".join(filter(None, (function, _name(node, parent)))), above
                )
                yield place
                yield from walk(node, place.function, place)


def _is_skipped(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant() | ast.JoinedStr()):  # a docstring
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id="assert_never"))):
            return True
        case ast.match_case(body=[only]):
            return _is_skipped(only)
        case _:
            return isinstance(node, SKIPPED_NODES)


def _name(node: ast.AST, parent: ast.AST) -> str | None:
    """Returns the name of a function, a class, a constant of the module or a member of the class."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[target]) | ast.AnnAssign(target=target) if isinstance(
            parent, ast.Module | ast.ClassDef
        ):
            return ast.unparse(target)
        case _:
            return None
