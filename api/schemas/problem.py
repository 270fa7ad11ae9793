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


_PROBLEM = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemReply"}}}}

BODY_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is not JSON", **_PROBLEM},
    413: {"description": "The body is too large", **_PROBLEM},
    415: {"description": "The body is of another media type, or encoded", **_PROBLEM},
}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No or bad token", **_PROBLEM},
    403: {"description": "The role may not do this", **_PROBLEM},
    404: {"description": "There is no such thing, or it is another partner's", **_PROBLEM},
    422: {"description": "A field breaks a rule", **_PROBLEM},
    429: {"description": "Too many requests", **_PROBLEM},
    503: {"description": "The storage can't be used at the moment", **_PROBLEM},
}
