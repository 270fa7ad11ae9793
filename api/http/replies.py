"""JSON replies."""

from typing import Any

import msgspec
from fastapi import Response

JSON = "application/json"
HTML = "text/html"


def json_response(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Encodes a document without FastAPI's own encoder, which would first copy it into plain objects."""
    return Response(msgspec.json.encode(document), status, headers, JSON)
