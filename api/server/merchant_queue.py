"""How do single requests share commits, and who has to wait for a run that is being stored? Only the requests of its partner."""

from functools import partial

from anyio import CapacityLimiter

from api.http.ledger_position import Committed, with_position
from api.server.group_commit import GroupCommit
from domain.ledgers.single_request_ledger import Busy, SingleRequestLedger, SingleRequestResult
from domain.single_requests.request import SingleRequestCommand
from domain.values import Scope

WAITING_THREADS = 2
"""Each takes a connection for as long as it waits."""


class MerchantQueue:
    """Lives in the event loop of a server."""

    def __init__(self, traces: SingleRequestLedger) -> None:
        self._traces = traces
        self._all = GroupCommit[SingleRequestCommand, Committed[SingleRequestResult | Busy]](
            with_position(traces.ledger, traces.execute)
        )
        self._waiting: dict[Scope, GroupCommit[SingleRequestCommand, Committed[SingleRequestResult]]] = {}
        self._threads = CapacityLimiter(WAITING_THREADS)

    async def submit(self, request: SingleRequestCommand) -> Committed[SingleRequestResult]:
        """The request's result, when it is durable."""
        written = await self._all.submit(request)
        result = written.result
        if not isinstance(result, Busy):
            return Committed(result, written.position)
        if result.scope not in self._waiting:
            work = with_position(self._traces.ledger, partial(self._traces.execute_after, result.scope))
            self._waiting[result.scope] = GroupCommit(work, self._threads)
        lane = self._waiting[result.scope]
        try:
            return await lane.submit(request)
        finally:
            if lane.is_idle:
                self._waiting.pop(result.scope, None)
