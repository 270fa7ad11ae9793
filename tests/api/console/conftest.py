"""Fixtures for the tests of the console."""

import pytest

from domain.values import Role
from tests.support.calls.console_pages import ConsoleReader
from tests.support.harness import Call, MakeToken


@pytest.fixture
def operator(call: Call, token: MakeToken) -> ConsoleReader:
    return ConsoleReader(call, token(Role.OPERATOR))
