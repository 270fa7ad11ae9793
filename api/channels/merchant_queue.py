"""How do single requests share commits, and who has to wait for a run that is being stored? Only the requests of its partner."""

from functools import partial

from anyio import CapacityLimiter

from api.http.ledger_position import Written, with_position
from api.server.group_commit import GroupCommit
from domain.ledgers.single_request_ledger import Busy, Result, TraceLedger
from domain.single_requests.request import SingleRequest
from domain.values import Scope

WAITING_THREADS = 2
"""Each takes a connection for as long as it waits."""


class SingleRequests:
    """Lives in the event loop of a server."""

    def __init__(self, traces: TraceLedger) -> None:
        self._traces = traces
        self._all = GroupCommit[SingleRequest, Written[Result | Busy]](with_position(traces.ledger, traces.carry_out))
        self._waiting: dict[Scope, GroupCommit[SingleRequest, Written[Result]]] = {}
        self._threads = CapacityLimiter(WAITING_THREADS)

    async def submit(self, request: SingleRequest) -> Written[Result]:
        """The request's result, when it is durable."""
        written = await self._all.submit(request)
        result = written.result
        if not isinstance(result, Busy):
            return Written(result, written.position)
        if result.scope not in self._waiting:
            work = with_position(self._traces.ledger, partial(self._traces.carry_out_after, result.scope))
            self._waiting[result.scope] = GroupCommit(work, self._threads)
        lane = self._waiting[result.scope]
        try:
            return await lane.submit(request)
        finally:
            if lane.is_idle:
                self._waiting.pop(result.scope, None)
