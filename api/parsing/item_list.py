"""Bodies with one long list, `offers`: reads the envelope and the elements, and reports what is wrong with them."""

from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any, TypeVar

from msgspec import Raw
from pydantic import BaseModel, ValidationError

from api.bounds.body import BodyBounds
from api.bounds.settings import setting_variable
from api.http.problems import Problem, validation_error
from api.parsing.array_splitter import Body, Split, split
from api.parsing.body_start import MARK_SKIPPED
from api.parsing.fast_json import read_element
from api.parsing.strict_json import (
    Element,
    NotAnObject,
    NotJson,
    TooLargeValue,
    TooManyElements,
    TooManyMembers,
    invalid_values,
)
from api.validation.field_errors import MAX_FIELD_ERRORS, InvalidField, Place, field_errors, shortened
from api.validation.known_members import KnownMembers
from domain.offers.value_count import BYTES_PER_VALUE, has_more_values
from domain.values import MAX_ID_LENGTH, ProgressCallback

ELEMENTS_PER_PROGRESS_CALL = 500
LIST_MEMBER = "offers"

_Envelope = TypeVar("_Envelope", bound=BaseModel)


def split_body(body: Body, bounds: BodyBounds, *, keep: bool = True) -> Split:
    """Raises Problem."""
    try:
        return split(body, LIST_MEMBER, bounds, keep=keep)
    except NotJson as error:
        raise not_json(error) from None
    except NotAnObject:
        raise validation_error([InvalidField((), "the body must be a JSON object")]) from None
    except TooLargeValue as error:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content-too-large", f"{error}.") from None
    except TooManyMembers as error:
        message = f"must have {error} ({setting_variable(error.setting)})"
        raise validation_error([InvalidField((), message)]) from None
    except TooManyElements:
        message = f"must have at most {bounds.max_items} elements ({setting_variable('max_items')})"
        raise validation_error([InvalidField((LIST_MEMBER,), message)]) from None


def not_json(error: NotJson) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "not-json", f"The body is not valid JSON: {error}.")


def read_envelope(members: dict[str, Any], model: type[_Envelope]) -> _Envelope:
    """Raises Problem."""
    try:
        return model.model_validate(members)
    except ValidationError as error:
        raise validation_error(field_errors(error)) from None


def with_progress(elements: Sequence[Raw], progress: ProgressCallback) -> Iterator[tuple[int, Raw]]:
    """Yields the elements with their indexes, and reports the progress."""
    for index, element in enumerate(elements):
        yield index, element
        if index % ELEMENTS_PER_PROGRESS_CALL == 0:
            progress(index, len(elements))
    progress(len(elements), len(elements))


def read_object(element: Raw, known: KnownMembers) -> Element | str:
    """Returns the parsed object, or a message if the element is not an object. `known`: as in `read_element`."""
    read = read_element(bytes(element), known)
    return read if isinstance(read.value, dict) else "must be an object"


def too_many_values(text: bytes | Raw, most: int, *, beside: int = 0) -> str | None:
    """Returns a message if a JSON text has more values than a content may have, before the text is parsed.

    `beside`: the number of values in the text that do not belong to the content."""
    if len(text) < BYTES_PER_VALUE * most or not has_more_values(bytes(text), most + beside):
        return None
    return f"must have at most {most} values ({setting_variable('max_content_values')})"


def has_one_member(text: Raw, name: str) -> bool:
    """Returns whether a text has one member of this name, at any level; False if it may have more."""
    sent = bytes(text)
    return sent.count(b'"%b"' % name.encode()) == 1 and b"\\u" not in sent


def ignored_members(names: Iterable[str], reason: str) -> tuple[str, ...]:
    """Returns a message for each unknown member, up to MAX_FIELD_ERRORS."""
    return tuple(f"{shortened(name)}: ignored, {reason}" for name in islice(names, MAX_FIELD_ERRORS))


def envelope_messages(sent: Split, extra: Iterable[str], reason: str) -> list[str]:
    """Returns the messages about a body as a whole: its byte order mark and the ignored members of its envelope."""
    return [*([MARK_SKIPPED] if sent.has_mark else []), *ignored_members(extra, reason)]


def schema_errors(sent: dict[str, Any], model: type[BaseModel], unknown: list[str] | None = None) -> list[InvalidField]:
    """Returns the fields of an object that break the rules of a model.

    If there are none, adds the names of unknown members to `unknown`; see `NotedMembers`."""
    try:
        model.model_validate(sent, context=unknown)
    except ValidationError as error:
        return field_errors(error)
    return []


def item_messages(errors: list[InvalidField], at: Place, hints: Sequence[InvalidField] = ()) -> tuple[str, ...]:
    """Returns up to MAX_FIELD_ERRORS messages for an element, and its hints.

    `at` is the place of the element in the body, if it has no valid id."""
    fields = [*errors[:MAX_FIELD_ERRORS], *hints]
    messages = [str(InvalidField((*at, *field.place), field.message)) for field in fields]
    return (*messages, *(["there are more problems"] if len(errors) > MAX_FIELD_ERRORS else []))


def valid_id(sent: Any) -> str | None:
    """Returns the id if it is a valid one, else None."""
    is_valid = isinstance(sent, str) and 1 <= len(sent) <= MAX_ID_LENGTH and not any(invalid_values(sent))
    return sent if is_valid else None
