"""What can be asked about the events of the ledger, and what is answered?"""

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
    "OfferActivated",
    "OfferRedeemed",
    "RedemptionRefused",
    "RedemptionReversed",
]
SourceName = Literal["custom", "merchant", "file", "publisher", "console", "cli"]


class EventQuery(BaseModel):
    """Which events are wanted."""

    model_config = ConfigDict(extra="forbid")

    partner: Word | None = None
    offerUid: Annotated[
        Uid | None, Field(description="Events of the offer, and of its flights, activations and redemptions")
    ] = None
    type: EventType | None = None
    runId: Uid | None = None
    traceId: Word | None = None
    actor: Annotated[Word | None, Field(description="The name of a token, or of a user at the shell")] = None
    afterPosition: Annotated[Position | None, Field(description="Only what stands after it in the ledger")] = None


class EventListQuery(EventQuery, PageParams):
    from_: Annotated[Time | None, Field(alias="from", description="Recorded then or later")] = None
    to: Annotated[Time | None, Field(description="Recorded before")] = None
    limit: Annotated[Limit | None, Field(description="100 if not given; a stream has no limit then")] = None  # type: ignore[assignment]


class Change(BaseModel):
    """`field` is a JSON pointer into what was changed; null stands for absent."""

    field: str
    before: Any
    after: Any


class EventItem(BaseModel):
    """`cause`: why, if nobody has named the offer. `offerUid` is null for what is of no offer, `partner` for what is of none."""

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
    cause: Literal["absent-from-synchronize", "absent-from-file"] | None
    changes: list[Change]


class EventList(BaseModel):
    items: list[EventItem]
    nextCursor: str | None
