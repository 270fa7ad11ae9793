"""Splits a large body into its envelope and the elements of its list, without decoding the elements.

The splitter works block by block. msgspec finds where each element begins and ends, and checks only the JSON grammar
inside it. A block is cut at a place where one element seems to end and the next one to begin.

The result is correct by construction. Each block, put in brackets, must be a JSON array: then the list is those arrays,
one after the other. The rest of the body, with a marker in place of the list, is small and is parsed strictly.
If any of these checks fails, for whatever reason, `envelope_reader` reads the body from its start. It also reports what is
wrong.
"""

import codecs
import re
from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from api.bounds.body import UNBOUNDED, BodyBounds
from api.parsing.body_start import START_BYTES, skip_mark, skip_mark_of_blocks
from api.parsing.streaming.envelope_reader import split_envelope
from api.parsing.strict_json import MAX_VALUE_CHARACTERS, NotAnObject, NotJson, TooManyElements

SPLIT_BLOCK_BYTES = 1024 * 1024
MAX_ENVELOPE_BYTES = 256 * 1024
MAX_CUTS_TRIED = 3
_CUT_SEARCH_BYTES = 128 * 1024

Body = Callable[[], Iterable[bytes]]
"""Each call returns the bytes of a body from the start, in blocks of any size."""


class NeedsFullRead(Exception):
    """The body cannot be split block by block; it must be read value by value."""


class Split(Struct, frozen=True):
    """The parts of a body. `members` are the members of its envelope, with an empty list in place of the elements."""

    members: dict[str, Any]
    elements: list[Raw]
    element_count: int
    has_mark: bool
    """The body starts with a byte order mark."""


def split(body: Body, list_name: str, bounds: BodyBounds, *, keep: bool = True) -> Split:
    """Splits a body whose member `list_name` is a list. Elements are returned as sent.

    With `keep=False` the elements are only counted. Raises NotJson, NotAnObject, TooManyMembers, TooManyElements,
    TooLargeValue."""
    splitter = ArraySplitter(list_name, bounds, keep=keep)
    try:
        for block in body():
            splitter.feed(block)
        return replace(splitter.end(), elements=splitter.take_elements())
    except NeedsFullRead:
        blocks, has_mark = skip_mark_of_blocks(body())
        envelope = split_envelope(blocks, list_name, bounds, keep=keep)
        return Split(envelope.members, envelope.elements, envelope.element_count, has_mark)


class ArraySplitter:
    """Splits a body that is fed in pieces of any size.

    `feed` and `end` raise NeedsFullRead if the body must be read from its start by `envelope_reader`. They also raise
    NotJson, NotAnObject, TooManyMembers, TooManyElements and TooLargeValue."""

    def __init__(self, list_name: str, bounds: BodyBounds, *, keep: bool) -> None:
        self._list_name = list_name
        self._bounds = bounds
        self._keep = keep
        self._elements: list[Raw] = []
        self._count = 0
        self._buffer = bytearray()
        self._is_started = self._has_mark = False
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._before: bytes | None = None
        """The text before the list, once it is known."""
        self.members_before: dict[str, Any] = {}
        """The members of the envelope that come before the list, once they are known."""
        self._rest = b""
        self._separator: re.Pattern[bytes] | None = None

    def feed(self, piece: bytes) -> None:
        self._buffer += piece
        if not self._is_started and len(self._buffer) >= START_BYTES:
            self._start()
        while self._is_started and len(self._buffer) >= SPLIT_BLOCK_BYTES:
            # Smaller blocks cost too many calls. Larger blocks need too much memory: an element may be as short as two bytes.
            block = bytes(memoryview(self._buffer)[:SPLIT_BLOCK_BYTES])
            del self._buffer[:SPLIT_BLOCK_BYTES]
            self._take_block(block)

    def end(self) -> Split:
        """Returns the parts of the complete body, without its elements: `take_elements` returns them."""
        if not self._is_started:
            self._start()
        if self._buffer:
            self._take_block(bytes(self._buffer))
        self._require_utf8(b"", final=True)
        closing = self._rest.rfind(b"]")
        if self._before is None or closing < 0 or len(self._rest) - closing > MAX_ENVELOPE_BYTES:
            raise NeedsFullRead
        self._take(self._rest[:closing])
        members = self._members(self._before, self._rest[closing + 1 :])
        return Split(members, [], self._count, self._has_mark)

    def take_elements(self) -> list[Raw]:
        """Returns the elements that have been found since the last call."""
        elements, self._elements = self._elements, []
        return elements

    def _start(self) -> None:
        text, self._has_mark = skip_mark(bytes(self._buffer), with_codings=True)
        self._buffer, self._is_started = bytearray(text), True

    def _take_block(self, block: bytes) -> None:
        self._require_utf8(block)
        if self._before is None:
            self._find_list(block)
        else:
            self._rest = self._take_complete(self._rest) + block

    def _find_list(self, text: bytes) -> None:
        opening = re.search(rb'"%b"[ \t\n\r]*:[ \t\n\r]*\[' % re.escape(self._list_name.encode()), text)
        if opening is None or opening.end() > MAX_ENVELOPE_BYTES:
            raise NeedsFullRead
        before, self._rest = text[: opening.end() - 1], text[opening.end() :]
        self.members_before = self._members(
            before, b"}"
        )  # fails unless the list belongs to the envelope, not to a nested object
        self._before, self._separator = before, _separator_pattern(self._rest)

    def _take_complete(self, text: bytes) -> bytes:
        """Takes complete elements from the start of the text, as many as it can identify. Returns the rest."""
        separator = self._separator
        if separator is None:
            raise NeedsFullRead
        cuts = list(separator.finditer(text, max(0, len(text) - _CUT_SEARCH_BYTES))) or list(separator.finditer(text))
        if not cuts and len(text) <= MAX_VALUE_CHARACTERS:
            return text  # a single element that continues in the next block; it may contain an image
        for cut in reversed(cuts[-MAX_CUTS_TRIED:]):
            try:
                self._take(text[: cut.start(1)])
            except NeedsFullRead:
                continue
            return text[cut.end(1) :]
        raise NeedsFullRead

    def _take(self, text: bytes) -> None:
        try:
            elements = _decode(b"[%b]" % text)
        except (msgspec.DecodeError, RecursionError):
            raise NeedsFullRead from None
        if len(text) > MAX_VALUE_CHARACTERS and any(len(element) > MAX_VALUE_CHARACTERS for element in elements):
            raise NeedsFullRead
        self._count += len(elements)
        if self._count > self._bounds.max_items:
            raise TooManyElements
        if self._keep:
            self._elements += elements

    def _members(self, before: bytes, after: bytes) -> dict[str, Any]:
        mark = uuid4().hex
        text = b'%b["%b"]%b' % (before, mark.encode(), after)
        try:
            # The marker is no item, so the bound on items does not apply to it.
            envelope = split_envelope([text], self._list_name, replace(self._bounds, max_items=UNBOUNDED.max_items))
        except (NotJson, NotAnObject):
            raise NeedsFullRead from None
        if [bytes(element) for element in envelope.elements] != [b'"%b"' % mark.encode()]:
            raise NeedsFullRead
        return envelope.members

    def _require_utf8(self, text: bytes, *, final: bool = False) -> None:
        """msgspec does not check the encoding of strings that it skips."""
        if text.isascii() and not final and not self._decoder.getstate()[0]:
            return
        try:
            self._decoder.decode(text, final)
        except UnicodeDecodeError:
            raise NeedsFullRead from None


_decode = msgspec.json.Decoder(list[Raw]).decode


def _separator_pattern(text: bytes) -> re.Pattern[bytes] | None:
    """Matches the text between two elements, if all elements start with the same member. Group 1 is the comma."""
    first = re.match(rb'[ \t\n\r]*\{[ \t\n\r]*("[^"\\]*")', text)
    return re.compile(rb"\}[ \t\n\r]*(,)[ \t\n\r]*\{[ \t\n\r]*" + re.escape(first[1])) if first else None
