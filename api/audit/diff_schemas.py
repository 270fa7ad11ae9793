"""What can be asked about changes between two states, and what is answered?"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api.audit.event_schemas import Change, SourceName
from api.http.query_params import PageParams, Position, Word
from api.validation.times import Time

StatusName = Literal["active", "paused", "deleted"]


class DiffQuery(PageParams):
    """The earlier state by one of the two, the later one by one of the two, or the present one."""

    from_: Annotated[Time | None, Field(alias="from", description="A recorded time")] = None
    to: Annotated[Time | None, Field(description="A later one")] = None
    fromPosition: Position | None = None
    toPosition: Position | None = None
    partner: Word | None = None


class DiffState(BaseModel):
    status: StatusName
    version: int


class Cause(BaseModel):
    """An event that has led to the later state. `cause`: why, if nobody has named the offer."""

    position: int
    version: int
    type: str
    recordedAt: datetime
    actor: str
    source: SourceName
    runId: UUID | None
    traceId: str | None
    cause: Literal["absent-from-synchronize", "absent-from-file"] | None


class NetChange(BaseModel):
    """An offer of which the two states differ; `before` is null for one that was not there."""

    offerUid: UUID
    partner: str
    channel: Literal["custom", "merchant"]
    merchantId: str | None
    externalId: str
    kinds: list[Literal["created", "updated", "paused", "resumed", "deleted", "restored"]]
    before: DiffState | None
    after: DiffState
    causes: list[Cause]
    changes: list[Change]


class DiffCounts(BaseModel):
    """An offer may be counted in several; `transient`: created and deleted in between, and not listed."""

    created: int
    updated: int
    paused: int
    resumed: int
    deleted: int
    restored: int
    transient: int


class Bound(BaseModel):
    """What pins one of the two states."""

    position: int
    asOf: datetime | None


class Diff(BaseModel):
    """`from` and `to` are the states that were compared, on later pages too."""

    from_: Annotated[Bound, Field(alias="from")]
    to: Bound
    counts: DiffCounts
    items: list[NetChange]
    nextCursor: str | None
