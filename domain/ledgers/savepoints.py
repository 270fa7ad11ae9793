"""How do several requests share a transaction, and each is as if it were alone?"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from domain.refusals import Refused, decided_or_refused
from domain.store.cursor import Cursor

_Request = TypeVar("_Request")
_Result = TypeVar("_Result")


def each_alone(
    tx: Cursor, requests: Sequence[_Request], apply: Callable[[Cursor, _Request], _Result]
) -> list[_Result | Refused]:
    """The results in the order of the requests; one that is refused has changed nothing."""
    return [_alone(tx, request, apply) for request in requests]


def _alone(tx: Cursor, request: _Request, apply: Callable[[Cursor, _Request], _Result]) -> _Result | Refused:
    tx.execute("SAVEPOINT request")
    result = decided_or_refused(partial(apply, tx), request)
    if isinstance(result, Refused):
        tx.execute("ROLLBACK TO request")
    tx.execute("RELEASE request")
    return result
