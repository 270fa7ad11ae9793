"""How is a body with one long list taken apart, and why can't it be?"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any, TypeVar

from msgspec import Raw
from pydantic import BaseModel, ValidationError

from api.http.problems import Problem, validation_error
from api.parsing.array_splitter import Body, Split, split
from api.parsing.fast_json import read_element
from api.parsing.strict_json import Element, NotAnObject, NotJson, TooLargeValue, TooManyElements, invalid_values
from api.validation.field_errors import MAX_FIELD_ERRORS, InvalidField, field_errors, shortened
from domain.values import MAX_ID_LENGTH, ProgressCallback

SPARE_FRAMES = 100
ELEMENTS_PER_GLANCE = 500
LIST = "offers"

_T = TypeVar("_T")
_Envelope = TypeVar("_Envelope", bound=BaseModel)


def count_elements(body: Body, max_items: int, model: type[_Envelope]) -> tuple[int, _Envelope]:
    """How long the list is, and the envelope, as that model; raises Problem if the body is not JSON or not in order."""
    # What is accepted here is taken apart again when it is judged: with stack to spare, however deeply it is nested.
    sent = _deep_down(SPARE_FRAMES, lambda: split_body(body, max_items, keep=False))
    return sent.element_count, read_envelope(sent.members, model)


def split_body(body: Body, max_items: int, *, keep: bool = True) -> Split:
    """Raises Problem."""
    try:
        return split(body, LIST, max_items, keep=keep)
    except NotJson as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "not-json", f"The body is not valid JSON: {error}.") from None
    except NotAnObject:
        raise validation_error([InvalidField((), "the body must be an object")]) from None
    except TooLargeValue as error:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content-too-large", f"{error}.") from None
    except TooManyElements:
        raise validation_error([InvalidField((LIST,), f"must have at most {max_items} elements")]) from None


def read_envelope(members: dict[str, Any], model: type[_Envelope]) -> _Envelope:
    """Raises Problem."""
    try:
        return model.model_validate(members)
    except ValidationError as error:
        raise validation_error(field_errors(error)) from None


def with_progress(elements: Sequence[Raw], watch: ProgressCallback) -> Iterator[tuple[int, Raw]]:
    """The elements with their places, while somebody watches."""
    for index, element in enumerate(elements):
        yield index, element
        if index % ELEMENTS_PER_GLANCE == 0:
            watch(index, len(elements))
    watch(len(elements), len(elements))


def read_object(element: Raw) -> Element | str:
    """The object that an element is, or why it is none."""
    try:
        read = read_element(bytes(element))
    except NotJson as error:  # nested so deeply that it can only be passed over
        return str(error)
    return read if isinstance(read.value, dict) else "must be an object"


def ignored_members(names: Iterable[str], why: str) -> tuple[str, ...]:
    """What is said of members that nobody has asked for."""
    return tuple(f"{shortened(name)}: ignored, {why}" for name in islice(names, MAX_FIELD_ERRORS))


def schema_errors(sent: dict[str, Any], model: type[BaseModel]) -> list[InvalidField]:
    """What is wrong with an element that has no flaws."""
    try:
        model.model_validate(sent)
    except ValidationError as error:
        return field_errors(error)
    return []


def item_messages(broken: list[InvalidField], at: tuple[str | int, ...]) -> tuple[str, ...]:
    """What is wrong with an element, as a bounded list of sentences; `at` is its place in the body, if it has no name."""
    messages = [
        str(InvalidField((*at, *complaint.place), complaint.message)) for complaint in broken[:MAX_FIELD_ERRORS]
    ]
    return (*messages, *(["there are more problems"] if len(broken) > MAX_FIELD_ERRORS else []))


def valid_id(sent: Any) -> str | None:
    """The id that an element has, if it can be one."""
    readable = isinstance(sent, str) and 1 <= len(sent) <= MAX_ID_LENGTH and not any(invalid_values(sent))
    return sent if readable else None


def _deep_down(frames: int, function: Callable[[], _T]) -> _T:
    return _deep_down(frames - 1, function) if frames else function()
