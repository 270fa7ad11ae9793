"""What became of a batch or an offers file, and whose turn is it to carry it out?

A run is accepted before any work: its request is stored, and whoever accepted it owns it for as long as its lease lasts.
A lease that has run out may be taken over; each taking over raises the fence, and what the former owner still does counts
for nothing.
"""

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import ClassVar, assert_never
from uuid import UUID

from msgspec import Struct, field
from msgspec.structs import replace

from domain.refusals import LeaseLost
from domain.values import Channel, Operation, Origin, Scope, Source

MAX_ATTEMPTS = 5
"""How often a run is begun, by one owner after the other, before it is given up."""


class RunState(StrEnum):
    """Where a run stands in its life."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


UNFINISHED = (RunState.ACCEPTED, RunState.RUNNING)


class ItemOutcome(Struct, frozen=True, rename="camel", gc=False, omit_defaults=True):
    """What became of one offer of the request; no ids where none could be read."""

    external_id: str | None
    messages: tuple[str, ...]
    merchant_id: str | None = None
    """None on the custom channel, always."""


class OutcomeCounts(Struct, frozen=True):
    """How many offers each outcome has. A batch has no `restored`, `deleted`, `unknown` or `discrepancy`, an offers file no
    `paused`."""

    created: int = 0
    updated: int = 0
    restored: int = 0
    unchanged: int = 0
    paused: int = 0
    deleted: int = 0
    unknown: int = 0
    """To be deleted, and never seen."""
    discrepancy: int = 0
    """Active, and missing from the offers file."""
    failed: int = 0

    @property
    def nothing_valid(self) -> bool:
        """Whether nothing that the request has could be carried out."""
        return not (self.created or self.updated or self.restored or self.unchanged or self.deleted or self.unknown)


class Outcome(Struct, frozen=True):
    """The offers of a request by what became of them, as in Counts, each list in the order of the request."""

    created: list[ItemOutcome] = field(default_factory=list)
    updated: list[ItemOutcome] = field(default_factory=list)
    restored: list[ItemOutcome] = field(default_factory=list)
    unchanged: list[ItemOutcome] = field(default_factory=list)
    paused: list[ItemOutcome] = field(default_factory=list)
    deleted: list[ItemOutcome] = field(default_factory=list)
    unknown: list[ItemOutcome] = field(default_factory=list)
    discrepancy: list[ItemOutcome] = field(default_factory=list)
    failed: list[ItemOutcome] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def add(self, outcome: str, item: ItemOutcome) -> None:
        """`outcome`: one of OUTCOMES."""
        items: list[ItemOutcome] = getattr(self, outcome)
        items.append(item)

    @property
    def counts(self) -> OutcomeCounts:
        return OutcomeCounts(*(len(getattr(self, outcome)) for outcome in OUTCOMES))


OUTCOMES = OutcomeCounts.__struct_fields__
"""What can become of an offer of a request, in the order in which it is told."""


class Batch(Struct, frozen=True):
    """A run's request by the batch document."""

    CHANNEL: ClassVar[Channel] = Channel.CUSTOM
    operation: Operation
    concurrency_request_id: UUID


class OffersFile(Struct, frozen=True):
    """A run's request by an offers file: a full dump of the partner's offers, as of the date in its name."""

    CHANNEL: ClassVar[Channel] = Channel.MERCHANT
    name: str
    dated: date


RunInput = Batch | OffersFile


def request_key(asked: RunInput, body_digest: str) -> str:
    """What tells a request from every other one of its partner on the channel. A file of the same name with other content
    is another one."""
    match asked:
        case Batch(concurrency_request_id=request_id):
            return str(request_id)
        case OffersFile(name=name):
            return f"{name} {body_digest}"
        case _:
            assert_never(asked)


class RunRequest(Struct, frozen=True):
    """A batch or an offers file whose envelope is in order; what stands in it may still fail."""

    run_id: UUID
    partner: str
    input: RunInput
    body_digest: str
    """SHA-256 of the body, letter by letter: the same body is the same request."""
    body_bytes: int
    body_chunks: int | None = None
    """In how many chunks it is stored, where that is known."""
    is_same_as: UUID | None = None
    """An earlier run that is known to have asked for the same in other letters."""


class Lease(Struct, frozen=True):
    """Who may carry a run out, and until when; `fence` tells this owner's turn from every other one."""

    owner: str
    until: datetime
    fence: int


class Progress(Struct, frozen=True):
    """How far a run is: so many of its offers have been judged. What they do is stored after that, all at once."""

    done: int
    total: int


class RunProblem(Struct, frozen=True):
    """Why a run failed, as RFC 9457 names it."""

    type: str
    title: str
    status: int
    detail: str


class Run(Struct, frozen=True):
    """One accepted batch or offers file, from its request to its outcome."""

    run_id: UUID
    partner: str
    input: RunInput
    source: Source
    actor: str
    body_digest: str
    body_bytes: int
    accepted_at: datetime
    accepted_position: int
    """That of the ledger when the run was accepted."""
    lease: Lease
    state: RunState = RunState.ACCEPTED
    attempts: int = 0
    """How often it has been begun."""
    request_digest: str | None = None
    """SHA-256 of what was asked, however it was spelt; known when the run has been carried out."""
    finished_at: datetime | None = None
    counts: OutcomeCounts | None = None
    messages: list[str] = field(default_factory=list)
    position: int | None = None
    """That of the ledger when the run was stored: as of it, the ledger shows what the run did."""
    problem: RunProblem | None = None

    @property
    def channel(self) -> Channel:
        return self.input.CHANNEL

    @property
    def scope(self) -> Scope:
        return Scope(self.partner, self.channel)

    @property
    def is_finished(self) -> bool:
        return self.state not in UNFINISHED

    @property
    def all_failed(self) -> bool:
        """Of a batch, which is never empty."""
        return self.counts is not None and self.counts.nothing_valid

    @property
    def is_counted(self) -> bool:
        """Whether it uses a slot, or is the latest file: a run that could apply nothing, or was given up, is not."""
        return self.state is not RunState.FAILED and not (self.counts and self.counts.nothing_valid)


# Decisions


def accept(request: RunRequest, origin: Origin, lease: Lease, now: datetime, position: int) -> Run:
    """`position`: that of the ledger."""
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
    )


def claim(run: Run, owner: str, now: datetime, length: timedelta) -> Run:
    """Its owner begins or goes on with it; anybody may once the lease has run out. Raises RunNotYours."""
    if run.is_finished or (run.lease.owner != owner and now < run.lease.until):
        raise LeaseLost(run.run_id)
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
