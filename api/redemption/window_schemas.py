"""Query parameters and replies of the redemption windows and verdicts API."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.http.query_params import PageParams, Word
from api.validation.field_types import Uid
from api.validation.times import Time
from domain.values import MAX_ID_LENGTH

WindowStateName = Literal["open", "winding_down", "expired"]
MAX_PSEUDONYM_LENGTH = (4 * MAX_ID_LENGTH + 16) * 4 // 3 + 1
"""The length of the longest id in UTF-8, with its 16-byte seal, in base64."""
Reason = Literal["not-activated", "redemption-window-closed"]


class WindowQuery(PageParams):
    offerUid: Uid | None = None
    customerId: Annotated[
        str | None,
        Field(
            min_length=1, max_length=MAX_PSEUDONYM_LENGTH, description="The customer's id; partners use the pseudonym"
        ),
    ] = None
    partner: Word | None = None
    state: WindowStateName | None = None
    at: Annotated[
        Time | None, Field(description="The time at which windows are evaluated, past or future; now by default")
    ] = None


class Redeemed(BaseModel):
    """The redemptions of a window in one currency. `amount` is a decimal string, net of reversals."""

    currency: str
    amount: str
    redemptions: int


class Window(BaseModel):
    """A redemption window. Partners see a pseudonym instead of the customer's id, which differs for each partner."""

    activationId: UUID
    offerUid: UUID
    customerId: str
    offerVersion: int
    activatedAt: datetime
    redeemableUntil: datetime
    state: WindowStateName
    redeemed: list[Redeemed]


class WindowList(BaseModel):
    """The windows as of `at`, by the facts recorded up to `position`. Both are the same on all pages of a list."""

    items: list[Window]
    nextCursor: str | None
    at: datetime
    position: int
    asOf: datetime | None


class VerdictQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    customerId: Word
    offerUid: Uid
    transactedAt: Annotated[Time, Field(description="The time of the purchase")]
    asOf: Annotated[Time | None, Field(description="The recorded time up to which facts are known; now by default")] = (
        None
    )


class VerdictAnswer(BaseModel):
    """`valid` is true if the purchase is rewarded. Otherwise `reason` says why not, and the other members are null."""

    valid: bool
    reason: Reason | None
    activationId: UUID | None
    offerVersion: int | None


class KnownWindow(BaseModel):
    """A redemption window of the customer and the offer."""

    activationId: UUID
    activatedAt: datetime
    redeemableUntil: datetime


class VerdictReply(VerdictAnswer):
    """The verdict on a purchase as known at `asOf`. `content` is the content of the activated version. `windows` are
    all windows of the customer and the offer that were known then."""

    customerId: str
    offerUid: UUID
    transactedAt: datetime
    activatedAt: datetime | None
    redemptionWindowDays: int | None
    redeemableUntil: datetime | None
    content: dict[str, Any] | None
    windows: list[KnownWindow]
    position: int
    asOf: datetime | None


class ChangedVerdictQuery(PageParams):
    partner: Word | None = None
    from_: Annotated[Time, Field(alias="from", description="The earlier recorded time")]
    to: Annotated[Time, Field(description="The later recorded time")]


class LateFact(BaseModel):
    """The activation that changed the verdict. It was recorded after the purchase."""

    type: Literal["OfferActivated"]
    activationId: UUID
    activatedAt: datetime
    recordedAt: datetime
    position: int
    actor: str


class ChangedVerdict(BaseModel):
    """`type` is the event of the purchase up to `to`. `before` is the verdict as known at `from`, or when the
    purchase was made or reported if that was later. `after` is the verdict as known at `to`."""

    redemptionId: UUID
    transactionId: str
    type: Literal["OfferRedeemed", "RedemptionRefused"]
    customerId: str
    offerUid: UUID
    partner: str
    amount: str
    currency: str
    transactedAt: datetime
    recordedAt: datetime
    before: VerdictAnswer
    after: VerdictAnswer
    lateFact: LateFact


class ChangedVerdictList(BaseModel):
    """`items` is in the order of the late facts. The list uses the facts recorded up to `position`, on all pages."""

    items: list[ChangedVerdict]
    nextCursor: str | None
    position: int
    asOf: datetime | None
