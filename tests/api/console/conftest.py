"""Who looks at the console."""

import pytest

from domain.values import Role
from tests.support.calls.console_pages import Looking
from tests.support.harness import Call, MakeToken


@pytest.fixture
def operator(call: Call, token: MakeToken) -> Looking:
    return Looking(call, token(Role.OPERATOR))
