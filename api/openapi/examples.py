"""The examples of requests and replies.

`examples.json` holds them for each operation. They are recorded from the real service:
`python -m tests.support.generated_pages` writes the file, and a test compares it with the service.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from api.openapi.operations import operations_of

_FILE = Path(__file__).with_name("examples.json")


def add_examples(document: dict[str, Any]) -> None:
    """Adds the recorded examples to the bodies of requests and of successful replies."""
    recorded = _recorded()
    for _, operation in operations_of(document):
        found = recorded.get(operation["operationId"], {})
        bodies = operation.get("requestBody", {}).get("content", {})
        _add(bodies, found.get("request", {}))
        for status, reply in operation["responses"].items():
            _add(reply.get("content", {}), found.get(status, {}))


def _add(bodies: dict[str, Any], examples: dict[str, Any]) -> None:
    for media_type, example in examples.items():
        bodies[media_type]["example"] = example


@cache
def _recorded() -> dict[str, dict[str, dict[str, Any]]]:
    """Returns the examples by operation, by `request` or status, and by media type."""
    recorded: dict[str, dict[str, dict[str, Any]]] = json.loads(_FILE.read_text())
    return recorded
