"""What is said of redemptions and reversals, and what is answered?"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from api.redemption.activation_schemas import PublisherRequest
from api.validation.field_types import AMOUNT_PATTERN, CURRENCY_PATTERN, LAST_FOUR_PATTERN, Identifier, Uid
from api.validation.times import Time


def _is_positive(amount: str) -> str:
    if not Decimal(amount):
        raise PydanticCustomError("amount", "must be more than 0")
    return amount


Amount = Annotated[str, Field(pattern=AMOUNT_PATTERN, examples=["12.50"]), AfterValidator(_is_positive)]
"""A decimal string, so that nobody rounds it."""


class RedemptionRequest(PublisherRequest):
    """A purchase; the last four members go into the partner's redemption feed, where they are known."""

    transactionId: Identifier
    customerId: Identifier
    offerUid: Uid
    amount: Amount
    currency: Annotated[str, Field(pattern=CURRENCY_PATTERN, examples=["USD"], description="ISO 4217")]
    transactedAt: Time
    partnerStoreId: Identifier | None = None
    partnerMerchantName: Identifier | None = None
    cardType: Identifier | None = None
    cardLastFour: Annotated[str, Field(pattern=LAST_FOUR_PATTERN)] | None = None


class RedemptionReply(BaseModel):
    """The activation, the version of the offer and its window are those on which the reward is owed."""

    redemptionId: UUID
    transactionId: str
    activationId: UUID
    customerId: str
    offerUid: UUID
    offerVersion: int
    amount: str
    currency: str
    transactedAt: datetime


class ReversalRequest(PublisherRequest):
    reversalId: Identifier
    amount: Amount


class ReversalReply(BaseModel):
    """`remaining`: what is left of the redemption after this reversal."""

    reversalId: str
    redemptionId: UUID
    amount: str
    currency: str
    remaining: str


class Reversal(BaseModel):
    reversalId: str
    amount: str


class RedemptionView(RedemptionReply):
    """With all that was taken back, and what remains."""

    reversals: list[Reversal]
    remaining: str
