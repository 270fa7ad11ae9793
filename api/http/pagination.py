"""Where does the next page start?

A cursor is opaque to its caller: the place after which to go on, bound to the question that it was given for.
"""

import base64
import hashlib
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from starlette.datastructures import URL

from domain.store.commit import LedgerHead
from domain.values import from_microseconds, utc_text

FIRST_PAGE = 0

_PageCursor = TypeVar("_PageCursor", bound=tuple[int, ...])
"""A NamedTuple."""


class InvalidCursor(Exception):
    """Not a cursor that this list gave with these filters; or its list has seen what is not there to be read."""


class _Cursor(msgspec.Struct, array_like=True):
    question: str
    after: int | tuple[int, ...]


def encode_cursor(question: Any, after: int | tuple[int, ...] | None) -> str | None:
    """`question`: what was asked, without cursor and limit; None if there is no next page."""
    if after is None:
        return None
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(_Cursor(_mark(question), after))).decode().rstrip("=")


def decode_cursor(question: Any, cursor: str | None) -> int:
    """The place to go on after. Raises InvalidCursor for one that this service did not give to this question."""
    if cursor is None:
        return FIRST_PAGE
    found = _open(question, cursor)
    if isinstance(found, tuple) or not 0 <= found < 2**53:
        raise InvalidCursor
    return found


def decode_cursor_as(kind: type[_PageCursor], question: Any, cursor: str | None) -> _PageCursor | None:
    """The same where a place is told by several numbers; None for the list's start."""
    if cursor is None:
        return None
    found = _open(question, cursor)
    if not isinstance(found, tuple) or not all(0 <= number < 2**62 for number in found):
        raise InvalidCursor
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError:
        raise InvalidCursor from None


def cursor_time(microseconds: int) -> datetime:
    """A time that a cursor told. Raises InvalidCursor for one that no list has."""
    try:
        return from_microseconds(microseconds)
    except OverflowError:
        raise InvalidCursor from None


def _open(question: Any, cursor: str) -> int | tuple[int, ...]:
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        found = msgspec.msgpack.decode(packed, type=_Cursor)
    except ValueError:
        raise InvalidCursor from None
    if found.question != _mark(question):
        raise InvalidCursor
    return found.after


def _mark(question: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(question)).hexdigest()[:16]


def head_members(head: LedgerHead) -> dict[str, Any]:
    """What pins an answer: the position, and when it was recorded."""
    return {"position": head.position, "asOf": utc_text(head.recorded_at) if head.recorded_at else None}


def next_link(url: URL, next_cursor: str | None) -> dict[str, str]:
    """The header Link (RFC 8288), relative to the server that was called."""
    if next_cursor is None:
        return {}
    following = url.include_query_params(cursor=next_cursor)
    return {"Link": f'<{following.path}?{following.query}>; rel="next"'}
