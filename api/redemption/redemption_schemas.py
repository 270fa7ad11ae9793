"""Requests and replies of the redemptions API."""

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
"""A decimal string, so that no parser rounds it."""


class RedemptionRequest(PublisherRequest):
    """A purchase. The optional members are copied to the partner's redemption feed."""

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
    """A redeemed purchase. `activationId` and `offerVersion` identify the terms of the reward."""

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
    """A reversal, in full or in part."""

    reversalId: Identifier
    amount: Amount


class ReversalReply(BaseModel):
    """`remaining` is the amount of the redemption that is left after this reversal."""

    reversalId: str
    redemptionId: UUID
    amount: str
    currency: str
    remaining: str


class Reversal(BaseModel):
    """One reversal of a redemption."""

    reversalId: str
    amount: str


class RedemptionView(RedemptionReply):
    """A redemption with its reversals and the remaining amount."""

    reversals: list[Reversal]
    remaining: str
