"""Parses JSON strictly (RFC 8259), and finds the values that may not be stored.

A syntax error makes the whole body invalid. Some values are valid JSON but may not be stored: duplicate names, numbers
beyond ±(2^53-1), U+0000, lone surrogates, deep nesting (contract). Such a value fails only the item that contains it.
The parser reports it for that item, and puts an InvalidValue in its place where it cannot keep the value.
An integer beyond ±(2^53-1) is stored if it has up to 40 digits and is in a member that the item's model does not know.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from json import JSONDecodeError, JSONDecoder
from typing import Any, NoReturn

from msgspec import Struct

from api.parsing.nesting import MAX_NESTING, blank_too_deep, may_be_too_deep
from api.validation.characters import text_problem
from api.validation.field_errors import MAX_FIELD_ERRORS, InvalidField, Place, shortened
from api.validation.known_members import UNKNOWN, KnownMembers

MAX_VALUE_CHARACTERS = 8 * 1024 * 1024
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


class TooManyMembers(Exception):
    """The envelope has more members, or a member has more values, than the caller allows. `setting`: the one of this bound."""

    def __init__(self, message: str, setting: str) -> None:
        super().__init__(message)
        self.setting = setting


class TooLargeValue(Exception):
    """A single value of the body (an element of the list, or a member of the envelope) exceeds the limit."""


class InvalidValue(Struct, frozen=True):
    """Takes the place of a value that may not be stored."""

    message: str


class Element(Struct, frozen=True):
    """A JSON value, with its invalid values: up to one more than MAX_FIELD_ERRORS."""

    value: Any
    invalid_values: list[InvalidField] = []


def read_strictly(text: bytes, known: KnownMembers | None = None) -> Element:
    """Parses one JSON value of any size. `known`: as in `read_element`. Raises NotJson."""
    decoder, sent = StrictDecoder(), _decode_utf8(text)
    start = _space(sent, 0).end()  # type: ignore[union-attr]
    shallow = blank_too_deep(sent, start)
    try:
        value, at = decoder.decode(shallow, start)
        _require_end(shallow, at)
    except JSONDecodeError as error:
        raise NotJson(f"{error.msg.removesuffix(' at')} at line {error.lineno}, column {error.colno}") from None
    # Nearly no text has values that may not be stored, and a check of every value is slow.
    is_suspect = decoder.has_invalid_values or "\\u" in shallow or may_be_too_deep(shallow, start, at)
    found = list(islice(invalid_values(value, known=known), MAX_FIELD_ERRORS + 1)) if is_suspect else []
    return Element(value, found)


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


class StrictDecoder:
    """Decodes JSON values, with an InvalidValue in place of each value that it cannot keep."""

    def __init__(self) -> None:
        self.has_invalid_values = False
        """A decoded value may have values that may not be stored."""
        self.decode = JSONDecoder(
            object_pairs_hook=self._object,
            parse_int=self._integer,
            parse_float=self._number,
            parse_constant=_refuse_constant,
        ).raw_decode
        """Returns the value at an index of a text, and the index where it ends. Raises JSONDecodeError."""

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


def _require_end(text: str, at: int) -> None:
    end = _space(text, at).end()  # type: ignore[union-attr]
    if end != len(text):
        raise JSONDecodeError("Extra data", text, end)


def _decode_utf8(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(f"Not UTF-8 at byte {error.start}") from None


def _refuse_constant(text: str) -> NoReturn:
    raise NotJson(f"{text} is not a JSON value")
