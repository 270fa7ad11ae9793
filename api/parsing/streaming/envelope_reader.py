"""Splits a body into the members of its envelope and the elements of its list, strictly and in bounded memory."""

import re
from collections.abc import Iterable
from json import JSONDecodeError
from typing import Any

import msgspec
from msgspec import Raw, Struct

from api.bounds.body import UNBOUNDED, BodyBounds
from api.parsing.nesting import may_be_too_deep, shallow_value
from api.parsing.streaming.text_window import TextWindow
from api.parsing.strict_json import (
    DUPLICATE_NAME,
    MAX_VALUE_CHARACTERS,
    TOO_DEEP,
    NotAnObject,
    NotJson,
    StrictDecoder,
    TooLargeValue,
    TooManyElements,
    TooManyMembers,
    invalid_values,
)
from domain.offers.value_count import BYTES_PER_VALUE, has_more_values

_WINDOWS = (256 * 1024, 1024 * 1024, MAX_VALUE_CHARACTERS)
"""The sizes of the window in which the end of a value is searched. A value that is longer than the first two is not decoded
if it has many values."""
_MARGIN = 16
"""A literal or an escape that is cut at the end of the window may look invalid this many characters before."""
_TOO_LARGE = f"A value of the body is larger than {MAX_VALUE_CHARACTERS} characters"


class JsonEnvelope(Struct, frozen=True):
    """The members of a request, and the elements of its list as sent (empty if the request has no such list)."""

    members: dict[str, Any]
    elements: list[Raw]
    element_count: int


def split_envelope(
    blocks: Iterable[bytes], list_name: str, bounds: BodyBounds = UNBOUNDED, *, keep: bool = True
) -> JsonEnvelope:
    """Parses an object whose member `list_name` is a list, and splits the list into its elements.

    With `keep=False` the elements are only counted. Raises NotJson, NotAnObject, TooManyMembers, TooManyElements,
    TooLargeValue."""
    return _Reader(TextWindow(blocks), list_name, bounds, keep=keep).envelope()


class _Reader:
    def __init__(self, window: TextWindow, list_name: str, bounds: BodyBounds, *, keep: bool) -> None:
        self._window, self._list_name, self._bounds, self._keep = window, list_name, bounds, keep
        self._decode = StrictDecoder().decode
        self._elements: list[Raw] = []
        self._count = 0

    def envelope(self) -> JsonEnvelope:
        window = self._window
        window.skip_space()
        if window.character != "{":
            _, window.at = self._value()
            self._require_end()
            raise NotAnObject
        window.at += 1
        window.skip_space()
        members: dict[str, Any] = {}
        more = window.character != "}"
        while more:
            if len(members) == self._bounds.max_members:
                raise TooManyMembers(f"at most {self._bounds.max_members} members", "max_envelope_members")
            name = self._name(members)
            if name == self._list_name and window.character == "[":
                window.at += 1
                self._read_elements()
                members[name] = []
            else:
                members[name] = self._member()
            more = self._continues("}")
        window.at += 1
        self._require_end()
        return JsonEnvelope(members, self._elements, self._count)

    def _name(self, members: dict[str, Any]) -> str:
        """Reads a name and the colon."""
        window = self._window
        if window.character != '"':
            raise window.error("Expecting a member name", window.at)
        name, window.at = self._value()
        if name in members:
            raise NotJson(f"{DUPLICATE_NAME} in the envelope")
        window.skip_space()
        self._expect(":")
        window.skip_space()
        return str(name)

    def _member(self) -> Any:
        value, end = self._value()
        window = self._window
        if value is _NOT_DECODED or self._has_many_values(window.text[window.at : end]):
            raise TooManyMembers(f"at most {self._bounds.max_values} values in a member", "max_content_values")
        window.at = end
        for invalid in invalid_values(value, depth=2):
            if invalid.message in {DUPLICATE_NAME, TOO_DEEP}:
                raise NotJson(f"{invalid.message} in the envelope")
        return value

    def _read_elements(self) -> None:
        window = self._window
        window.skip_space()
        more = window.character != "]"
        while more:
            if self._count == self._bounds.max_items:
                raise TooManyElements
            _, end = self._value()
            if self._keep:
                self._elements.append(Raw(window.text[window.at : end].encode()))
            self._count += 1
            window.at = end
            more = self._continues("]")
        window.at += 1

    def _continues(self, closing: str) -> bool:
        """Returns whether another element or member follows, and moves to it, or to the closing bracket."""
        self._window.skip_space()
        if self._window.character == closing:
            return False
        self._expect(",")
        self._window.skip_space()
        return True

    def _expect(self, character: str) -> None:
        if self._window.character != character:
            raise self._window.error(f"Expecting '{character}'", self._window.at)
        self._window.at += 1

    def _require_end(self) -> None:
        self._window.skip_space()
        if self._window.character:
            raise self._window.error("Extra data", self._window.at)

    def _value(self) -> tuple[Any, int]:
        """Returns the value that is read next, and the index where it ends. The window grows until it has all of it."""
        window = self._window
        for size in (0, *_WINDOWS):
            length = len(window.text) - window.at
            if size > length and not window.is_complete:
                window.grow(size + _MARGIN)
            is_long = size == _WINDOWS[-1] and length > _WINDOWS[-2]
            found = self._container() if is_long and window.character in "[{" else self._decoded()
            if found:
                return found
        raise TooLargeValue(_TOO_LARGE)

    def _decoded(self) -> tuple[Any, int] | None:
        """Returns a value like `_value`, or None if it may continue beyond the window."""
        window = self._window
        try:
            value, end = self._decode(window.text, window.at)
        except RecursionError:
            return self._container()
        except JSONDecodeError as error:
            if not window.is_complete and self._may_be_cut(error):
                return None
            if may_be_too_deep(window.text, window.at, error.pos):
                return self._container()
            raise window.error(error.msg, error.pos) from None
        if (end == len(window.text) and not window.is_complete) or end - window.at > MAX_VALUE_CHARACTERS:
            return None
        return value, end

    def _may_be_cut(self, error: JSONDecodeError) -> bool:
        return error.pos > len(self._window.text) - _MARGIN or error.msg.startswith("Unterminated string")

    def _container(self) -> tuple[Any, int]:
        """Reads a long or deep object or array like `_value`.

        Does not look into containers below MAX_NESTING levels, and does not decode very many values."""
        window = self._window
        window.grow(MAX_VALUE_CHARACTERS + _MARGIN)
        found = shallow_value(window.text, window.at, window.at + MAX_VALUE_CHARACTERS)
        if found is None:
            raise TooLargeValue(_TOO_LARGE)
        text, end = found
        if self._has_many_values(text):
            self._require_syntax(text.encode())
            return _NOT_DECODED, end
        try:
            value, _ = self._decode(text, 0)
        except JSONDecodeError as error:
            raise window.error(error.msg, window.at + error.pos) from None
        return value, end

    def _has_many_values(self, text: str) -> bool:
        most = self._bounds.max_values
        return len(text) >= BYTES_PER_VALUE * most and has_more_values(text.encode(), most)

    def _require_syntax(self, text: bytes) -> None:
        try:
            _check(text)
        except msgspec.DecodeError as error:
            place = re.search(r"byte (\d+)", str(error))
            characters = len(text[: int(place[1])].decode(errors="ignore")) if place else 0
            raise self._window.error("Invalid JSON", self._window.at + characters) from None


_NOT_DECODED = object()
_check = msgspec.json.Decoder(Raw).decode
