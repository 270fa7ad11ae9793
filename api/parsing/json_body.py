"""Reads small JSON bodies strictly, and validates them against a model."""

from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel

from api.bounds.settings import setting_variable
from api.http.content_negotiation import content_coding, require_json
from api.http.problems import Problem, validation_error
from api.http.replies import JSON
from api.parsing.body_start import skip_mark
from api.parsing.fast_json import read_element
from api.parsing.item_list import not_json, read_envelope
from api.parsing.strict_json import Element, NotJson
from api.validation.field_errors import InvalidField
from api.validation.known_members import KnownMembers

MAX_BYTES = 64 * 1024

Model = TypeVar("Model", bound=BaseModel)


def openapi_request_body(model: type[BaseModel]) -> dict[str, Any]:
    """Describes the body of a route that reads it without FastAPI, for `openapi_extra`. `api.openapi` adds the schema
    of the model to the document."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


async def read_body(request: Request, model: type[Model]) -> Model:
    """Skips a byte order mark. Raises Problem 400, 413, 415 or 422."""
    require_json(request)
    body, _ = without_mark(await receive(request, MAX_BYTES))
    return read_as(body, model)


def read_as(body: bytes, model: type[Model]) -> Model:
    """Raises Problem 400 or 422."""
    read = read_document(body)
    if read.invalid_values:
        raise validation_error(read.invalid_values)
    return read_envelope(read.value, model)


def read_document(body: bytes, known: KnownMembers | None = None) -> Element:
    """Returns the object in a body without a byte order mark. `known`: as in `read_element`.

    Raises Problem 400 or 422."""
    try:
        read = read_element(body, known)
    except NotJson as error:
        raise not_json(error) from None
    if not isinstance(read.value, dict):
        raise validation_error([InvalidField((), "the body must be a JSON object")])
    return read


def without_mark(body: bytes) -> tuple[bytes, bool]:
    """Returns the body without one leading byte order mark, and whether it had one.

    Raises Problem 400 for compressed data, and for UTF-16 and UTF-32."""
    try:
        return skip_mark(body)
    except NotJson as error:
        raise not_json(error) from None


async def receive(request: Request, max_bytes: int) -> bytes:
    """Returns the body as sent. Raises Problem 413 if it is too large, 415 if it has a content coding."""
    content_coding(request, ())
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise body_too_large(max_bytes)
    return bytes(body)


def body_too_large(max_bytes: int, subject: str = "body", setting: str | None = None) -> Problem:
    """`setting`: the field of the settings that is this bound; None for a fixed bound."""
    name = f" ({setting_variable(setting)})" if setting else ""
    detail = f"The {subject} is larger than {max_bytes} bytes{name}."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content-too-large", detail)
