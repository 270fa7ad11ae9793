"""Query parameters and replies of the diff API."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api.audit.event_schemas import Change, SourceName
from api.http.query_params import PageParams, Position, Word
from api.validation.times import Time

StatusName = Literal["active", "paused", "deleted"]
KindName = Literal["created", "updated", "paused", "resumed", "deleted", "restored"]


class DiffQuery(PageParams):
    """`from` or `fromPosition` selects the earlier state. `to` or `toPosition` selects the later one, which is the
    present state by default."""

    from_: Annotated[Time | None, Field(alias="from", description="The recorded time of the earlier state")] = None
    to: Annotated[Time | None, Field(description="The recorded time of the later state")] = None
    fromPosition: Position | None = None
    toPosition: Position | None = None
    partner: Word | None = None
    kind: Annotated[
        KindName | None, Field(description="Only offers with a change of this kind. The counts are of all kinds")
    ] = None


class DiffState(BaseModel):
    """An offer in one of the two states."""

    status: StatusName
    version: int


class Cause(BaseModel):
    """An event that led to the later state. `cause` says why the service changed an offer that no request named; otherwise
    null. `reason` is what the operator who acted has stated."""

    position: int
    version: int
    type: str
    recordedAt: datetime
    actor: str
    source: SourceName
    runId: UUID | None
    traceId: str | None
    cause: Literal["absent-from-synchronize", "absent-from-file", "undo"] | None
    reason: str | None


class NetChange(BaseModel):
    """An offer that differs between the two states. `before` is null if it did not exist in the earlier state.

    `causes` are all events that led from the earlier state to the later one, oldest first."""

    offerUid: UUID
    partner: str
    channel: Literal["custom", "merchant"]
    merchantId: str | None
    externalId: str
    kinds: list[KindName]
    before: DiffState | None
    after: DiffState
    causes: list[Cause]
    changes: list[Change]


class DiffCounts(BaseModel):
    """An offer can count for several kinds. `transient` counts offers that were created and deleted in between; they
    are not listed."""

    created: int
    updated: int
    paused: int
    resumed: int
    deleted: int
    restored: int
    transient: int


class Bound(BaseModel):
    """One of the two states: its newest position, and the time at which that was recorded."""

    position: int
    asOf: datetime | None


class Diff(BaseModel):
    """`from` and `to` are the compared states. They are the same on all pages of a list."""

    from_: Annotated[Bound, Field(alias="from")]
    to: Bound
    counts: DiffCounts
    items: list[NetChange]
    nextCursor: str | None
