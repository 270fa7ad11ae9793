"""The operations of an OpenAPI document."""

from collections.abc import Iterator
from typing import Any


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields each operation with its call, such as `GET /api/v1/offers`."""
    for path, operations in document["paths"].items():
        yield from ((f"{method.upper()} {path}", operation) for method, operation in operations.items())
