"""What is a partner told about a single request, and about its quota?"""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel


class SingleReply(BaseModel):
    """Carried out and durable; the trace tells what it did."""

    message: str
    trace_id: str


class TraceReply(BaseModel):
    """`version` is that of the offer after the request, 0 if there is no such offer."""

    trace_id: str
    outcome: Literal["created", "updated", "unchanged", "deleted", "restored", "unknown"]
    version: int
    warnings: list[str]
    offerUid: UUID


class QuotaReply(BaseModel):
    """`reset`: seconds until the quota is fresh. A limit of 0 is none, and nothing then remains to be told."""

    limit: int
    used: int
    remaining: int | None
    reset: int
