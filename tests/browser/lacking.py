"""What becomes of a test for which this machine lacks something?"""

import os
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """It is skipped, but not in CI, which has to have all of it."""
    told = f"{what} is missing: `make browser` brings it, where it may."
    if os.environ.get("CI") == "true":
        pytest.fail(told, pytrace=False)
    pytest.skip(told)
