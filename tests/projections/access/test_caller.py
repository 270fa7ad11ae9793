"""The partners whose data a caller sees."""

import pytest

from domain.values import Role
from projections.access.tokens import Caller


@pytest.mark.parametrize(
    ("own", "requested", "sees"),
    [("tidepool", "tidepool", True), ("tidepool", "harbor", False), ("tidepool", None, False), (None, "harbor", True)],
)
def test_partner_sees_only_its_own_data(own: str | None, requested: str | None, sees: bool) -> None:
    role = Role.PARTNER if own else Role.AUDITOR
    assert Caller("a", role, own, 0).sees(requested) is sees


def test_auditor_sees_the_data_of_all_partners() -> None:
    assert Caller("a", Role.AUDITOR, None, 0).sees(None)
