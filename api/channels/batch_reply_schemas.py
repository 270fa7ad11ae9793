"""What is a partner told about a batch? (The batch document's reply.)"""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel


class ItemReply(BaseModel):
    """What became of one offer; no externalId where none could be read."""

    externalId: str | None
    messages: list[str]


class BatchReplyCounts(BaseModel):
    created: int
    updated: int
    unchanged: int
    paused: int
    failed: int


class BatchData(BaseModel):
    concurrencyRequestId: UUID
    runId: UUID
    createdOffers: list[ItemReply]
    updatedOffers: list[ItemReply]
    notChangedOffers: list[ItemReply]
    pausedOffers: list[ItemReply]
    failedOffers: list[ItemReply]
    counts: BatchReplyCounts


class AcceptedData(BaseModel):
    concurrencyRequestId: UUID
    runId: UUID


class AcceptedReply(BaseModel):
    """The run goes on; sent again when it has ended, the request is answered as if it had been waited for."""

    responseId: UUID
    isSuccessful: Literal[True]
    responseTitle: str
    responseType: Literal["Accepted"]
    messages: list[str]
    data: AcceptedData


class BatchReply(BaseModel):
    """`PartialSuccess` when some offers failed; the others have been applied."""

    responseId: UUID
    isSuccessful: bool
    responseTitle: str
    responseType: Literal["Success", "PartialSuccess"]
    messages: list[str]
    data: BatchData
