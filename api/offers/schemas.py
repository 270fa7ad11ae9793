"""Query parameters and replies of the offers API."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.audit.event_schemas import EventItem
from api.http.query_params import AsOfParams, PageParams, Word
from api.validation.field_types import ReasonText
from api.validation.times import Time


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


class HoldReply(BaseModel):
    """An operator's hold: the offer takes no new activations. Without `until`, only a release ends it."""

    reason: Annotated[str | None, Field(description="Why the operator holds the offer")]
    since: Annotated[datetime, Field(description="The recorded time of the hold")]
    until: Annotated[datetime | None, Field(description="The end of the hold; null if only a release ends it")]
    actor: Annotated[str, Field(description="The name of the token or user that holds the offer")]


class OfferReply(BaseModel):
    """An offer in the requested state. `hold` is null unless an operator holds the offer."""

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
    hold: HoldReply | None


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


class ReasonRequest(BaseModel):
    """A body with the reason of an operator. The ledger keeps the text for ever, so it must not have personal data."""

    model_config = ConfigDict(strict=True, extra="forbid")

    reason: Annotated[ReasonText, Field(description="Why the operator acts")]


class HoldRequest(ReasonRequest):
    """A hold of an offer. It ends at `until`; without `until`, only a release ends it."""

    until: Annotated[Time | None, Field(description="The end of the hold")] = None


class ReleaseRequest(ReasonRequest):
    """The release of an offer."""


class HeldOffer(BaseModel):
    """The offer with its hold; null if it is not held."""

    offerUid: UUID
    hold: HoldReply | None


class HistoryItem(EventItem):
    """One event of the offer."""

    offerUid: UUID


class HistoryList(BaseModel):
    """One page of events, the oldest first."""

    items: list[HistoryItem]
    nextCursor: str | None
