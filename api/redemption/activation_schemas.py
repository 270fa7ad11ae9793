"""What is said of activations and flights, and what is answered?"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.http.problem_schemas import FieldError
from api.validation.field_types import Identifier, Uid
from api.validation.times import Time


class PublisherRequest(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class ActivationRequest(PublisherRequest):
    """Without a time, the offer is activated now."""

    customerId: Identifier
    offerUid: Uid
    activatedAt: Time | None = None


class ActivationReply(BaseModel):
    """`redeemableUntil` is the first instant at which the offer is redeemable no more; `late`: the offer was not active any
    more when the activation was reported."""

    activationId: UUID
    offerUid: UUID
    customerId: str
    offerVersion: int
    activatedAt: datetime
    redemptionWindowDays: int
    redeemableUntil: datetime
    late: bool


class ActivationView(ActivationReply):
    """`content` is that of the offer as activated; `state` that of the window at `at`, null before it begins."""

    at: datetime
    state: Literal["open", "winding_down", "expired"] | None
    content: dict[str, Any]


class FlightRequest(PublisherRequest):
    startsAt: Time
    redemptionWindowDays: Annotated[int, Field(ge=30, le=45)]


class Flight(BaseModel):
    startsAt: datetime
    redemptionWindowDays: int


class FlightList(BaseModel):
    """In the order of their starts."""

    items: list[Flight]
    nextCursor: str | None


class LineProblem(BaseModel):
    """What the line would have been answered by itself."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError]


class LineOutcome(BaseModel):
    """`line` counts from 1; `status` is what the line would have been answered by itself. It has an activation or a problem."""

    line: int
    outcome: Literal["created", "existing", "refused"]
    status: int
    activation: ActivationReply | None = None
    problem: LineProblem | None = None


class BatchCounts(BaseModel):
    created: int
    existing: int
    refused: int


class ActivationBatchReply(BaseModel):
    """In the order of the lines."""

    counts: BatchCounts
    items: list[LineOutcome]
