"""What can be asked about redemption windows and verdicts, and what is answered?"""

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
"""Of the longest id in UTF-8, with its seal, in base64."""
Reason = Literal["not-activated", "redemption-window-closed"]


class WindowQuery(PageParams):
    offerUid: Uid | None = None
    customerId: Annotated[
        str | None,
        Field(min_length=1, max_length=MAX_PSEUDONYM_LENGTH, description="For a partner: the customer's pseudonym"),
    ] = None
    partner: Word | None = None
    state: WindowStateName | None = None
    at: Annotated[Time | None, Field(description="The moment that is looked at, past or future; now by default")] = None


class Redeemed(BaseModel):
    """`amount`: a decimal string, after reversals."""

    currency: str
    amount: str
    redemptions: int


class Window(BaseModel):
    """Partners see a pseudonym instead of the customer's id, each partner another one."""

    activationId: UUID
    offerUid: UUID
    customerId: str
    offerVersion: int
    activatedAt: datetime
    redeemableUntil: datetime
    state: WindowStateName
    redeemed: list[Redeemed]


class WindowList(BaseModel):
    """The windows at `at`, by what had been recorded at `position`: later pages of the list too."""

    items: list[Window]
    nextCursor: str | None
    at: datetime
    position: int
    asOf: datetime | None


class VerdictQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    customerId: Word
    offerUid: Uid
    transactedAt: Annotated[Time, Field(description="When the purchase was made")]
    asOf: Annotated[Time | None, Field(description="By what had been recorded then; now by default")] = None


class VerdictAnswer(BaseModel):
    """What stands below `reason` is null if no reward is owed."""

    valid: bool
    reason: Reason | None
    activationId: UUID | None
    offerVersion: int | None


class KnownWindow(BaseModel):
    activationId: UUID
    activatedAt: datetime
    redeemableUntil: datetime


class VerdictReply(VerdictAnswer):
    """On a purchase, as known at `asOf`; `content` is that of the offer as activated, `windows` all that were known then."""

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
    from_: Annotated[Time, Field(alias="from", description="A recorded time")]
    to: Annotated[Time, Field(description="A later one")]


class LateFact(BaseModel):
    """The activation that was recorded when the purchase had been made."""

    type: Literal["OfferActivated"]
    activationId: UUID
    activatedAt: datetime
    recordedAt: datetime
    position: int
    actor: str


class ChangedVerdict(BaseModel):
    """`type`: what was recorded of the purchase until `to`; `before` and `after`: the verdict as known at `from`, or when
    the purchase was made or told of if that was later, and as known at `to`."""

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
    """In the order of the late facts; `position`: until where the ledger was looked at, by later pages too."""

    items: list[ChangedVerdict]
    nextCursor: str | None
    position: int
    asOf: datetime | None
