"""Skips tests for which a tool is missing, which Python packages of the tests do not bring."""

import os
from typing import NoReturn

import pytest


def skip_or_fail_without(tool: str, target: str) -> NoReturn:
    """Skips the test, or fails it in CI, where everything must be installed."""
    message = f"{tool} is missing. Install it with `make {target}`."
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
