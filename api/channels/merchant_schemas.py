"""The schemas of the replies to single requests, traces and quotas."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from api.http.problem_schemas import ProblemReply


class SingleReply(BaseModel):
    """The request is executed and durable. The trace has its outcome."""

    message: str
    trace_id: str


class TraceReply(BaseModel):
    """`version` is the version of the offer after the request; 0 if the offer does not exist."""

    trace_id: str
    outcome: Literal["created", "updated", "unchanged", "deleted", "restored", "unknown"]
    version: int
    warnings: list[str]
    offerUid: UUID


class QuotaReply(BaseModel):
    """`reset`: seconds until the quota is full, at the start of the next UTC day.

    A `limit` of 0 means no limit; then `remaining` is null."""

    limit: int
    used: int
    remaining: int | None
    reset: int


class MerchantProblem(ProblemReply):
    """A refused or failed request, with the members of the merchant document."""

    message: str
    trace_id: str
