"""Skips tests for which Chromium or axe-core is missing."""

import os
from typing import NoReturn

import pytest


def skip_or_fail(requirement: str) -> NoReturn:
    """Skips the test, or fails it in CI, where everything must be installed."""
    message = f"{requirement} is missing. Install it with `make browser`."
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
