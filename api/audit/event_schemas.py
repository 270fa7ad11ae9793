"""Query parameters and replies of the events API."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.http.query_params import Limit, PageParams, Position, Word
from api.validation.field_types import Uid
from api.validation.times import Time

EventType = Literal[
    "OfferCreated",
    "OfferUpdated",
    "OfferPaused",
    "OfferResumed",
    "OfferDeleted",
    "OfferRestored",
    "PartnerRegistered",
    "PartnerSettingsChanged",
    "TokenCreated",
    "TokenRevoked",
    "FlightScheduled",
    "OfferHeld",
    "OfferReleased",
    "OfferActivated",
    "OfferRedeemed",
    "RedemptionRefused",
    "RedemptionReversed",
]
SourceName = Literal["custom", "merchant", "file", "publisher", "operator", "console", "cli"]


class EventQuery(BaseModel):
    """Filters of events. An event must match all of them."""

    model_config = ConfigDict(extra="forbid")

    partner: Word | None = None
    offerUid: Annotated[
        Uid | None, Field(description="Events of the offer, its flights, holds, activations and redemptions")
    ] = None
    type: EventType | None = None
    runId: Uid | None = None
    traceId: Word | None = None
    actor: Annotated[Word | None, Field(description="The name of a token, or of a user of the command line")] = None
    source: Annotated[SourceName | None, Field(description="The interface through which the request arrived")] = None
    afterPosition: Annotated[Position | None, Field(description="Only events after this position")] = None


class EventListQuery(EventQuery, PageParams):
    from_: Annotated[Time | None, Field(alias="from", description="Only events recorded at this time or later")] = None
    to: Annotated[Time | None, Field(description="Only events recorded before this time")] = None
    order: Annotated[
        Literal["asc", "desc"], Field(description="asc: the oldest event first; desc: the newest event first")
    ] = "asc"
    limit: Annotated[Limit | None, Field(description="Default: 100 for a page, no limit for a stream")] = None  # type: ignore[assignment]


class Change(BaseModel):
    """`field` is a JSON pointer into the changed object. `before` and `after` are null where the field is absent."""

    field: str
    before: Any
    after: Any


class EventItem(BaseModel):
    """`cause` says why the service changed an offer that no request named; otherwise null. `reason` is what the operator
    who acted has stated. `offerUid` and `partner` are null for events that concern no offer or no partner."""

    position: int
    version: int
    type: EventType
    offerUid: UUID | None
    partner: str | None
    recordedAt: datetime
    actor: str
    source: SourceName
    runId: UUID | None
    traceId: str | None
    cause: Literal["absent-from-synchronize", "absent-from-file", "undo"] | None
    reason: str | None
    changes: list[Change]


class EventList(BaseModel):
    """One page of events, in the order of their positions, or in the reverse order."""

    items: list[EventItem]
    nextCursor: str | None
