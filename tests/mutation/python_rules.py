"""Changes of Python nodes: operators, conditions, constants, statements.

A rule takes a place, and yields a kind with each node that could be there instead."""

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any

from tests.mutation.tree import Place

Change = tuple[str, ast.AST]
"""The kind of a change, and the new node."""

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
}
FUNCTIONS = {"any": "all", "all": "any", "min": "max", "max": "min"}
CONDITIONS = {
    (ast.If, "test"),
    (ast.IfExp, "test"),
    (ast.While, "test"),
    (ast.comprehension, "ifs"),
    (ast.match_case, "guard"),
}


def python_changes(place: Place) -> Iterator[Change]:
    """Yields all changes of a node, except those of a text."""
    if (type(place.parent), place.field) in CONDITIONS:
        # A loop that never ends only costs time.
        values = [False] if isinstance(place.parent, ast.While) else [True, False]
        yield from (("condition", ast.Constant(value)) for value in values)
    if rule := RULES.get(type(place.node)):
        yield from rule(place.node)


def _changed(node: ast.AST, **fields: Any) -> ast.AST:
    """Returns a copy of a node with other values in some fields."""
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _replaced(values: list[Any], index: int, *others: Any) -> list[Any]:
    return [*values[:index], *others, *values[index + 1 :]]


def _compare(node: ast.Compare) -> Iterator[Change]:
    for index, operator in enumerate(node.ops):
        for other in COMPARISONS[type(operator)]:
            yield "comparison", _changed(node, ops=_replaced(node.ops, index, other()))


def _binary(node: ast.BinOp) -> Iterator[Change]:
    if other := ARITHMETIC.get(type(node.op)):
        yield "arithmetic", _changed(node, op=other())


def _boolean(node: ast.BoolOp) -> Iterator[Change]:
    yield "boolean operator", _changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    for index in range(len(node.values)):
        rest = _replaced(node.values, index)
        yield "operand removed", _changed(node, values=rest) if len(rest) > 1 else rest[0]


def _unary(node: ast.UnaryOp) -> Iterator[Change]:
    if isinstance(node.op, ast.Not):
        yield "negation removed", node.operand


def _constant(node: ast.Constant) -> Iterator[Change]:
    if isinstance(node.value, bool):
        yield "constant", _changed(node, value=not node.value)
    elif isinstance(node.value, int):
        yield "constant", _changed(node, value=node.value + 1)
        yield "constant", _changed(node, value=node.value - 1)


def _return(node: ast.Return) -> Iterator[Change]:
    if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
        yield "return value", _changed(node, value=ast.Constant(None))


def _alternative(node: ast.IfExp) -> Iterator[Change]:
    yield "branches swapped", _changed(node, body=node.orelse, orelse=node.body)


def _call(node: ast.Call) -> Iterator[Change]:
    if isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        yield "function", _changed(node, func=ast.Name(FUNCTIONS[node.func.id], ast.Load()))


def _dictionary(node: ast.Dict) -> Iterator[Change]:
    for index, key in enumerate(node.keys):
        if key is not None and len(node.keys) > 1:
            rest = _changed(node, keys=_replaced(node.keys, index), values=_replaced(node.values, index))
            yield "member removed", rest


def _case(node: ast.match_case) -> Iterator[Change]:
    yield "case never matches", _changed(node, guard=ast.Constant(value=False))


def _statement(_node: ast.stmt) -> Iterator[Change]:
    yield "statement removed", ast.Pass()


def _expression_statement(node: ast.Expr) -> Iterator[Change]:
    if isinstance(node.value, ast.Call | ast.Yield | ast.YieldFrom):
        yield from _statement(node)


RULES: dict[type[ast.AST], Callable[[Any], Iterator[Change]]] = {
    ast.Compare: _compare,
    ast.BinOp: _binary,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.Constant: _constant,
    ast.Return: _return,
    ast.IfExp: _alternative,
    ast.Call: _call,
    ast.Dict: _dictionary,
    ast.match_case: _case,
    ast.Expr: _expression_statement,
    ast.AugAssign: _statement,
    ast.Raise: _statement,
    ast.Break: _statement,
    ast.Continue: _statement,
}
