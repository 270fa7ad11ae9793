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
    after: int | tuple[int, ...]


def encode(question: Any, after: int | tuple[int, ...] | None) -> str | None:
    """`question`: what was asked, without cursor and limit; None if there is no next page."""
    if after is None:
        return None
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(_Cursor(_mark(question), after))).decode().rstrip("=")


def decode(question: Any, cursor: str | None) -> int:
    """The place to go on after. Raises InvalidCursor for one that this service did not give to this question."""
    return START if cursor is None else _places(question, cursor, 1)[0]


def decode_places(question: Any, cursor: str | None, count: int) -> tuple[int, ...] | None:
    """The same for a list whose places are told by several numbers; None for its start."""
    return None if cursor is None else _places(question, cursor, count)


def _places(question: Any, cursor: str, count: int) -> tuple[int, ...]:
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        found = msgspec.msgpack.decode(packed, type=_Cursor)
    except ValueError:
        raise InvalidCursor from None
    places = found.after if isinstance(found.after, tuple) else (found.after,)
    if found.question != _mark(question) or len(places) != count or not all(0 <= place < 2**53 for place in places):
        raise InvalidCursor
    return places


def _mark(question: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(question)).hexdigest()[:16]
