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
from api.parsing.strict_json import Element, NotAnObject, NotJson, TooLargeValue, TooManyElements, flaws
from api.validation.field_errors import MAX_COMPLAINTS, Complaint, complaints, shortened
from domain.values import MAX_ID_LENGTH, Watch

SPARE_FRAMES = 100
ELEMENTS_PER_GLANCE = 500
LIST = "offers"

T = TypeVar("T")
Envelope = TypeVar("Envelope", bound=BaseModel)


def count_elements(body: Body, max_items: int, model: type[Envelope]) -> tuple[int, Envelope]:
    """How long the list is, and the envelope, as that model; raises Problem if the body is not JSON or not in order."""
    # What is accepted here is taken apart again when it is judged: with stack to spare, however deeply it is nested.
    sent = _deep_down(SPARE_FRAMES, lambda: take_apart(body, max_items, keep=False))
    return sent.element_count, read_envelope(sent.members, model)


def take_apart(body: Body, max_items: int, *, keep: bool = True) -> Split:
    """Raises Problem."""
    try:
        return split(body, LIST, max_items, keep=keep)
    except NotJson as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "not-json", f"The body is not valid JSON: {error}.") from None
    except NotAnObject:
        raise validation_error([Complaint((), "the body must be an object")]) from None
    except TooLargeValue as error:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content-too-large", f"{error}.") from None
    except TooManyElements:
        raise validation_error([Complaint((LIST,), f"must have at most {max_items} elements")]) from None


def read_envelope(members: dict[str, Any], model: type[Envelope]) -> Envelope:
    """Raises Problem."""
    try:
        return model.model_validate(members)
    except ValidationError as error:
        raise validation_error(complaints(error)) from None


def glancing(elements: Sequence[Raw], watch: Watch) -> Iterator[tuple[int, Raw]]:
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


def ignored(names: Iterable[str], why: str) -> tuple[str, ...]:
    """What is said of members that nobody has asked for."""
    return tuple(f"{shortened(name)}: ignored, {why}" for name in islice(names, MAX_COMPLAINTS))


def broken_rules(sent: dict[str, Any], model: type[BaseModel]) -> list[Complaint]:
    """What is wrong with an element that has no flaws."""
    try:
        model.model_validate(sent)
    except ValidationError as error:
        return complaints(error)
    return []


def told(broken: list[Complaint], at: tuple[str | int, ...]) -> tuple[str, ...]:
    """What is wrong with an element, as a bounded list of sentences; `at` is its place in the body, if it has no name."""
    messages = [str(Complaint((*at, *complaint.place), complaint.message)) for complaint in broken[:MAX_COMPLAINTS]]
    return (*messages, *(["there are more problems"] if len(broken) > MAX_COMPLAINTS else []))


def readable_id(sent: Any) -> str | None:
    """The id that an element has, if it can be one."""
    readable = isinstance(sent, str) and 1 <= len(sent) <= MAX_ID_LENGTH and not any(flaws(sent))
    return sent if readable else None


def _deep_down(frames: int, function: Callable[[], T]) -> T:
    return _deep_down(frames - 1, function) if frames else function()
