"""The bound of every wait in the tests, and the one way to wait for a condition.

A test never waits for a time to pass if it can wait for a condition. The bound is generous: it only ends a test that hangs.
"""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 120.0
"""A start of the service takes 2 seconds on a quiet machine, and 20 beside four times as many busy processes as cores."""
POLL_SECONDS = 0.01

Found = TypeVar("Found")


def wait_until(
    condition: Callable[[], Found], within: float = PATIENCE_SECONDS, describe: Callable[[], object] = lambda: None
) -> Found:
    """Polls until the condition is true and returns its value. A failure shows what `describe` returns."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, describe()
        time.sleep(POLL_SECONDS)
    return found
