"""Where is a request read that only looks? Where its caller misses nothing that it has seen: on the standby, or the primary."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar, cast

from fastapi import Depends, Header, Request

from api.auth import Here
from api.positions import LEDGER_POSITION, tell
from api.problems import validation_error
from api.schemas.messages import Complaint
from api.schemas.query import Position
from api.standby import Standby
from domain.ledger import OfferLedger, StorageError
from domain.store.commit import head_of
from domain.store.cursor import Cursor

P = ParamSpec("P")
R = TypeVar("R")


class Behind(StorageError):  # noqa: N818 - it says what is the case
    """The standby has not replayed what the caller has seen, or what the answer depends on."""


class Reads:
    """The snapshots of one request, as domain.ledger.Snapshots has them. `seen`: the position that all of them must have;
    `otherwise`: who answers if they don't."""

    def __init__(
        self,
        request: Request,
        ledger: OfferLedger,
        snapshot: Callable[[], AbstractContextManager[Cursor]],
        seen: int | None,
        otherwise: "Reads | None" = None,
    ) -> None:
        self.seen, self.otherwise = seen, otherwise
        self._request, self._ledger = request, ledger
        self._snapshot = snapshot

    @contextmanager
    def reading(self) -> Iterator[Cursor]:
        with self._snapshot() as tx:
            position = head_of(tx).position
            if self.seen is not None and position < self.seen:
                raise Behind if self.otherwise else _ahead()
            tell(self._request, position)
            yield tx

    def present(self, tx: Cursor) -> datetime:
        return self._ledger.present(tx)

    def settle(self, moment: datetime) -> None:
        if self.otherwise is None:
            self._ledger.settle(moment)
            return
        with self.reading() as tx:
            newest = head_of(tx).recorded_at
        if newest is None or newest < moment:
            raise Behind


def _ahead() -> Exception:
    return validation_error([Complaint(("header", LEDGER_POSITION), "lies ahead of the ledger")])


Seen = Annotated[
    Position | None,
    Header(
        alias=LEDGER_POSITION,
        description="The highest Ledger-Position that an answer has told. With it, a standby may answer that has replayed the ledger"
        " up to there; without it, the primary does.",
    ),
]


async def _of_the_primary(request: Request, service: Here, seen: Seen = None) -> Reads:
    return Reads(request, service.ledger, service.ledger.reading, seen)


PrimaryReads = Annotated[Reads, Depends(_of_the_primary)]
"""For what changes without a new position, such as runs."""


async def _of_either(request: Request, service: Here, primary: PrimaryReads) -> Reads:
    standby, seen = cast("Standby | None", request.app.state.standby), primary.seen
    if seen is None or standby is None or not standby.is_there:
        return primary
    return Reads(request, service.ledger, standby.reading, seen, otherwise=primary)


AnyReads = Annotated[Reads, Depends(_of_either)]
"""For a route that is `answered_by_either`."""


def answered_by_either(route: Callable[P, R]) -> Callable[P, R]:
    """What the standby can't answer, for whatever reason, is answered by the primary, from the start. `route` has a parameter
    `reads`."""

    @wraps(route)
    def answer(*args: P.args, **given: P.kwargs) -> R:
        reads: Any = given["reads"]
        try:
            return route(*args, **given)
        except StorageError:
            if reads.otherwise is None:
                raise
        given["reads"] = reads.otherwise
        return route(*args, **given)

    return answer
