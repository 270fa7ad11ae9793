"""Routes reads to the replica or the primary.

The replica answers only if it has replayed the position that the client sends in `Ledger-Position`, so that a client
never reads an older state than it has seen.
"""

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
"""The parameters by which any call names a past state or a range of the ledger."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


class ReplicaBehind(StorageError):
    """The replica has not replayed what the client has seen, or what the answer depends on."""


class RoutedReads:
    """A `LedgerReader` for one request.

    Each snapshot must include `min_position`, and a commit recorded at `min_recorded_at` or later: then no further
    commit can get an earlier time. `fallback` answers if a snapshot does not include them."""

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
                raise ReplicaBehind if self.fallback else _invalid_header("is after the ledger's newest position")
            if (head.recorded_at or EPOCH) < self._min_recorded_at:
                raise ReplicaBehind
            set_position(self._request, head.position)
            yield tx

    def now(self, tx: Cursor) -> datetime:
        now = self._ledger.now(tx)
        # The replica's host has a clock of its own. If it is behind the newest commit, then only the primary can tell
        # whether a window that was just opened has started.
        if self.fallback and self._ledger.has_database_clock and now < (current_head(tx).recorded_at or EPOCH):
            raise ReplicaBehind
        return now

    def name_in(self, tx: Cursor) -> str:
        return self._ledger.name_in(tx)

    def wait_until_past(self, time: datetime) -> None:
        if self.fallback is None:
            self._ledger.wait_until_past(time)
        else:
            self._min_recorded_at = max(self._min_recorded_at, time)


def _invalid_header(message: str) -> Exception:
    return validation_error([InvalidField(("header", LEDGER_POSITION), message)])


SeenPosition = Annotated[
    Position | None,
    Header(
        alias=LEDGER_POSITION,
        description="The highest Ledger-Position of the replies so far. With it, a replica may answer if it has"
        " replayed the ledger up to this position. Without it, the primary answers.",
    ),
]


async def _primary_reads(request: Request, service: ServiceDep, seen: SeenPosition = None) -> RoutedReads:
    if len(request.headers.getlist(LEDGER_POSITION)) > 1:
        raise _invalid_header("given more than once")
    return RoutedReads(request, service.ledger, service.ledger.read, seen)


PrimaryReads = Annotated[RoutedReads, Depends(_primary_reads)]
"""For data that changes without a new position, such as runs."""


async def _replica_reads(request: Request, service: ServiceDep, primary: PrimaryReads) -> RoutedReads:
    replica, seen = runtime_of(request).replica, primary.min_position
    if seen is None or replica is None or not replica.is_available:
        return primary
    # A requested past state may be newer than the replica, which would then answer with its newest state instead.
    position, time = _newest_requested(request)
    return RoutedReads(request, service.ledger, replica.read, max(seen, position), primary, time)


def _newest_requested(request: Request) -> tuple[int, datetime]:
    """Returns the newest position and time that the query parameters name. Invalid values are left to the route."""
    params = request.query_params
    positions = [
        params[name] for name in PAST_POSITIONS if re.fullmatch(rf"[0-9]{{1,{MAX_DIGITS}}}", params.get(name, ""))
    ]
    times = [EPOCH]
    for name in PAST_TIMES:
        with suppress(ValueError):
            times.append(read_time(params.get(name)))
    return max(map(int, positions), default=0), max(times)


ReplicaReads = Annotated[RoutedReads, Depends(_replica_reads)]
"""The reads of a route with the decorator `fall_back_to_primary`."""


def fall_back_to_primary(route: Callable[_P, _R]) -> Callable[_P, _R]:
    """Repeats the whole route on the primary if the replica can't answer. `route` has a keyword parameter `reads`.

    An invalid cursor is retried too: the primary may have issued it for events that the replica does not have."""

    @wraps(route)
    def answer(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        reads: Any = kwargs["reads"]
        try:
            return route(*args, **kwargs)
        except (StorageError, InvalidCursor):
            if reads.fallback is None:
                raise
        kwargs["reads"] = reads.fallback
        return route(*args, **kwargs)

    return answer
