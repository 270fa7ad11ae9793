"""Where does the next page start?

A cursor is opaque to its caller: the place after which to go on, bound to the question that it was given for.
"""

import base64
import hashlib
from typing import Any

import msgspec

START = 0


class InvalidCursor(Exception):  # noqa: N818 - it says what the cursor is
    """Not a cursor that this list gave with these filters."""


class _Cursor(msgspec.Struct, array_like=True):
    question: str
    after: int


def encode(question: Any, after: int | None) -> str | None:
    """`question`: what was asked, without cursor and limit; None if there is no next page."""
    if after is None:
        return None
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(_Cursor(_mark(question), after))).decode().rstrip("=")


def decode(question: Any, cursor: str | None) -> int:
    """The place to go on after. Raises InvalidCursor for one that this service did not give to this question."""
    if cursor is None:
        return START
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        found = msgspec.msgpack.decode(packed, type=_Cursor)
    except ValueError:
        found = _Cursor("", START)
    if found.question != _mark(question) or not 0 <= found.after < 2**53:
        raise InvalidCursor
    return found.after


def _mark(question: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(question)).hexdigest()[:16]
