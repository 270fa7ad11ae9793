"""What can be asked about runs, and what is answered?"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api.http.query_params import PageParams, Word
from api.validation.field_types import UUID_PATTERN

OutcomeName = Literal[
    "created", "updated", "restored", "unchanged", "paused", "deleted", "unknown", "discrepancy", "failed"
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
    """Why a run failed, as RFC 9457 names it."""

    type: str
    title: str
    status: int
    detail: str


class RunCounts(BaseModel):
    """A batch has no `restored`, `deleted`, `unknown` or `discrepancy`, an offers file no `paused`."""

    created: int
    updated: int
    restored: int
    unchanged: int
    paused: int
    deleted: int
    unknown: int
    discrepancy: int
    failed: int


class ProgressReply(BaseModel):
    """So many of the offers have been judged; what they do is stored after that."""

    done: int
    total: int


class RunReply(BaseModel):
    """A batch has an operation and its request's id, an offers file its name. `position` is that of the ledger when the run was stored: as of it, the ledger shows what the run did."""

    runId: UUID
    partner: str
    channel: Literal["custom", "merchant"]
    operation: Literal["Synchronize", "Insert"] | None
    source: Literal["custom", "merchant", "file", "console", "cli"]
    actor: str
    concurrencyRequestId: UUID | None
    fileName: str | None
    state: RunStateName
    acceptedAt: datetime
    finishedAt: datetime | None
    counts: RunCounts | None
    messages: list[str]
    position: int | None
    problem: RunProblemReply | None


class RunNow(RunReply):
    """`progress`: while the run is carried out, as told about once a second; null before it has been told."""

    progress: ProgressReply | None


class RunList(BaseModel):
    """The newest first."""

    items: list[RunReply]
    nextCursor: str | None


class RunItem(BaseModel):
    """No merchantId on the custom channel; no ids where they could not be read."""

    merchantId: str | None
    externalId: str | None
    outcome: OutcomeName
    messages: list[str]


class ItemList(BaseModel):
    items: list[RunItem]
    nextCursor: str | None
