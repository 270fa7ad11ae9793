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
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from api.bounds.body import UNBOUNDED, BodyBounds
from api.parsing.body_start import skip_mark_of_blocks
from api.parsing.streaming.envelope_reader import split_envelope
from api.parsing.strict_json import MAX_VALUE_CHARACTERS, NotAnObject, NotJson, TooManyElements

SPLIT_BLOCK_BYTES = 1024 * 1024
MAX_ENVELOPE_BYTES = 256 * 1024
MAX_CUTS_TRIED = 3
_CUT_SEARCH_BYTES = 128 * 1024

Body = Callable[[], Iterable[bytes]]
"""Each call returns the bytes of a body from the start, in blocks of any size."""


class _NeedsFullRead(Exception):
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
    blocks, has_mark = skip_mark_of_blocks(body())
    try:
        members, elements, count = _Splitter(list_name, bounds, keep=keep).split(blocks)
    except _NeedsFullRead:
        blocks, _ = skip_mark_of_blocks(body())
        envelope = split_envelope(blocks, list_name, bounds, keep=keep)
        members, elements, count = envelope.members, envelope.elements, envelope.element_count
    return Split(members, elements, count, has_mark)


class _Splitter:
    def __init__(self, list_name: str, bounds: BodyBounds, *, keep: bool) -> None:
        self._list_name = list_name
        self._bounds = bounds
        self._keep = keep
        self._elements: list[Raw] = []
        self._count = 0

    def split(self, blocks: Iterable[bytes]) -> tuple[dict[str, Any], list[Raw], int]:
        texts = _require_utf8(_rechunk(blocks))
        rest = next(texts, b"")
        opening = re.search(rb'"%b"[ \t\n\r]*:[ \t\n\r]*\[' % re.escape(self._list_name.encode()), rest)
        if opening is None or opening.end() > MAX_ENVELOPE_BYTES:
            raise _NeedsFullRead
        before, rest = rest[: opening.end() - 1], rest[opening.end() :]
        self._members(before, b"}")  # fails unless the list belongs to the envelope, not to a nested object
        separator = _separator_pattern(rest)
        for text in texts:
            rest = self._take_block(rest, separator) + text
        closing = rest.rfind(b"]")
        if closing < 0 or len(rest) - closing > MAX_ENVELOPE_BYTES:
            raise _NeedsFullRead
        self._take(rest[:closing])
        return self._members(before, rest[closing + 1 :]), self._elements, self._count

    def _take_block(self, text: bytes, separator: re.Pattern[bytes] | None) -> bytes:
        """Takes complete elements from the start of the text, as many as it can identify. Returns the rest."""
        if separator is None:
            raise _NeedsFullRead
        cuts = list(separator.finditer(text, max(0, len(text) - _CUT_SEARCH_BYTES))) or list(separator.finditer(text))
        if not cuts and len(text) <= MAX_VALUE_CHARACTERS:
            return text  # a single element that continues in the next block; it may contain an image
        for cut in reversed(cuts[-MAX_CUTS_TRIED:]):
            try:
                self._take(text[: cut.start(1)])
            except _NeedsFullRead:
                continue
            return text[cut.end(1) :]
        raise _NeedsFullRead

    def _take(self, text: bytes) -> None:
        try:
            elements = _decode(b"[%b]" % text)
        except (msgspec.DecodeError, RecursionError):
            raise _NeedsFullRead from None
        if len(text) > MAX_VALUE_CHARACTERS and any(len(element) > MAX_VALUE_CHARACTERS for element in elements):
            raise _NeedsFullRead
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
            raise _NeedsFullRead from None
        if [bytes(element) for element in envelope.elements] != [b'"%b"' % mark.encode()]:
            raise _NeedsFullRead
        return envelope.members


_decode = msgspec.json.Decoder(list[Raw]).decode


def _separator_pattern(text: bytes) -> re.Pattern[bytes] | None:
    """Matches the text between two elements, if all elements start with the same member. Group 1 is the comma."""
    first = re.match(rb'[ \t\n\r]*\{[ \t\n\r]*("[^"\\]*")', text)
    return re.compile(rb"\}[ \t\n\r]*(,)[ \t\n\r]*\{[ \t\n\r]*" + re.escape(first[1])) if first else None


def _rechunk(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Returns the bytes in blocks of SPLIT_BLOCK_BYTES.

    Smaller blocks cost too many calls. Larger blocks need too much memory: an element may be as short as two bytes."""
    buffer = b""
    for block in blocks:
        buffer += block
        complete = len(buffer) - len(buffer) % SPLIT_BLOCK_BYTES
        for at in range(0, complete, SPLIT_BLOCK_BYTES):
            yield buffer[at : at + SPLIT_BLOCK_BYTES]
        buffer = buffer[complete:]
    if buffer:
        yield buffer


def _require_utf8(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Returns the blocks unchanged if they are UTF-8. msgspec does not check the encoding of strings that it skips."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in blocks:
            decoder.decode(block)
            yield block
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _NeedsFullRead from None
