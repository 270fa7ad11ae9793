"""How do single requests share commits, and who has to wait for a run that is being stored? Only the requests of its partner."""

from functools import partial

from anyio import CapacityLimiter

from api.group_commit import GroupCommit
from domain.trace import SingleRequest
from domain.trace_ledger import Busy, Result, TraceLedger
from domain.values import Scope

WAITING_THREADS = 2
"""Each takes a connection for as long as it waits."""


class SingleRequests:
    """Lives in the event loop of a server."""

    def __init__(self, traces: TraceLedger) -> None:
        self._traces = traces
        self._all = GroupCommit[SingleRequest, Result | Busy](traces.carry_out)
        self._waiting: dict[Scope, GroupCommit[SingleRequest, Result]] = {}
        self._threads = CapacityLimiter(WAITING_THREADS)

    async def submit(self, request: SingleRequest) -> Result:
        """The request's result, when it is durable."""
        result = await self._all.submit(request)
        if not isinstance(result, Busy):
            return result
        if result.scope not in self._waiting:
            work = partial(self._traces.carry_out_after, result.scope)
            self._waiting[result.scope] = GroupCommit(work, self._threads)
        lane = self._waiting[result.scope]
        try:
            return await lane.submit(request)
        finally:
            if lane.is_idle:
                self._waiting.pop(result.scope, None)
