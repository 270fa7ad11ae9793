"""How is a large body taken apart without reading it?

Block by block: msgspec finds where the elements of the long list begin and end, and looks at nothing inside but the
grammar. It is right by construction. A block is cut where one element seems to end and the next one to begin; if every
block is a JSON array once it stands in brackets, then the list is those arrays one after the other, and the rest of the
body, with a mark in the place of the list, is small enough to be read strictly. Where that does not come out, however
odd the reason, the body is read as a whole by `strict_json`, which also knows what to say of it.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Raw, Struct

from api.parsing.strict_json import MAX_VALUE_CHARACTERS, NotAnObject, NotJson, TooManyElements, split_envelope

SPLIT_BLOCK_BYTES = 1024 * 1024
MAX_ENVELOPE_BYTES = 256 * 1024
MAX_CUTS_TRIED = 3
_SEEN_FOR_A_CUT = 128 * 1024

Body = Callable[[], Iterable[bytes]]
"""Gives the bytes of a body from their start, in blocks of any size, as often as it is asked."""


class _NeedsFullRead(Exception):  # noqa: N818
    """Has to be read as a whole."""


class Split(Struct, frozen=True):
    """A body taken apart: `members` are those of its envelope, the list itself being empty there."""

    members: dict[str, Any]
    elements: list[Raw]
    element_count: int


def split(body: Body, list_name: str, max_elements: int, *, keep: bool = True) -> Split:
    """The envelope of a body whose member `list_name` is a list, and the elements of that list as they were sent; only
    their number if they are not to be kept.

    Raises NotJson, NotAnObject, TooManyElements, TooLargeValue."""
    try:
        found = _Splitter(list_name, max_elements, keep=keep).split(body())
    except _NeedsFullRead:
        envelope = split_envelope(b"".join(body()), list_name, max_elements)
        found = Split(envelope.members, envelope.elements if keep else [], len(envelope.elements))
    return found


class _Splitter:
    def __init__(self, list_name: str, max_elements: int, *, keep: bool) -> None:
        self._list_name = list_name
        self._max_elements = max_elements
        self._keep = keep
        self._elements: list[Raw] = []
        self._count = 0

    def split(self, blocks: Iterable[bytes]) -> Split:
        texts = _checked(_in_blocks(blocks))
        rest = next(texts, b"")
        opened = re.search(rb'"%b"[ \t\n\r]*:[ \t\n\r]*\[' % re.escape(self._list_name.encode()), rest)
        if opened is None or opened.end() > MAX_ENVELOPE_BYTES:
            raise _NeedsFullRead
        before, rest = rest[: opened.end() - 1], rest[opened.end() :]
        self._members(before, b"}")  # it is this list, not another one inside something else
        seam = _seam(rest)
        for text in texts:
            rest = self._take_block(rest, seam) + text
        closed = rest.rfind(b"]")
        if closed < 0 or len(rest) - closed > MAX_ENVELOPE_BYTES:
            raise _NeedsFullRead
        self._take(rest[:closed])
        return Split(self._members(before, rest[closed + 1 :]), self._elements, self._count)

    def _take_block(self, text: bytes, seam: re.Pattern[bytes] | None) -> bytes:
        """Takes whole elements from the start of the text, as many as can be seen; answers what is left."""
        if seam is None:
            raise _NeedsFullRead
        cuts = list(seam.finditer(text, max(0, len(text) - _SEEN_FOR_A_CUT))) or list(seam.finditer(text))
        if not cuts and len(text) <= MAX_VALUE_CHARACTERS:
            return text  # one element, with an image perhaps, that goes on
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
        if self._count > self._max_elements:
            raise TooManyElements
        if self._keep:
            self._elements += elements

    def _members(self, before: bytes, after: bytes) -> dict[str, Any]:
        mark = uuid4().hex
        try:
            envelope = split_envelope(b'%b["%b"]%b' % (before, mark.encode(), after), self._list_name)
        except (NotJson, NotAnObject):
            raise _NeedsFullRead from None
        if [bytes(element) for element in envelope.elements] != [b'"%b"' % mark.encode()]:
            raise _NeedsFullRead
        return envelope.members


_decode = msgspec.json.Decoder(list[Raw]).decode


def _seam(text: bytes) -> re.Pattern[bytes] | None:
    """What stands between two elements, if all of them begin like the first one; its comma is the group."""
    first = re.match(rb'[ \t\n\r]*\{[ \t\n\r]*("[^"\\]*")', text)
    return re.compile(rb"\}[ \t\n\r]*(,)[ \t\n\r]*\{[ \t\n\r]*" + re.escape(first[1])) if first else None


def _in_blocks(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks that are worth the while, and bounded: the smallest elements are two bytes each."""
    some = b""
    for block in blocks:
        some += block
        whole = len(some) - len(some) % SPLIT_BLOCK_BYTES
        for at in range(0, whole, SPLIT_BLOCK_BYTES):
            yield some[at : at + SPLIT_BLOCK_BYTES]
        some = some[whole:]
    if some:
        yield some


def _checked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, if they are UTF-8: msgspec does not look at that while it only passes over a string."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in blocks:
            decoder.decode(block)
            yield block
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _NeedsFullRead from None
