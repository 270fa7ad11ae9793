"""Cursors of paged lists.

A cursor is opaque to the client. It holds the place after which the next page starts, and a digest of the list's
filters, so that it is valid with the same filters only.
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
    """The cursor is not from this list with these filters, or it names a state that the database does not have."""


class _Cursor(msgspec.Struct, array_like=True):
    query_digest: str
    after: int | tuple[int, ...]


def encode_cursor(query: Any, after: int | tuple[int, ...] | None) -> str | None:
    """Returns None if `after` is None: there is no next page. `query`: all filters, without cursor and limit."""
    if after is None:
        return None
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(_Cursor(_digest(query), after))).decode().rstrip("=")


def decode_cursor(query: Any, cursor: str | None) -> int:
    """Returns the place after which the page starts. Raises InvalidCursor for a cursor of another query."""
    if cursor is None:
        return FIRST_PAGE
    place = _unpack(query, cursor)
    if isinstance(place, tuple) or not 0 <= place < 2**53:
        raise InvalidCursor
    return place


def decode_cursor_as(kind: type[_PageCursor], query: Any, cursor: str | None) -> _PageCursor | None:
    """Returns a place of several numbers; None for the first page. Raises InvalidCursor for another query's cursor."""
    if cursor is None:
        return None
    place = _unpack(query, cursor)
    if not isinstance(place, tuple) or not all(0 <= number < 2**62 for number in place):
        raise InvalidCursor
    try:
        return msgspec.convert(place, kind)
    except msgspec.ValidationError:
        raise InvalidCursor from None


def cursor_time(microseconds: int) -> datetime:
    """Converts a time of a cursor. Raises InvalidCursor if it is out of range."""
    try:
        return from_microseconds(microseconds)
    except OverflowError:
        raise InvalidCursor from None


def _unpack(query: Any, cursor: str) -> int | tuple[int, ...]:
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        content = msgspec.msgpack.decode(packed, type=_Cursor)
    except ValueError:
        raise InvalidCursor from None
    if content.query_digest != _digest(query):
        raise InvalidCursor
    return content.after


def _digest(query: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(query)).hexdigest()[:16]


def head_members(head: LedgerHead) -> dict[str, Any]:
    """Returns the members of a reply that name its state: the position, and the recorded time of its commit."""
    return {"position": head.position, "asOf": utc_text(head.recorded_at) if head.recorded_at else None}


def next_link(url: URL, next_cursor: str | None) -> dict[str, str]:
    """Returns the `Link` header for the next page (RFC 8288), relative to the server."""
    if next_cursor is None:
        return {}
    following = url.include_query_params(cursor=next_cursor)
    return {"Link": f'<{following.path}?{following.query}>; rel="next"'}
