"""Recognises JSON whose end is missing, as after an interrupted upload."""

import msgspec
from msgspec import Raw

from api.parsing.body_start import BYTE_ORDER_MARK
from api.parsing.nesting import blank_too_deep

_TRUNCATED = "Input data was truncated"
"""The message of msgspec for a text that ends too early."""
_NUMBER_CHARACTERS = b"+-.0123456789Ee"


def is_truncated(text: bytes) -> bool:
    """Returns whether more bytes could complete the text to a JSON document. This is so for an empty text.

    A text can be truncated and have an error that msgspec does not report. The result is then True, too."""
    if BYTE_ORDER_MARK.startswith(text):
        return True
    text = text.removeprefix(BYTE_ORDER_MARK)
    if _fault(text) is None:
        return False
    # Each version of Python gives up at another depth, so the contents of deep containers are not looked at.
    shallow = blank_too_deep(text.decode(errors="surrogateescape")).encode(errors="surrogateescape")
    # A number without its last characters, such as `1.` or `-`, is invalid for msgspec.
    return _TRUNCATED in (_fault(shallow), _fault(shallow.rstrip(_NUMBER_CHARACTERS)))


_decode = msgspec.json.Decoder(Raw).decode


def _fault(text: bytes) -> str | None:
    """Returns why the text is not a JSON document; None if it is one."""
    try:
        _decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        return str(error)
    return None
