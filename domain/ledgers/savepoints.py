"""Executes several requests in one transaction with a savepoint for each, so that a refused one changes nothing."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from domain.refusals import Refused, decided_or_refused
from domain.store.cursor import Cursor

_Request = TypeVar("_Request")
_Result = TypeVar("_Result")


def apply_in_savepoints(
    tx: Cursor, requests: Sequence[_Request], apply: Callable[[Cursor, _Request], _Result]
) -> list[_Result | Refused]:
    """Returns the results in the order of the requests. A refused request is rolled back to its savepoint."""
    return [_apply_in_savepoint(tx, request, apply) for request in requests]


def _apply_in_savepoint(
    tx: Cursor, request: _Request, apply: Callable[[Cursor, _Request], _Result]
) -> _Result | Refused:
    tx.execute("SAVEPOINT request")
    result = decided_or_refused(partial(apply, tx), request)
    if isinstance(result, Refused):
        tx.execute("ROLLBACK TO request")
    tx.execute("RELEASE request")
    return result
