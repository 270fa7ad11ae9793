"""How does a reply lead to the next page?"""

from typing import Any

from starlette.datastructures import URL

from domain.store.commit import Head
from domain.values import utc_text

JSON = "application/json"


def told_of_head(head: Head) -> dict[str, Any]:
    """What pins an answer: the position, and when it was recorded."""
    return {"position": head.position, "asOf": utc_text(head.recorded_at) if head.recorded_at else None}


def next_link(url: URL, next_cursor: str | None) -> dict[str, str]:
    """The header Link (RFC 8288), relative to the server that was called."""
    if next_cursor is None:
        return {}
    following = url.include_query_params(cursor=next_cursor)
    return {"Link": f'<{following.path}?{following.query}>; rel="next"'}
