"""The schemas of the replies to batches, as the batch document defines them."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api.http.problem_schemas import ProblemReply


class ItemReply(BaseModel):
    """The outcome of one offer. `externalId` is empty if it could not be read; the messages then have the index."""

    externalId: str
    messages: list[str]


class BatchReplyCounts(BaseModel):
    """The number of offers with each outcome."""

    created: int
    updated: int
    unchanged: int
    paused: int
    failed: int


class BatchData(BaseModel):
    """The run of the batch, and the outcome of each offer."""

    concurrencyRequestId: UUID
    runId: UUID
    createdOffers: list[ItemReply]
    updatedOffers: list[ItemReply]
    notChangedOffers: list[ItemReply]
    pausedOffers: list[ItemReply]
    failedOffers: list[ItemReply]
    counts: BatchReplyCounts
    undoneBy: Annotated[
        UUID | None, Field(description="The run that has undone the batch. Absent while the batch is in effect.")
    ] = None


class AcceptedData(BaseModel):
    """The lists are empty until the run has finished."""

    concurrencyRequestId: UUID
    runId: UUID
    createdOffers: list[ItemReply]
    updatedOffers: list[ItemReply]
    notChangedOffers: list[ItemReply]
    pausedOffers: list[ItemReply]
    failedOffers: list[ItemReply]


class AcceptedReply(BaseModel):
    """The run is in progress. After its end, the repeated request gets the final reply."""

    responseId: UUID
    isSuccessful: Literal[True]
    responseTitle: str
    responseType: Literal["Accepted"]
    messages: list[str]
    data: AcceptedData


class BatchReply(BaseModel):
    """`PartialSuccess` if some of the offers failed; the others were applied."""

    responseId: UUID
    isSuccessful: bool
    responseTitle: str
    responseType: Literal["Success", "PartialSuccess"]
    messages: list[str]
    data: BatchData


class BatchProblem(ProblemReply):
    """A refused or failed batch, with the members of the batch document. `data` has the failed offers if all failed."""

    responseId: UUID
    isSuccessful: Literal[False]
    responseTitle: str
    responseType: str
    messages: list[str]
    data: BatchData | None
