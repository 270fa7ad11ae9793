"""Who looks at the console."""

import pytest

from domain.values import Role
from tests.api.console.looking import Looking
from tests.harness import Call, MakeToken


@pytest.fixture
def operator(call: Call, token: MakeToken) -> Looking:
    return Looking(call, token(Role.OPERATOR))
