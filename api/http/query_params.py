"""What may stand behind the question mark?"""

import re
from collections import Counter
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes
from uuid import UUID

from fastapi import Path, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from api.http.problems import validation_error
from api.validation.field_errors import InvalidField, shortened
from api.validation.field_types import UUID_PATTERN
from api.validation.times import Time
from domain.values import MAX_ID_LENGTH

Word = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]


MAX_DIGITS = 15


def _digits(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch("[0-9]+", value):
        raise PydanticCustomError("digits", "must be an integer")
    if isinstance(value, str) and len(value) > MAX_DIGITS:
        raise PydanticCustomError("digits", f"must have at most {MAX_DIGITS} digits")
    return value


Limit = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_digits)]


class PageParams(BaseModel):
    """A parameter that is not known is refused: a filter with a typing error must not answer with everything."""

    model_config = ConfigDict(extra="forbid")

    cursor: Annotated[str | None, Field(max_length=256, description="nextCursor of the page before")] = None
    limit: Limit = 100


Position = Annotated[int, Field(ge=0), BeforeValidator(_digits)]
OfferUid = Annotated[str, Path(alias="offerUid")]
"""The path parameter; parsed by `uid`, so that an unknown offer and no UUID are the same 404."""


class AsOfParams(BaseModel):
    """A past state is asked for by a recorded time or by a position; the present one by neither."""

    model_config = ConfigDict(extra="forbid")

    asOf: Annotated[Time | None, Field(description="By what had been recorded then")] = None
    asOfPosition: Annotated[Position | None, Field(description="By what stands in the ledger up to there")] = None


def uid(text: str) -> UUID | None:
    """A UUID in its usual spelling, or None: one thing has one address."""
    return UUID(text) if re.fullmatch(UUID_PATTERN, text) else None


def no_repeats(request: Request) -> None:
    """A parameter that is given twice says nothing clear, nor one that is no text. Raises Problem 422."""
    _require_text(request)
    counts = Counter(name for name, _ in request.query_params.multi_items())
    _refuse([name for name, count in counts.items() if count > 1], "given more than once")


def no_parameters(request: Request) -> None:
    """For calls that take none. Raises Problem 422."""
    _require_text(request)
    _refuse(list(request.query_params), "unknown")


def _require_text(request: Request) -> None:
    """What is no UTF-8 is read as U+FFFD otherwise, and looked for as that."""
    try:
        unquote_to_bytes(request.scope["query_string"]).decode()
    except UnicodeDecodeError:
        raise validation_error([InvalidField(("query",), "must be UTF-8")]) from None


def _refuse(names: list[str], message: str) -> None:
    if names:
        raise validation_error([InvalidField(("query", shortened(name)), message) for name in names])
