"""Where is a request read that only looks? Where its caller misses nothing that it has seen: on the standby, or the primary."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar, cast

from fastapi import Depends, Header, Request

from api.dependencies.authentication import Here
from api.dependencies.replica import Standby
from api.http.ledger_position import LEDGER_POSITION, tell
from api.http.pagination import InvalidCursor
from api.http.problems import validation_error
from api.http.query_params import MAX_DIGITS, Position
from api.validation.field_errors import Complaint
from api.validation.times import read_time
from domain.ledgers.ledger import OfferLedger, StorageError
from domain.store.commit import head_of
from domain.store.cursor import Cursor
from domain.values import EPOCH

PAST_POSITIONS = ("asOfPosition", "fromPosition", "toPosition", "afterPosition")
PAST_TIMES = ("asOf", "from", "to", "at")
"""The parameters that name a place in the ledger's past, wherever there are some."""

P = ParamSpec("P")
R = TypeVar("R")


class Behind(StorageError):  # noqa: N818 - it says what is the case
    """The standby has not replayed what the caller has seen, or what the answer depends on."""


class Reads:
    """The snapshots of one request, as domain.ledgers.ledger.Snapshots has them. `seen`: the position that all of them must have;
    `until`: and a commit of that time or later, so that nothing can come any more before it; `otherwise`: who answers if they
    don't."""

    def __init__(
        self,
        request: Request,
        ledger: OfferLedger,
        snapshot: Callable[[], AbstractContextManager[Cursor]],
        seen: int | None,
        otherwise: "Reads | None" = None,
        until: datetime = EPOCH,
    ) -> None:
        self.seen, self.otherwise = seen, otherwise
        self._until = until
        self._request, self._ledger = request, ledger
        self._snapshot = snapshot

    @contextmanager
    def reading(self) -> Iterator[Cursor]:
        with self._snapshot() as tx:
            head = head_of(tx)
            if self.seen is not None and head.position < self.seen:
                raise Behind if self.otherwise else _refused("lies ahead of the ledger")
            if (head.recorded_at or EPOCH) < self._until:
                raise Behind
            tell(self._request, head.position)
            yield tx

    def present(self, tx: Cursor) -> datetime:
        return self._ledger.present(tx)

    def settle(self, moment: datetime) -> None:
        if self.otherwise is None:
            self._ledger.settle(moment)
        else:
            self._until = max(self._until, moment)


def _refused(why: str) -> Exception:
    return validation_error([Complaint(("header", LEDGER_POSITION), why)])


Seen = Annotated[
    Position | None,
    Header(
        alias=LEDGER_POSITION,
        description="The highest Ledger-Position that an answer has told. With it, a standby may answer that has replayed the ledger"
        " up to there; without it, the primary does.",
    ),
]


async def _of_the_primary(request: Request, service: Here, seen: Seen = None) -> Reads:
    if len(request.headers.getlist(LEDGER_POSITION)) > 1:
        raise _refused("given more than once")
    return Reads(request, service.ledger, service.ledger.reading, seen)


PrimaryReads = Annotated[Reads, Depends(_of_the_primary)]
"""For what changes without a new position, such as runs."""


async def _of_either(request: Request, service: Here, primary: PrimaryReads) -> Reads:
    standby, seen = cast("Standby | None", request.app.state.standby), primary.seen
    if seen is None or standby is None or not standby.is_there:
        return primary
    # Its past may be shorter than that of the ledger, and must not be told for it.
    position, time = _past_of(request)
    return Reads(request, service.ledger, standby.reading, max(seen, position), primary, time)


def _past_of(request: Request) -> tuple[int, datetime]:
    """Up to which position and time it is asked for. What is none is refused by the route."""
    told = request.query_params
    positions = [told[name] for name in PAST_POSITIONS if re.fullmatch(rf"[0-9]{{1,{MAX_DIGITS}}}", told.get(name, ""))]
    times = [EPOCH]
    for name in PAST_TIMES:
        with suppress(ValueError):
            times.append(read_time(told.get(name)))
    return max(map(int, positions), default=0), max(times)


AnyReads = Annotated[Reads, Depends(_of_either)]
"""For a route that is `answered_by_either`."""


def answered_by_either(route: Callable[P, R]) -> Callable[P, R]:
    """What the standby can't answer, for whatever reason, is answered by the primary, from the start. `route` has a parameter
    `reads`. A cursor that is none there may have come from an answer that has seen more."""

    @wraps(route)
    def answer(*args: P.args, **given: P.kwargs) -> R:
        reads: Any = given["reads"]
        try:
            return route(*args, **given)
        except (StorageError, InvalidCursor):
            if reads.otherwise is None:
                raise
        given["reads"] = reads.otherwise
        return route(*args, **given)

    return answer
