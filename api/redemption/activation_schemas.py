"""Requests and replies of the activations and flights API."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.http.problem_schemas import FieldError
from api.validation.field_types import Identifier, ReasonText, Uid
from api.validation.times import Time


class PublisherRequest(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class ActivationRequest(PublisherRequest):
    """An activation. `activatedAt` is now by default."""

    customerId: Identifier
    offerUid: Uid
    activatedAt: Time | None = None


class ActivationReply(BaseModel):
    """The redemption window ends immediately before `redeemableUntil`. `late` is true if the offer was no longer
    active when the activation was reported."""

    activationId: UUID
    offerUid: UUID
    customerId: str
    offerVersion: int
    activatedAt: datetime
    redemptionWindowDays: int
    redeemableUntil: datetime
    late: bool


class ActivationView(ActivationReply):
    """`content` is the content of the activated version. `state` is the state of the window at `at`; null before it
    starts."""

    at: datetime
    state: Literal["open", "winding_down", "expired"] | None
    content: dict[str, Any]


class FlightRequest(PublisherRequest):
    """A flight to schedule."""

    startsAt: Time
    redemptionWindowDays: Annotated[int, Field(ge=30, le=45)]
    reason: Annotated[ReasonText | None, Field(description="Why the flight is scheduled")] = None


class Flight(BaseModel):
    """A period in which activations get windows of the same length."""

    startsAt: datetime
    redemptionWindowDays: int


class FlightList(BaseModel):
    """Flights in the order of their starts."""

    items: list[Flight]
    nextCursor: str | None


class LineProblem(BaseModel):
    """The problem that a single request with this line would return."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError]


class LineOutcome(BaseModel):
    """`line` counts from 1. `status` is the status that a single request with this line would return. A line has either
    `activation` or `problem`."""

    line: int
    outcome: Literal["created", "existing", "refused"]
    status: int
    activation: ActivationReply | None = None
    problem: LineProblem | None = None


class BatchCounts(BaseModel):
    """The number of lines with each outcome."""

    created: int
    existing: int
    refused: int


class ActivationBatchReply(BaseModel):
    """`messages` is about the whole body. `items` is in the order of the lines."""

    messages: list[str]
    counts: BatchCounts
    items: list[LineOutcome]
