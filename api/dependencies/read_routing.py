"""Where is a request read that only looks? Where its caller misses nothing that it has seen: on the standby, or the primary."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar

from fastapi import Depends, Header, Request

from api.dependencies.authentication import ServiceDep
from api.dependencies.runtime import runtime_of
from api.http.ledger_position import LEDGER_POSITION, set_position
from api.http.pagination import InvalidCursor
from api.http.problems import validation_error
from api.http.query_params import MAX_DIGITS, Position
from api.validation.field_errors import InvalidField
from api.validation.times import read_time
from domain.ledgers.ledger import OfferLedger, StorageError
from domain.store.commit import current_head
from domain.store.cursor import Cursor
from domain.values import EPOCH

PAST_POSITIONS = ("asOfPosition", "fromPosition", "toPosition", "afterPosition")
PAST_TIMES = ("asOf", "from", "to", "at")
"""The parameters that name a place in the ledger's past, wherever there are some."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


class ReplicaBehind(StorageError):
    """The standby has not replayed what the caller has seen, or what the answer depends on."""


class RoutedReads:
    """The snapshots of one request, as domain.ledgers.ledger.Snapshots has them. `seen`: the position that all of them must have;
    `until`: and a commit of that time or later, so that nothing can come any more before it; `otherwise`: who answers if they
    don't."""

    def __init__(
        self,
        request: Request,
        ledger: OfferLedger,
        snapshot: Callable[[], AbstractContextManager[Cursor]],
        min_position: int | None,
        fallback: "RoutedReads | None" = None,
        min_recorded_at: datetime = EPOCH,
    ) -> None:
        self.min_position, self.fallback = min_position, fallback
        self._min_recorded_at = min_recorded_at
        self._request, self._ledger = request, ledger
        self._snapshot = snapshot

    @contextmanager
    def read(self) -> Iterator[Cursor]:
        with self._snapshot() as tx:
            head = current_head(tx)
            if self.min_position is not None and head.position < self.min_position:
                raise ReplicaBehind if self.fallback else _refused("lies ahead of the ledger")
            if (head.recorded_at or EPOCH) < self._min_recorded_at:
                raise ReplicaBehind
            set_position(self._request, head.position)
            yield tx

    def now(self, tx: Cursor) -> datetime:
        return self._ledger.now(tx)

    def settle(self, moment: datetime) -> None:
        if self.fallback is None:
            self._ledger.settle(moment)
        else:
            self._min_recorded_at = max(self._min_recorded_at, moment)


def _refused(why: str) -> Exception:
    return validation_error([InvalidField(("header", LEDGER_POSITION), why)])


SeenPosition = Annotated[
    Position | None,
    Header(
        alias=LEDGER_POSITION,
        description="The highest Ledger-Position that an answer has told. With it, a standby may answer that has replayed the ledger"
        " up to there; without it, the primary does.",
    ),
]


async def _of_the_primary(request: Request, service: ServiceDep, seen: SeenPosition = None) -> RoutedReads:
    if len(request.headers.getlist(LEDGER_POSITION)) > 1:
        raise _refused("given more than once")
    return RoutedReads(request, service.ledger, service.ledger.read, seen)


PrimaryReads = Annotated[RoutedReads, Depends(_of_the_primary)]
"""For what changes without a new position, such as runs."""


async def _of_either(request: Request, service: ServiceDep, primary: PrimaryReads) -> RoutedReads:
    replica, seen = runtime_of(request).replica, primary.min_position
    if seen is None or replica is None or not replica.is_available:
        return primary
    # Its past may be shorter than that of the ledger, and must not be told for it.
    position, time = _past_of(request)
    return RoutedReads(request, service.ledger, replica.read, max(seen, position), primary, time)


def _past_of(request: Request) -> tuple[int, datetime]:
    """Up to which position and time it is asked for. What is none is refused by the route."""
    told = request.query_params
    positions = [told[name] for name in PAST_POSITIONS if re.fullmatch(rf"[0-9]{{1,{MAX_DIGITS}}}", told.get(name, ""))]
    times = [EPOCH]
    for name in PAST_TIMES:
        with suppress(ValueError):
            times.append(read_time(told.get(name)))
    return max(map(int, positions), default=0), max(times)


ReplicaReads = Annotated[RoutedReads, Depends(_of_either)]
"""For a route that is `fall_back_to_primary`."""


def fall_back_to_primary(route: Callable[_P, _R]) -> Callable[_P, _R]:
    """What the standby can't answer, for whatever reason, is answered by the primary, from the start. `route` has a parameter
    `reads`. A cursor that is none there may have come from an answer that has seen more."""

    @wraps(route)
    def answer(*args: _P.args, **given: _P.kwargs) -> _R:
        reads: Any = given["reads"]
        try:
            return route(*args, **given)
        except (StorageError, InvalidCursor):
            if reads.fallback is None:
                raise
        given["reads"] = reads.fallback
        return route(*args, **given)

    return answer
