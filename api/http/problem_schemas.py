"""What does a refusal look like?"""

from typing import Any

from pydantic import BaseModel, ConfigDict


class FieldError(BaseModel):
    pointer: str
    message: str


class ProblemReply(BaseModel):
    """application/problem+json, RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError]
    traceId: str


PROBLEM = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemReply"}}}}

BODY_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is not JSON, or not what its content coding says", **PROBLEM},
    413: {"description": "The body is too large", **PROBLEM},
    415: {"description": "The body is of another media type or content coding", **PROBLEM},
}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No or bad token", **PROBLEM},
    403: {"description": "The role may not do this", **PROBLEM},
    404: {"description": "There is no such thing, or it is another partner's", **PROBLEM},
    422: {"description": "A field breaks a rule", **PROBLEM},
    429: {"description": "Too many requests", **PROBLEM},
    503: {"description": "The storage can't be used at the moment", **PROBLEM},
}
