"""What does a small JSON body say? Read to the letter, and held to a model."""

from http import HTTPStatus
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel

from api.json_element import read_element
from api.long_bodies import broken_rules
from api.media_types import content_coding, require_json
from api.problems import Problem, validation_error
from api.schemas.messages import Complaint
from api.strict_json import NotJson

MAX_BYTES = 64 * 1024

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request, model: type[Model]) -> Model:
    """Raises Problem 400, 413, 415 or 422."""
    body = await receive_json(request, MAX_BYTES)
    try:
        read = read_element(body)
    except NotJson as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "not-json", f"The body is not valid JSON: {error}.") from None
    if not isinstance(read.value, dict):
        raise validation_error([Complaint((), "the body must be an object")])
    if broken := read.flaws or broken_rules(read.value, model):
        raise validation_error(broken)
    return model.model_validate(read.value)


async def receive_json(request: Request, max_bytes: int) -> bytes:
    """The body as it was sent. Raises Problem 413 or 415."""
    require_json(request)
    content_coding(request, ())
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            detail = f"The body is larger than {max_bytes} bytes."
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content-too-large", detail)
    return bytes(body)
