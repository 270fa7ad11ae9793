"""Reads lists page by page."""

from collections.abc import Iterator
from typing import Any

import httpx2

from tests.support.harness import Caller


def items_of(reply: httpx2.Response) -> list[Any]:
    assert reply.status_code == 200
    items: list[Any] = reply.json()["items"]
    return items


def pages(caller: Caller, path: str, **params: Any) -> Iterator[list[Any]]:
    """Yields the items of each page. Follows Link, and checks that nextCursor gives the same pages."""
    reply = caller.get(path, **params)
    while True:
        yield items_of(reply)
        cursor, link = reply.json()["nextCursor"], reply.links.get("next")
        assert (cursor is None) == (link is None)
        if link is None:
            return
        assert link["url"].startswith(f"{path}?")
        next_reply = caller.http.get(link["url"])
        assert next_reply.json() == caller.get(path, **params, cursor=cursor).json()
        reply = next_reply
