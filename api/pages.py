"""How does a reply lead to the next page?"""

from starlette.datastructures import URL

JSON = "application/json"


def next_link(url: URL, next_cursor: str | None) -> dict[str, str]:
    """The header Link (RFC 8288), relative to the server that was called."""
    if next_cursor is None:
        return {}
    following = url.include_query_params(cursor=next_cursor)
    return {"Link": f'<{following.path}?{following.query}>; rel="next"'}
