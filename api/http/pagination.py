"""Cursors of paged lists.

A cursor is opaque to the client. It holds the place after which the next page starts, the start of the ledger's name,
and a digest of the list's filters. So it is valid in the same ledger and with the same filters only. A restore gives
the ledger a new name, since it assigns places again: no cursor from before it continues in the restored ledger.
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
NAME_DIGITS = 8

_PageCursor = TypeVar("_PageCursor", bound=tuple[int, ...])
"""A NamedTuple."""


class InvalidCursor(Exception):
    """The cursor is not from this list with these filters, or it names a state that the database does not have."""


class ForeignCursor(InvalidCursor):
    """The cursor is from another ledger, or from this one before a restore."""


class _Cursor(msgspec.Struct, array_like=True):
    ledger: str
    query_digest: str
    after: int | tuple[int, ...]


class PageCursors:
    """The cursors of one list in one ledger. `query`: all filters, without cursor and limit."""

    def __init__(self, ledger_name: str, query: Any) -> None:
        self._ledger = ledger_name[:NAME_DIGITS]
        self._digest = hashlib.sha256(msgspec.json.encode(query)).hexdigest()[:16]

    def encode(self, after: int | tuple[int, ...] | None) -> str | None:
        """Returns None if `after` is None: there is no next page."""
        if after is None:
            return None
        packed = msgspec.msgpack.encode(_Cursor(self._ledger, self._digest, after))
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def decode(self, cursor: str | None) -> int:
        """Returns the place after which the page starts. Raises InvalidCursor for a cursor of another list."""
        if cursor is None:
            return FIRST_PAGE
        place = self._unpack(cursor)
        if isinstance(place, tuple) or not 0 <= place < 2**53:
            raise InvalidCursor
        return place

    def decode_as(self, kind: type[_PageCursor], cursor: str | None) -> _PageCursor | None:
        """Returns a place of several numbers; None for the first page. Raises InvalidCursor for another list's cursor."""
        if cursor is None:
            return None
        place = self._unpack(cursor)
        if not isinstance(place, tuple) or not all(0 <= number < 2**62 for number in place):
            raise InvalidCursor
        try:
            return msgspec.convert(place, kind)
        except msgspec.ValidationError:
            raise InvalidCursor from None

    def _unpack(self, cursor: str) -> int | tuple[int, ...]:
        try:
            packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            content = msgspec.msgpack.decode(packed, type=_Cursor)
        except ValueError:
            raise InvalidCursor from None
        if content.ledger != self._ledger:
            raise ForeignCursor
        if content.query_digest != self._digest:
            raise InvalidCursor
        return content.after


def cursor_time(microseconds: int) -> datetime:
    """Converts a time of a cursor. Raises InvalidCursor if it is out of range."""
    try:
        return from_microseconds(microseconds)
    except OverflowError:
        raise InvalidCursor from None


def head_members(head: LedgerHead) -> dict[str, Any]:
    """Returns the members of a reply that name its state: the position, and the recorded time of its commit."""
    return {"position": head.position, "asOf": utc_text(head.recorded_at) if head.recorded_at else None}


def next_link(url: URL, next_cursor: str | None) -> dict[str, str]:
    """Returns the `Link` header for the next page (RFC 8288), relative to the server."""
    if next_cursor is None:
        return {}
    following = url.include_query_params(cursor=next_cursor)
    return {"Link": f'<{following.path}?{following.query}>; rel="next"'}
