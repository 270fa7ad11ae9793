"""Is this body JSON, to the letter, and which of its values break the rules for content?

What is not JSON refuses the whole body. A value that is JSON but may not be stored (contract: names given twice,
numbers beyond ±(2^53-1), U+0000, lone surrogates, deep nesting) fails only the item that it stands in, so it is left
in its place as a Flaw for the item's sender to be told.
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

from api.validation.field_errors import MAX_FIELD_ERRORS, InvalidField, shortened

MAX_NESTING = 64
MAX_VALUE_CHARACTERS = 8 * 1024 * 1024
_WINDOWS = (32 * 1024, 1024 * 1024, MAX_VALUE_CHARACTERS)
_NEARLY = 16
MAX_NUMBER = 2**53 - 1
_MAX_DIGITS = len(str(MAX_NUMBER)) + 1

NULL_CHARACTER = "must not contain the character U+0000"
LONE_SURROGATE = "must not contain a lone surrogate"
TOO_DEEP = f"must not be nested more than {MAX_NESTING} levels deep"
DUPLICATE_NAME = "member name given more than once"
NUMBER_RANGE = "must be a number between -(2^53-1) and 2^53-1"


class NotJson(Exception):  # noqa: N818 - it says what the body is
    """The body is not a JSON text in UTF-8, or its envelope is ambiguous."""


class NotAnObject(Exception):  # noqa: N818 - it says what the body is
    """The body is JSON, but not an object."""


class TooManyElements(Exception):  # noqa: N818 - it says what the list has
    """The long list has more elements than are wanted."""


class TooLargeValue(Exception):  # noqa: N818 - it says what the value is
    """A single value of the body, an element of the list or a member beside it, is larger than anybody needs."""


class InvalidValue(Struct, frozen=True):
    """Stands for a value that may not be stored."""

    message: str


class Element(Struct, frozen=True):
    """A JSON value, with its flaws, bounded in number."""

    value: Any
    invalid_values: list[InvalidField] = []


class JsonEnvelope(Struct, frozen=True):
    """The members of a request, and the elements of its one long list (none if there is no such list) as they were sent."""

    members: dict[str, Any]
    elements: list[Raw]


def split_envelope(body: bytes, list_name: str, max_elements: int = sys.maxsize) -> JsonEnvelope:
    """Reads an object whose member `list_name` is a list, and takes that list apart.

    Raises NotJson, NotAnObject, TooManyElements, TooLargeValue."""
    with _explain_syntax():
        return _Reader(_utf8(body), max_elements).envelope(list_name)


def read_strictly(text: bytes) -> Element:
    """Reads one JSON value, however large. Raises NotJson."""
    with _explain_syntax():
        return _Reader(_utf8(text)).element()


# Flaws


def invalid_values(value: Any, place: tuple[str | int, ...] = (), depth: int = 1) -> Iterator[InvalidField]:
    """Every value that may not be stored; `place` and `depth` are those of `value` itself."""
    if isinstance(value, str):
        if found := _UNSTORABLE.search(value):
            yield InvalidField(place, NULL_CHARACTER if found.group() == "\0" else LONE_SURROGATE)
    elif isinstance(value, InvalidValue):
        yield InvalidField(place, value.message)
    elif isinstance(value, dict | list):
        if depth > MAX_NESTING:
            yield InvalidField(place, TOO_DEEP)
        elif isinstance(value, list):
            for index, element in enumerate(value):
                yield from invalid_values(element, (*place, index), depth + 1)
        else:
            for name, member in value.items():
                if _UNSTORABLE.search(name):
                    yield InvalidField(place, "member names must not contain U+0000 or lone surrogates")
                else:
                    yield from invalid_values(member, (*place, shortened(name)), depth + 1)


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_space = re.compile(r"[ \t\n\r]*").match


@contextmanager
def _explain_syntax() -> Iterator[None]:
    try:
        yield
    except RecursionError:
        raise NotJson(TOO_DEEP) from None
    except JSONDecodeError as error:
        raise NotJson(f"{error.msg.removesuffix(' at')} at line {error.lineno}, column {error.colno}") from None


class _Reader:
    def __init__(self, text: str, max_elements: int = sys.maxsize) -> None:
        self.text = text
        self.max_elements = max_elements
        self.flawed = False
        self._decode = JSONDecoder(
            object_pairs_hook=self._object,
            parse_int=self._integer,
            parse_float=self._number,
            parse_constant=_constant,
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

    def element(self) -> Element:
        start = self._skip(0)
        value, at = self._decode(self.text, start)
        self._require_end(at)
        found = list(islice(invalid_values(value), MAX_FIELD_ERRORS + 1)) if self._is_suspect(start, at) else []
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
        """Whether another element or member follows, and where it (or the closing bracket) stands."""
        at = self._skip(at)
        if self.text[at : at + 1] == closing:
            return False, at
        return True, self._skip(self._expect(",", at))

    def _value(self, at: int) -> tuple[Any, int]:
        """The value there, and where it ends. It is sought in windows, so that none can take memory without bound."""
        for size in _WINDOWS:
            window = self.text[at : at + size]
            has_end = at + size >= len(self.text)
            try:
                value, end = self._decode(window)
            except JSONDecodeError as error:
                if has_end or not (error.pos > size - _NEARLY or error.msg.startswith("Unterminated string")):
                    raise JSONDecodeError(error.msg, self.text, at + error.pos) from None
            else:
                if has_end or end < size:
                    return value, at + end
        raise TooLargeValue(f"A value of the body is larger than {MAX_VALUE_CHARACTERS} characters")

    def _is_suspect(self, start: int, end: int) -> bool:
        """Whether the text between may hold a flaw; nearly none does, and looking at every value takes long."""
        return (
            self.flawed
            or self.text.find("\\u", start, end) >= 0
            or self.text.count("[", start, end) + self.text.count("{", start, end) > MAX_NESTING
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
            members |= {name: self._flaw(DUPLICATE_NAME) for name, count in counts.items() if count > 1}
        return members

    def _integer(self, text: str) -> int | InvalidValue:
        if len(text) <= _MAX_DIGITS and abs(number := int(text)) <= MAX_NUMBER:
            return number
        return self._flaw(NUMBER_RANGE)

    def _number(self, text: str) -> float | InvalidValue:
        number = float(text)
        if not abs(number) <= MAX_NUMBER:
            return self._flaw(NUMBER_RANGE)
        # One value, one spelling: 10.0 is the integer 10, and -0.0 is 0.
        return int(number) if number.is_integer() else number

    def _flaw(self, message: str) -> InvalidValue:
        self.flawed = True
        return InvalidValue(message)


def _utf8(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(f"Not UTF-8 at byte {error.start}") from None


def _require_unambiguous(member: Any) -> None:
    for flaw in invalid_values(member, depth=2):
        if flaw.message in {DUPLICATE_NAME, TOO_DEEP}:
            raise NotJson(f"{flaw.message} in the envelope")


def _constant(text: str) -> NoReturn:
    raise NotJson(f"{text} is not a JSON value")
