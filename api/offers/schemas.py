"""Query parameters and replies of the offers API."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api.audit.event_schemas import EventItem
from api.http.query_params import AsOfParams, PageParams, Word


class OfferQuery(PageParams, AsOfParams):
    partner: Word | None = None
    channel: Literal["custom", "merchant"] | None = None
    merchantId: Word | None = None
    externalId: Word | None = None
    status: Literal["active", "paused", "deleted"] | None = None
    q: Annotated[Word | None, Field(description="Text to find in externalId, merchantId and the offer's names")] = None
    redeemable: Annotated[
        Literal["true", "false"] | None, Field(description="Whether customers can still get a reward for the offer")
    ] = None


class CountQuery(AsOfParams):
    partner: Word | None = None
    channel: Literal["custom", "merchant"] | None = None


class HistoryQuery(PageParams):
    pass


class OfferReply(BaseModel):
    """An offer in the requested state."""

    offerUid: UUID
    partner: str
    channel: Literal["custom", "merchant"]
    merchantId: str | None
    externalId: str
    status: Literal["active", "paused", "deleted"]
    version: int
    content: dict[str, Any]
    contentDigest: str
    createdAt: datetime
    updatedAt: datetime
    pausedAt: datetime | None
    deletedAt: datetime | None
    honouredUntil: datetime | None


class OfferList(BaseModel):
    """One page of the inventory as of `position`, which was recorded at `asOf`."""

    items: list[OfferReply]
    nextCursor: str | None
    position: int
    asOf: datetime | None


class StatusCounts(BaseModel):
    """The number of offers in each status."""

    active: int
    paused: int
    deleted: int


class OfferCounts(BaseModel):
    """The number of offers in each status as of `position`, which was recorded at `asOf`."""

    counts: StatusCounts
    position: int
    asOf: datetime | None


class HistoryItem(EventItem):
    """One event of the offer."""

    offerUid: UUID


class HistoryList(BaseModel):
    """One page of events, the oldest first."""

    items: list[HistoryItem]
    nextCursor: str | None
