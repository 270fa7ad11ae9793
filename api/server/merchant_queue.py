"""Queues single requests (PUT and DELETE of one offer) so that they share commits.

While a run is being stored on PostgreSQL, only those of its partner and channel that change an offer wait for it. On SQLite
all writers wait.
"""

from functools import partial

from anyio import CapacityLimiter

from api.http.ledger_position import Committed, with_position
from api.server.group_commit import GroupCommit
from domain.ledgers.single_request_ledger import Busy, SingleRequestLedger, SingleRequestResult
from domain.single_requests.request import SingleRequestCommand
from domain.values import Scope

WAITING_THREADS = 2
"""Each of these threads holds a database connection while it waits for a run."""


class MerchantQueue:
    """Belongs to the event loop of a server. One queue takes all requests; a busy scope gets its own."""

    def __init__(self, single_requests: SingleRequestLedger) -> None:
        self._single_requests = single_requests
        self._all = GroupCommit[SingleRequestCommand, Committed[SingleRequestResult | Busy]](
            with_position(single_requests.ledger, single_requests.execute)
        )
        self._busy: dict[Scope, GroupCommit[SingleRequestCommand, Committed[SingleRequestResult]]] = {}
        self._threads = CapacityLimiter(WAITING_THREADS)

    async def submit(self, request: SingleRequestCommand) -> Committed[SingleRequestResult]:
        """Returns the request's result after its commit."""
        committed = await self._all.submit(request)
        result = committed.result
        if not isinstance(result, Busy):
            return Committed(result, committed.position)
        if result.scope not in self._busy:
            ledger = self._single_requests
            work = with_position(ledger.ledger, partial(ledger.execute_after, result.scope))
            self._busy[result.scope] = GroupCommit(work, self._threads)
        queue = self._busy[result.scope]
        try:
            return await queue.submit(request)
        finally:
            if queue.is_idle:
                self._busy.pop(result.scope, None)
