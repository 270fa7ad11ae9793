"""Decodes contents with very small or very large numbers.

msgspec converts a number beyond about 1e-290 or 1e290 with arithmetic of any length. That takes 10 to 30 microseconds for each,
and no other thread runs until the whole text is decoded. The decoder of the standard library takes one.
"""

import re
from json import JSONDecoder
from typing import Any

import msgspec

FEW_NUMBERS = 1000
"""So many slow numbers take less than 50 milliseconds."""
_PIECE_BYTES = 64 * 1024
_MANY_ZEROS = b"0" * 100
_MAX_INT_DIGITS = 18

# Each begins with a literal byte, so that the search takes little time.
_find_exponents = tuple(re.compile(rb"%b[+-]?0*[1-9][0-9]{2}" % letter).search for letter in (b"e", b"E"))
_decode = msgspec.json.Decoder().decode


def has_slow_numbers(text: bytes) -> bool:
    """Returns whether a JSON text may have more than FEW_NUMBERS slow numbers. Text in strings may look like one."""
    # A comma stands between two numbers, also if both are in containers.
    if len(text) < 2 * FEW_NUMBERS or text.count(b",") < FEW_NUMBERS:
        return False
    # A number across two pieces may be missed: one for each piece.
    return any(_is_slow(text[at : at + _PIECE_BYTES]) for at in range(0, len(text), _PIECE_BYTES))


def _is_slow(piece: bytes) -> bool:
    return _MANY_ZEROS in piece or any(find(piece) for find in _find_exponents)


def decode_content(text: bytes) -> Any:
    """Decodes valid JSON, such as a stored content."""
    return _decode_slow_numbers(text.decode()) if has_slow_numbers(text) else _decode(text)


def _parse_int(digits: str) -> int | float:
    # msgspec decodes an integer that 64 bits cannot hold as a float, and cannot encode a longer integer.
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else _decode(digits)


_decode_slow_numbers = JSONDecoder(parse_int=_parse_int).decode
