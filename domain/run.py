"""What became of a batch, and whose turn is it to carry it out?

A run is accepted before any work: its request is stored, and whoever accepted it owns it for as long as its lease lasts.
A lease that has run out may be taken over; each taking over raises the fence, and what the former owner still does counts
for nothing.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from msgspec import Struct, field
from msgspec.structs import replace

from domain.refusals import RunNotYours
from domain.values import Channel, Operation, Origin, Source

MAX_ATTEMPTS = 5
"""How often a run is begun, by one owner after the other, before it is given up."""


class RunState(StrEnum):
    """Where a run stands in its life."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


UNFINISHED = (RunState.ACCEPTED, RunState.RUNNING)


class ItemOutcome(Struct, frozen=True, rename="camel", gc=False):
    """What became of one offer of the request; no externalId where none could be read."""

    external_id: str | None
    messages: tuple[str, ...] = ()


class Counts(Struct, frozen=True):
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    paused: int = 0
    failed: int = 0

    @property
    def all_failed(self) -> bool:
        return bool(self.failed) and not (self.created or self.updated or self.unchanged)


class Outcome(Struct, frozen=True):
    """The offers of a request by what became of them, each list in the order of the request."""

    created: list[ItemOutcome] = field(default_factory=list)
    updated: list[ItemOutcome] = field(default_factory=list)
    unchanged: list[ItemOutcome] = field(default_factory=list)
    paused: list[ItemOutcome] = field(default_factory=list)
    failed: list[ItemOutcome] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def counts(self) -> Counts:
        lists = (self.created, self.updated, self.unchanged, self.paused, self.failed)
        return Counts(*map(len, lists))


class RunRequest(Struct, frozen=True):
    """A batch whose envelope is in order; its items may still fail."""

    run_id: UUID
    partner: str
    operation: Operation
    concurrency_request_id: UUID
    body_digest: str
    """SHA-256 of the body, letter by letter: the same body is the same request."""
    body_bytes: int
    body_chunks: int | None = None
    """In how many chunks it is stored, where that is known."""
    same_as: UUID | None = None
    """An earlier run that is known to have asked for the same in other letters."""


class Lease(Struct, frozen=True):
    """Who may carry a run out, and until when; `fence` tells this owner's turn from every other one."""

    owner: str
    until: datetime
    fence: int


class RunProblem(Struct, frozen=True):
    """Why a run failed, as RFC 9457 names it."""

    type: str
    title: str
    status: int
    detail: str


class Run(Struct, frozen=True):
    """One accepted batch, from its request to its outcome."""

    run_id: UUID
    partner: str
    channel: Channel
    operation: Operation
    source: Source
    actor: str
    concurrency_request_id: UUID
    body_digest: str
    body_bytes: int
    accepted_at: datetime
    lease: Lease
    state: RunState = RunState.ACCEPTED
    attempts: int = 0
    """How often it has been begun."""
    request_digest: str | None = None
    """SHA-256 of what was asked, however it was spelt; known when the run has been carried out."""
    finished_at: datetime | None = None
    counts: Counts | None = None
    messages: list[str] = field(default_factory=list)
    position: int | None = None
    """That of the ledger when the run was stored: as of it, the ledger shows what the run did."""
    problem: RunProblem | None = None

    @property
    def is_finished(self) -> bool:
        return self.state not in UNFINISHED

    @property
    def all_failed(self) -> bool:
        return self.counts is not None and self.counts.all_failed

    @property
    def uses_slot(self) -> bool:
        """A run that could apply nothing, or was given up, gives its slot back."""
        return self.state is not RunState.FAILED and not self.all_failed


# Decisions


def accept(request: RunRequest, channel: Channel, origin: Origin, lease: Lease, now: datetime) -> Run:
    return Run(
        run_id=request.run_id,
        partner=request.partner,
        channel=channel,
        operation=request.operation,
        source=origin.source,
        actor=origin.actor,
        concurrency_request_id=request.concurrency_request_id,
        body_digest=request.body_digest,
        body_bytes=request.body_bytes,
        accepted_at=now,
        lease=lease,
    )


def claim(run: Run, owner: str, now: datetime, length: timedelta) -> Run:
    """Its owner begins or goes on with it; anybody may once the lease has run out. Raises RunNotYours."""
    if run.is_finished or (run.lease.owner != owner and now < run.lease.until):
        raise RunNotYours(run.run_id)
    taken_over = run.lease.owner != owner or now >= run.lease.until
    return replace(
        run,
        state=RunState.RUNNING,
        lease=Lease(owner, now + length, run.lease.fence + taken_over),
        attempts=run.attempts + 1,
    )


def forgive(run: Run) -> Run:
    """What kept it from ending was not the run's doing."""
    return replace(run, attempts=max(run.attempts - 1, 0))


def release(run: Run, now: datetime) -> Run:
    """Its owner goes, and lets it go: for others to take over at once, and as if it had not been begun this time."""
    return replace(forgive(run), lease=Lease(run.lease.owner, now, run.lease.fence + 1))


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
    """By a fault of the service: the partner may send the same request again, with the same id."""
    return replace(run, state=RunState.FAILED, finished_at=now, problem=problem)
