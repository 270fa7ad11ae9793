"""What became of a batch?"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msgspec import Struct, field

from domain.values import Channel, Operation, Source


class RunState(StrEnum):
    """Where a run stands in its life."""

    COMPLETED = "completed"


class ItemOutcome(Struct, frozen=True, rename="camel"):
    """What became of one offer of the request; no externalId where none could be read."""

    external_id: str | None
    messages: list[str]


class Outcome(Struct, frozen=True):
    """The offers of a request by what became of them, each list in the order of the request."""

    created: list[ItemOutcome] = field(default_factory=list)
    updated: list[ItemOutcome] = field(default_factory=list)
    unchanged: list[ItemOutcome] = field(default_factory=list)
    paused: list[ItemOutcome] = field(default_factory=list)
    failed: list[ItemOutcome] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        return {
            "created": len(self.created),
            "updated": len(self.updated),
            "unchanged": len(self.unchanged),
            "paused": len(self.paused),
            "failed": len(self.failed),
        }

    @property
    def all_failed(self) -> bool:
        return bool(self.failed) and not (self.created or self.updated or self.unchanged)


class Run(Struct, frozen=True):
    """One accepted batch, from its request to its outcome."""

    run_id: UUID
    partner: str
    channel: Channel
    operation: Operation
    source: Source
    actor: str
    concurrency_request_id: UUID
    request_digest: str
    """SHA-256 of what was asked: the same request gives the same digest, however it is spelt."""
    accepted_at: datetime
    finished_at: datetime
    state: RunState
    outcome: Outcome

    @property
    def uses_slot(self) -> bool:
        """A run that could apply nothing gives its slot back."""
        return not self.outcome.all_failed
