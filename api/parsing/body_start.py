"""Checks the first bytes of a body: a byte order mark, another encoding than UTF-8, compressed data."""

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain

from api.parsing.strict_json import NotJson

BYTE_ORDER_MARK = codecs.BOM_UTF8
MARK_SKIPPED = "The body starts with a byte order mark, which has been skipped"
START_BYTES = 2 * len(BYTE_ORDER_MARK)
"""The bytes of a body that `skip_mark` must see."""
_WIDEST_CHARACTER = 4
"""Bytes of a character in UTF-32."""
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
# The longest come first: the mark of UTF-32 starts with that of UTF-16.
_OTHER_ENCODINGS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


def skip_mark(start: bytes, *, with_codings: bool = False) -> tuple[bytes, bool]:
    """Returns a text without one leading byte order mark, and whether it had one.

    `with_codings`: the call accepts compressed bodies. Raises NotJson for compressed data, for UTF-16 and UTF-32, and
    for a second mark."""
    if start[:1] == b"{" and start[1:2] != b"\0":
        return start, False  # nearly every body
    for magic, coding in _COMPRESSED.items():
        if start.startswith(magic):
            header = f"send the header Content-Encoding: {coding}"
            advice = f"decompress it, or {header}" if with_codings else "this call accepts no Content-Encoding"
            raise NotJson(f"it looks like {coding} data: {advice}")
    if encoding := _other_encoding(start):
        raise NotJson(f"it is encoded in {encoding}; it must be in UTF-8")
    if not start.startswith(BYTE_ORDER_MARK):
        return start, False
    if start.startswith(BYTE_ORDER_MARK, len(BYTE_ORDER_MARK)):
        raise NotJson("it has a second byte order mark")
    return start[len(BYTE_ORDER_MARK) :], True


def skip_mark_of_blocks(blocks: Iterable[bytes]) -> tuple[Iterator[bytes], bool]:
    """Returns the blocks of a body without one leading byte order mark, and whether it had one. Raises NotJson."""
    remaining, start = iter(blocks), b""
    for block in remaining:
        start += block
        if len(start) >= START_BYTES:
            break
    text, has_mark = skip_mark(start, with_codings=True)
    return chain([text], remaining), has_mark


def _other_encoding(start: bytes) -> str | None:
    """Detects an encoding by its mark, or by null bytes beside the first character, which is always ASCII."""
    for mark, encoding in _OTHER_ENCODINGS.items():
        if start.startswith(mark):
            return encoding
    nulls = start[:_WIDEST_CHARACTER].count(0)
    if b"\0" not in start[:2] or nulls == _WIDEST_CHARACTER:
        return None
    return "UTF-32" if nulls == _WIDEST_CHARACTER - 1 else "UTF-16"
