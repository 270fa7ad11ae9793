"""Objects that a worker process keeps between the calls of one reservation."""

from typing import Any

kept_objects: dict[Any, Any] = {}
"""The functions that the server calls add objects. The process removes all of them before it rests."""
