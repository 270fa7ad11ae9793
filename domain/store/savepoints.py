"""How do several requests share a transaction, and each is as if it were alone?"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from domain.refusals import Refused
from domain.store.cursor import Cursor

Request = TypeVar("Request")
Result = TypeVar("Result")


def each_alone(
    tx: Cursor, requests: Sequence[Request], apply: Callable[[Cursor, Request], Result]
) -> list[Result | Refused]:
    """The results in the order of the requests; one that is refused has changed nothing."""
    return [_alone(tx, request, apply) for request in requests]


def _alone(tx: Cursor, request: Request, apply: Callable[[Cursor, Request], Result]) -> Result | Refused:
    tx.execute("SAVEPOINT request")
    try:
        result: Result | Refused = apply(tx, request)
    except Refused as refusal:
        tx.execute("ROLLBACK TO request")
        result = refusal
    tx.execute("RELEASE request")
    return result
