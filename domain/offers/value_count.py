"""Counts the values of a JSON text without decoding them.

Objects, arrays, strings, numbers, booleans and nulls are values, at every level; names of members are not. Decoding
takes fifty times as much memory as the text, and holds the interpreter. A search for single bytes does neither.
"""

from math import inf

MAX_VALUES = 10_000
"""The most values of a content that is decoded, and the default bound of a new content."""
BYTES_PER_VALUE = 2
"""The least bytes of a value in an object or an array: a digit, and a comma or a bracket."""
_PIECE_BYTES = 64 * 1024
_WHITE_SPACE = b" \t\n\r"


def has_more_values(text: bytes, most: int) -> bool:
    """Returns whether a JSON text has more than `most` values. The answer for a text that is not JSON means nothing."""
    if len(text) < BYTES_PER_VALUE * most:
        return False
    if text.count(b",") + text.count(b"[") + text.count(b"{") < most:
        return False  # true for nearly all texts, also if strings contain these characters
    return count_values(text, most) > most


def count_values(text: bytes, most: float = inf) -> int:
    """Returns the number of values in a JSON text. The count ends when it is above `most`."""
    # Counts what separates values outside strings, piece by piece.
    count, at, string_start, unknown = 1, 0, b"", b""
    while at < len(text) and count <= most:
        piece = text[at : at + _PIECE_BYTES]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            piece = text[at : at + _PIECE_BYTES + 1]  # an escape must not be cut
        at += len(piece)
        outside, string_start = _without_strings(string_start + piece)
        structure = unknown + outside
        # The next piece shows whether what opens here is empty.
        unknown = structure[-1:] if structure.endswith((b"[", b"{")) else b""
        count += _separators(structure[: len(structure) - len(unknown)])
    return count


def _separators(structure: bytes) -> int:
    """Returns the number of commas, and of objects and arrays that are not empty."""
    opening, empty = structure.count(b"[") + structure.count(b"{"), structure.count(b"[]") + structure.count(b"{}")
    return structure.count(b",") + opening - empty


def _without_strings(piece: bytes) -> tuple[bytes, bytes]:
    """Returns the bytes outside strings and white space, with a quote for each string.

    Also returns a quote if the last string continues, else nothing."""
    if b"\\" in piece:
        piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
    parts = piece.split(b'"')
    return b'"'.join(parts[::2]).translate(None, _WHITE_SPACE), b"" if len(parts) % 2 else b'"'
