"""The life cycle of runs: one run for each accepted batch, offers file or undo.

A run is accepted before any work starts: its request is stored, and the process that accepted it gets the lease. Any
process can take over a run whose lease has expired. Each takeover increases the fence, so that writes of the previous
owner are rejected.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from msgspec import Struct, field
from msgspec.structs import replace

from domain.refusals import LeaseLost
from domain.values import Channel, Operation, Origin, Scope, Source

MAX_ATTEMPTS = 5
"""Number of times that a run starts, by any owner, before it fails."""


class RunState(StrEnum):
    """State of a run in its life cycle."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


UNFINISHED = (RunState.ACCEPTED, RunState.RUNNING)


class ItemOutcome(Struct, frozen=True, rename="camel", gc=False, omit_defaults=True):
    """Outcome for one offer of the request. An id that could not be read is empty in a batch, and None in a file."""

    external_id: str | None
    messages: tuple[str, ...]
    merchant_id: str | None = None
    """Always None on the custom channel."""


class OutcomeCounts(Struct, frozen=True):
    """Number of offers with each outcome.

    A batch has no `restored`, `deleted`, `unknown` or `discrepancy`; an offers file has no `paused`; only an undo has `kept`."""

    created: int = 0
    updated: int = 0
    restored: int = 0
    unchanged: int = 0
    paused: int = 0
    deleted: int = 0
    unknown: int = 0
    """Offers to delete that do not exist."""
    discrepancy: int = 0
    """Active offers that the offers file does not name."""
    failed: int = 0
    kept: int = 0
    """Offers that an undo leaves as they are, because they have changed since the run."""

    @property
    def nothing_valid(self) -> bool:
        """True if the request has no valid item or record."""
        return not (self.created or self.updated or self.restored or self.unchanged or self.deleted or self.unknown)


class Outcome(Struct, frozen=True):
    """The offers of a request by outcome, as in OutcomeCounts; each list is in the order of the request."""

    created: list[ItemOutcome] = field(default_factory=list)
    updated: list[ItemOutcome] = field(default_factory=list)
    restored: list[ItemOutcome] = field(default_factory=list)
    unchanged: list[ItemOutcome] = field(default_factory=list)
    paused: list[ItemOutcome] = field(default_factory=list)
    deleted: list[ItemOutcome] = field(default_factory=list)
    unknown: list[ItemOutcome] = field(default_factory=list)
    discrepancy: list[ItemOutcome] = field(default_factory=list)
    failed: list[ItemOutcome] = field(default_factory=list)
    kept: list[ItemOutcome] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def add(self, outcome: str, item: ItemOutcome) -> None:
        """`outcome`: one of OUTCOMES."""
        items: list[ItemOutcome] = getattr(self, outcome)
        items.append(item)

    @property
    def counts(self) -> OutcomeCounts:
        return OutcomeCounts(*(len(getattr(self, outcome)) for outcome in OUTCOMES))


OUTCOMES = OutcomeCounts.__struct_fields__
"""Names of the outcomes, in the order in which replies list them."""


class Batch(Struct, frozen=True):
    """Input of a run on the custom channel: a batch."""

    CHANNEL: ClassVar[Channel] = Channel.CUSTOM
    operation: Operation
    concurrency_request_id: UUID


class OffersFile(Struct, frozen=True):
    """Input of a run on the merchant channel: a full dump of the partner's offers, as of the date in the file name."""

    CHANNEL: ClassVar[Channel] = Channel.MERCHANT
    name: str
    dated: date


class Undo(Struct, frozen=True):
    """Input of a run that reverses the changes of an earlier run of the same partner and channel. It has no body."""

    run_id: UUID
    """The run to undo."""
    channel: Channel


RunInput = Batch | OffersFile | Undo


class RunRequest(Struct, frozen=True):
    """A batch or an offers file with a valid envelope, whose items or records may still fail; or an undo."""

    run_id: UUID
    partner: str
    input: RunInput
    body_digest: str
    """SHA-256 of the body's bytes: the same body is the same request."""
    body_bytes: int
    body_chunks: int | None = None
    """Number of chunks in which the body is stored, if known."""
    equivalent_run_id: UUID | None = None
    """An earlier run with an equivalent request, which differs only in its bytes."""


class Lease(Struct, frozen=True):
    """The right to execute a run until a time. `fence` increases with each new lease, so that old ones are detected."""

    owner: str
    until: datetime
    fence: int


class Progress(Struct, frozen=True):
    """Number of a run's offers that have been processed. Their changes are stored afterwards, in one transaction."""

    done: int
    total: int


class RunProblem(Struct, frozen=True):
    """Reason why a run failed, with the members of an RFC 9457 problem."""

    type: str
    title: str
    status: int
    detail: str


class Run(Struct, frozen=True):
    """One accepted batch, offers file or undo, from its request to its outcome."""

    run_id: UUID
    partner: str
    input: RunInput
    source: Source
    actor: str
    body_digest: str
    body_bytes: int
    accepted_at: datetime
    accepted_position: int
    """Position of the ledger when the run was accepted."""
    lease: Lease
    state: RunState = RunState.ACCEPTED
    attempts: int = 0
    """Number of times that the run has started."""
    request_digest: str | None = None
    """SHA-256 of the request's meaning, independent of its spelling; known when the run is completed."""
    finished_at: datetime | None = None
    counts: OutcomeCounts | None = None
    messages: list[str] = field(default_factory=list)
    position: int | None = None
    """Position of the ledger when the run was stored. As of this position, the ledger shows the run's changes."""
    problem: RunProblem | None = None
    traceparent: str | None = None
    """W3C trace context of the request that sent it."""
    reason: str | None = None
    """Why an operator started it."""
    undone_by: UUID | None = None
    """The run that has undone it, unless that run has been undone in turn."""

    @property
    def channel(self) -> Channel:
        return self.input.channel if isinstance(self.input, Undo) else self.input.CHANNEL

    @property
    def scope(self) -> Scope:
        return Scope(self.partner, self.channel)

    @property
    def is_finished(self) -> bool:
        return self.state not in UNFINISHED

    @property
    def all_failed(self) -> bool:
        """True if all items of a batch failed. A batch is never empty."""
        return self.counts is not None and self.counts.nothing_valid

    @property
    def is_counted(self) -> bool:
        """True if the run counts for the run limit or as the newest file: it is in effect, and has a valid item."""
        if self.state is RunState.FAILED or self.undone_by is not None or isinstance(self.input, Undo):
            return False
        return not (self.counts and self.counts.nothing_valid)


# Decisions


def accept(request: RunRequest, origin: Origin, lease: Lease, now: datetime, position: int) -> Run:
    """Returns a new run. `position`: the current position of the ledger."""
    return Run(
        run_id=request.run_id,
        partner=request.partner,
        input=request.input,
        source=origin.source,
        actor=origin.actor,
        body_digest=request.body_digest,
        body_bytes=request.body_bytes,
        accepted_at=now,
        accepted_position=position,
        lease=lease,
        traceparent=origin.traceparent,
        reason=origin.reason,
    )


def is_lease_over(until: datetime, now: datetime, duration: timedelta) -> bool:
    """Returns True if a lease has expired, or if a clock that was ahead has set its end.

    A clock that is right sets no end later than `now + duration`. An owner that still works has renewed its lease since."""
    return not now < until <= now + duration


def lease_end(ends: Iterable[datetime], now: datetime, duration: timedelta) -> datetime:
    """Returns the latest end that was set for a lease and is not over, or `now` if all are over."""
    return max((end for end in ends if not is_lease_over(end, now, duration)), default=now)


def claim(run: Run, owner: str, now: datetime, duration: timedelta) -> Run:
    """Returns the run in state RUNNING, with a new lease for `owner`.

    Raises LeaseLost if the run has finished, or if another owner has an unexpired lease."""
    is_over = is_lease_over(run.lease.until, now, duration)
    if run.is_finished or (run.lease.owner != owner and not is_over):
        raise LeaseLost(run.run_id)
    taken_over = run.lease.owner != owner or is_over
    return replace(
        run,
        state=RunState.RUNNING,
        lease=Lease(owner, now + duration, run.lease.fence + taken_over),
        attempts=run.attempts + 1,
    )


def refund_attempt(run: Run) -> Run:
    """Returns the run without its last attempt, if that failed for a reason outside the run."""
    return replace(run, attempts=max(run.attempts - 1, 0))


def release(run: Run, now: datetime) -> Run:
    """Returns the run with an expired lease and without its last attempt, for other processes to take over at once."""
    return replace(refund_attempt(run), lease=Lease(run.lease.owner, now, run.lease.fence + 1))


def complete(run: Run, outcome: Outcome, request_digest: str, position: int, now: datetime) -> Run:
    return replace(
        run,
        state=RunState.COMPLETED,
        request_digest=request_digest,
        finished_at=now,
        counts=outcome.counts,
        messages=outcome.messages,
        position=position,
    )


def fail(run: Run, problem: RunProblem, now: datetime) -> Run:
    """Returns the run as failed by a fault of the service. The partner can repeat the request with the same id."""
    return replace(run, state=RunState.FAILED, finished_at=now, problem=problem)
