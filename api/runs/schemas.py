"""The parameters and replies of the calls that read runs."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.http.query_params import PageParams, Word
from api.validation.field_types import UUID_PATTERN, ReasonText

OutcomeName = Literal[
    "created", "updated", "restored", "unchanged", "paused", "deleted", "unknown", "discrepancy", "failed", "kept"
]
RunStateName = Literal["accepted", "running", "completed", "failed"]


class RunQuery(PageParams):
    partner: Word | None = None
    channel: Literal["custom", "merchant"] | None = None
    operation: Literal["Synchronize", "Insert"] | None = None
    state: RunStateName | None = None
    concurrencyRequestId: Annotated[
        str | None, Field(pattern=UUID_PATTERN, description="Finds the run whose reply was lost")
    ] = None


class ItemQuery(PageParams):
    outcome: OutcomeName | None = None


class RunProblemReply(BaseModel):
    """The reason of a failure, with members of RFC 9457."""

    type: str
    title: str
    status: int
    detail: str


class RunCounts(BaseModel):
    """A batch has no `restored`, `deleted`, `unknown` or `discrepancy`, an offers file no `paused`. Only an undo has `kept`."""

    created: int
    updated: int
    restored: int
    unchanged: int
    paused: int
    deleted: int
    unknown: int
    discrepancy: int
    failed: int
    kept: Annotated[
        int, Field(description="The number of offers that an undo left as they are: they have changed since.")
    ]


class ProgressReply(BaseModel):
    """The number of validated offers. The changes are stored after the last one."""

    done: int
    total: int


class RunReply(BaseModel):
    """A batch has `operation` and `concurrencyRequestId`; an offers file has `fileName`; an undo has `undoOf` and `reason`.

    `position` is the position of the ledger after the run was stored: the state as of it includes the run's changes."""

    runId: UUID
    partner: str
    channel: Literal["custom", "merchant"]
    operation: Literal["Synchronize", "Insert"] | None
    source: Literal["custom", "merchant", "file", "operator", "console", "cli"]
    actor: str
    concurrencyRequestId: UUID | None
    fileName: str | None
    undoOf: Annotated[UUID | None, Field(description="The run that this run undoes; null for other runs.")]
    state: RunStateName
    acceptedAt: datetime
    finishedAt: datetime | None
    counts: RunCounts | None
    messages: list[str]
    position: int | None
    problem: RunProblemReply | None
    reason: Annotated[str | None, Field(description="Why an operator started the run; null for other runs.")]
    undoneBy: Annotated[UUID | None, Field(description="The run that has undone this run; null while it is in effect.")]


class RunNow(RunReply):
    """`progress` is updated about once a second while the run is executed. It is null before and after that."""

    progress: ProgressReply | None


class RunList(BaseModel):
    """The newest first."""

    items: list[RunReply]
    nextCursor: str | None


class RunItem(BaseModel):
    """`merchantId` is null on the custom channel. An id that could not be read is empty in a batch, and null in a file."""

    merchantId: str | None
    externalId: str | None
    outcome: OutcomeName
    messages: list[str]


class ItemList(BaseModel):
    """One page of outcomes, grouped by outcome."""

    items: list[RunItem]
    nextCursor: str | None


class UndoRequest(BaseModel):
    """The reason of an undo."""

    model_config = ConfigDict(strict=True, extra="forbid")

    reason: Annotated[
        ReasonText, Field(description="Why the run is undone. The ledger keeps it for ever: no personal data.")
    ]


class UndoQuery(BaseModel):
    """`plan` is a word and not a number or a flag, so that a mistake never becomes an undo."""

    model_config = ConfigDict(extra="forbid")

    plan: Annotated[
        Literal["true", "false"], Field(description="true: return what the undo would do, and change nothing")
    ] = "false"


class UndoPlanReply(BaseModel):
    """The effect that an undo would have now. `items` has up to 100 of the counted items."""

    undoOf: Annotated[UUID, Field(description="The run to undo.")]
    position: Annotated[int, Field(description="The position of the state for which the plan was made.")]
    counts: RunCounts
    items: Annotated[list[RunItem], Field(description="The first items, grouped by outcome.")]
