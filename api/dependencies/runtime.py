"""The objects that all requests of a server process share."""

from fastapi import Request
from msgspec import Struct

from api.dependencies.caller_lookup import CallerLookup
from api.dependencies.replica import Replica
from api.dependencies.waiting_bodies import WaitingBodies
from api.http.ledger_position import Committed
from api.server.clock_monitor import ClockMonitor
from api.server.group_commit import GroupCommit
from api.server.ledger_watcher import LedgerWatcher
from api.server.merchant_queue import MerchantQueue
from api.server.shutdown import ShutdownSignal
from api.server.streaming import StreamResponses
from api.server.worker_threads import WorkerThreads
from api.service import Service
from domain.ledgers.redemption_ledger import PendingRedemption, RedemptionResult
from domain.redemption.activation_group import ActivationResult, PendingActivation
from domain.refusals import Refused

ActivationCommits = GroupCommit[PendingActivation, Committed[ActivationResult | Refused]]
RedemptionCommits = GroupCommit[PendingRedemption, Committed[RedemptionResult | Refused]]


class Runtime(Struct, frozen=True, kw_only=True):
    """The objects of one server process. `create_app` stores one Runtime as `app.state.runtime`, and nothing else."""

    service: Service
    shutdown: ShutdownSignal
    replica: Replica | None
    """None if no replica is configured."""
    threads: WorkerThreads
    watcher: LedgerWatcher
    clock_monitor: ClockMonitor
    streams: StreamResponses
    callers: CallerLookup
    merchant_queue: MerchantQueue
    waiting_bodies: WaitingBodies
    activations: ActivationCommits
    redemptions: RedemptionCommits


def runtime_of(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime
