"""Parses JSON strictly (RFC 8259), and finds the values that may not be stored.

A syntax error makes the whole body invalid. Some values are valid JSON but may not be stored: duplicate names, numbers
beyond ±(2^53-1), U+0000, lone surrogates, deep nesting (contract). Such a value fails only the item that contains it.
The parser reports it for that item, and puts an InvalidValue in its place where it cannot keep the value.
An integer beyond ±(2^53-1) is stored if it has up to 40 digits and is in a member that the item's model does not know.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from json import JSONDecodeError, JSONDecoder
from typing import Any, NoReturn

from msgspec import Raw, Struct

from api.parsing.nesting import MAX_NESTING, blank_too_deep, end_of_value, may_be_too_deep
from api.validation.characters import text_problem
from api.validation.field_errors import MAX_FIELD_ERRORS, InvalidField, Place, shortened
from api.validation.known_members import UNKNOWN, KnownMembers

MAX_VALUE_CHARACTERS = 8 * 1024 * 1024
_WINDOWS = (32 * 1024, 1024 * 1024, MAX_VALUE_CHARACTERS)
_WINDOW_MARGIN = 16
_TOO_LARGE = f"A value of the body is larger than {MAX_VALUE_CHARACTERS} characters"
MAX_NUMBER = 2**53 - 1
_MAX_DIGITS = len(str(MAX_NUMBER)) + 1
MAX_INTEGER_DIGITS = 40

TOO_DEEP = f"must not be nested more than {MAX_NESTING} levels deep"
DUPLICATE_NAME = "duplicate member name"
NUMBER_RANGE = "must be a number between -(2^53-1) and 2^53-1"
TOO_MANY_DIGITS = f"must be an integer of at most {MAX_INTEGER_DIGITS} digits"


class NotJson(Exception):
    """The body is not a JSON text in UTF-8, or its envelope is ambiguous."""


class NotAnObject(Exception):
    """The body is JSON, but not an object."""


class TooManyElements(Exception):
    """The list has more elements than the caller allows."""


class TooLargeValue(Exception):
    """A single value of the body (an element of the list, or a member of the envelope) exceeds the limit."""


class InvalidValue(Struct, frozen=True):
    """Takes the place of a value that may not be stored."""

    message: str


class Element(Struct, frozen=True):
    """A JSON value, with its invalid values: up to one more than MAX_FIELD_ERRORS."""

    value: Any
    invalid_values: list[InvalidField] = []


class JsonEnvelope(Struct, frozen=True):
    """The members of a request, and the elements of its list as sent (empty if the request has no such list)."""

    members: dict[str, Any]
    elements: list[Raw]


def split_envelope(body: bytes, list_name: str, max_elements: int = sys.maxsize) -> JsonEnvelope:
    """Parses an object whose member `list_name` is a list, and splits the list into its elements.

    Raises NotJson, NotAnObject, TooManyElements, TooLargeValue."""
    with _explain_syntax():
        return _Reader(_decode_utf8(body), max_elements).envelope(list_name)


def read_strictly(text: bytes, known: KnownMembers | None = None) -> Element:
    """Parses one JSON value of any size. `known`: as in `read_element`. Raises NotJson."""
    with _explain_syntax():
        return _Reader(_decode_utf8(text)).element(known)


# Invalid values


def invalid_values(
    value: Any, place: Place = (), depth: int = 1, known: KnownMembers | None = None
) -> Iterator[InvalidField]:
    """Yields every value that may not be stored. `place`, `depth` and `known` are those of `value` itself."""
    if not isinstance(value, dict | list):
        if message := _scalar_problem(value, known):
            yield InvalidField(place, message)
    elif depth > MAX_NESTING:
        yield InvalidField(place, TOO_DEEP)
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from invalid_values(element, (*place, index), depth + 1, known)
    else:
        for name, member in value.items():
            if text_problem(name):
                yield InvalidField(place, "member names must not contain U+0000 or lone surrogates")
            else:
                part = known.member(name) if known else None
                yield from invalid_values(member, (*place, shortened(name)), depth + 1, part)


def _scalar_problem(value: Any, known: KnownMembers | None) -> str | None:
    if isinstance(value, str):
        return text_problem(value)
    if isinstance(value, InvalidValue):
        is_long_integer = value.message == TOO_MANY_DIGITS and known is not UNKNOWN
        return NUMBER_RANGE if is_long_integer else value.message
    is_large_integer = type(value) is int and not -MAX_NUMBER <= value <= MAX_NUMBER
    return NUMBER_RANGE if is_large_integer and known is not UNKNOWN else None


_space = re.compile(r"[ \t\n\r]*").match


@contextmanager
def _explain_syntax() -> Iterator[None]:
    try:
        yield
    except JSONDecodeError as error:
        raise NotJson(f"{error.msg.removesuffix(' at')} at line {error.lineno}, column {error.colno}") from None


class _Reader:
    def __init__(self, text: str, max_elements: int = sys.maxsize) -> None:
        self.text = text
        self.max_elements = max_elements
        self.has_invalid_values = False
        self._decode = JSONDecoder(
            object_pairs_hook=self._object,
            parse_int=self._integer,
            parse_float=self._number,
            parse_constant=_refuse_constant,
        ).raw_decode

    def envelope(self, list_name: str) -> JsonEnvelope:
        at = self._skip(0)
        if self.text[at : at + 1] != "{":
            _, at = self._value(at)
            self._require_end(at)
            raise NotAnObject
        members: dict[str, Any] = {}
        elements: list[Raw] = []
        at = self._skip(at + 1)
        more = self.text[at : at + 1] != "}"
        while more:
            if self.text[at : at + 1] != '"':
                raise JSONDecodeError("Expecting a member name", self.text, at)
            name, at = self._value(at)
            if name in members:
                raise NotJson(f"{DUPLICATE_NAME} in the envelope")
            at = self._skip(self._expect(":", self._skip(at)))
            if name == list_name and self.text[at : at + 1] == "[":
                elements, at = self._elements(at + 1)
                members[name] = []
            else:
                members[name], at = self._value(at)
                _require_unambiguous(members[name])
            more, at = self._continues(at, "}")
        self._require_end(at + 1)
        return JsonEnvelope(members, elements)

    def element(self, known: KnownMembers | None) -> Element:
        start = self._skip(0)
        self.text = blank_too_deep(self.text, start)
        value, at = self._decode(self.text, start)
        self._require_end(at)
        found = (
            list(islice(invalid_values(value, known=known), MAX_FIELD_ERRORS + 1))
            if self._may_have_invalid_values(start, at)
            else []
        )
        return Element(value, found)

    def _elements(self, at: int) -> tuple[list[Raw], int]:
        elements: list[Raw] = []
        at = self._skip(at)
        more = self.text[at : at + 1] != "]"
        while more:
            if len(elements) == self.max_elements:
                raise TooManyElements
            start = at
            _, at = self._value(at)
            elements.append(Raw(self.text[start:at].encode()))
            more, at = self._continues(at, "]")
        return elements, at + 1

    def _continues(self, at: int, closing: str) -> tuple[bool, int]:
        """Returns whether another element or member follows, and the index of it (or of the closing bracket)."""
        at = self._skip(at)
        if self.text[at : at + 1] == closing:
            return False, at
        return True, self._skip(self._expect(",", at))

    def _value(self, at: int) -> tuple[Any, int]:
        """Returns the value at an index, and where it ends. The text is parsed in windows, which bounds the memory that
        a single value can take."""
        for size in _WINDOWS:
            window = self.text[at : at + size]
            has_end = at + size >= len(self.text)
            try:
                value, end = self._decode(window)
            except RecursionError:
                return self._too_deep_value(at)
            except JSONDecodeError as error:
                if has_end or not (error.pos > size - _WINDOW_MARGIN or error.msg.startswith("Unterminated string")):
                    if may_be_too_deep(self.text, at, at + error.pos):
                        return self._too_deep_value(at)
                    raise JSONDecodeError(error.msg, self.text, at + error.pos) from None
            else:
                if has_end or end < size:
                    return value, at + end
        raise TooLargeValue(_TOO_LARGE)

    def _too_deep_value(self, at: int) -> tuple[Any, int]:
        """Parses a value like `_value`, but does not look into containers below MAX_NESTING levels."""
        end = end_of_value(self.text, at, at + MAX_VALUE_CHARACTERS)
        if end is None:
            raise TooLargeValue(_TOO_LARGE)
        try:
            value, _ = self._decode(blank_too_deep(self.text[at:end]))
        except JSONDecodeError as error:
            raise JSONDecodeError(error.msg, self.text, at + error.pos) from None
        return value, end

    def _may_have_invalid_values(self, start: int, end: int) -> bool:
        """Returns False if the text has no value that may not be stored. Nearly no text has, and a check of every value
        is slow."""
        return (
            self.has_invalid_values or self.text.find("\\u", start, end) >= 0 or may_be_too_deep(self.text, start, end)
        )

    def _skip(self, at: int) -> int:
        return _space(self.text, at).end()  # type: ignore[union-attr]

    def _expect(self, character: str, at: int) -> int:
        if self.text[at : at + 1] != character:
            raise JSONDecodeError(f"Expecting '{character}'", self.text, at)
        return at + 1

    def _require_end(self, at: int) -> None:
        end = self._skip(at)
        if end != len(self.text):
            raise JSONDecodeError("Extra data", self.text, end)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            counts = Counter(name for name, _ in pairs)
            members |= {name: self._invalid(DUPLICATE_NAME) for name, count in counts.items() if count > 1}
        return members

    def _integer(self, text: str) -> int | InvalidValue:
        if len(text) <= _MAX_DIGITS and abs(number := int(text)) <= MAX_NUMBER:
            return number
        if len(text.removeprefix("-")) > MAX_INTEGER_DIGITS:
            return self._invalid(TOO_MANY_DIGITS)
        self.has_invalid_values = True  # unless the member is unknown
        return int(text)

    def _number(self, text: str) -> float | InvalidValue:
        number = float(text)
        if not abs(number) <= MAX_NUMBER:
            return self._invalid(NUMBER_RANGE)
        # Each value has one canonical form: 10.0 becomes the integer 10, and -0.0 becomes 0.
        return int(number) if number.is_integer() else number

    def _invalid(self, message: str) -> InvalidValue:
        self.has_invalid_values = True
        return InvalidValue(message)


def _decode_utf8(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(f"Not UTF-8 at byte {error.start}") from None


def _require_unambiguous(member: Any) -> None:
    for invalid in invalid_values(member, depth=2):
        if invalid.message in {DUPLICATE_NAME, TOO_DEEP}:
            raise NotJson(f"{invalid.message} in the envelope")


def _refuse_constant(text: str) -> NoReturn:
    raise NotJson(f"{text} is not a JSON value")
