"""Fixtures of the tests of single requests."""

import pytest

from api.service import Service
from tests.support.calls.merchants import limit


@pytest.fixture
def no_rate_limit(service: Service) -> None:
    """Lets the partner send any number of single requests per second."""
    limit(service)
