"""Lists that come in pages, as a caller follows them."""

from collections.abc import Iterator
from typing import Any

import httpx2

from tests.support.harness import Caller


def items_of(reply: httpx2.Response) -> list[Any]:
    assert reply.status_code == 200
    items: list[Any] = reply.json()["items"]
    return items


def pages(caller: Caller, path: str, **params: Any) -> Iterator[list[Any]]:
    """Follows nextCursor, and looks at Link on the way."""
    reply = caller.get(path, **params)
    while True:
        yield items_of(reply)
        cursor, link = reply.json()["nextCursor"], reply.links.get("next")
        assert (cursor is None) == (link is None)
        if link is None:
            return
        assert link["url"].startswith(f"{path}?")
        following = caller.http.get(link["url"])
        assert following.json() == caller.get(path, **params, cursor=cursor).json()
        reply = following
