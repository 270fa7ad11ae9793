"""Tests of decisions about partners and tokens."""

from functools import reduce

import pytest

from domain.access import partner as partners
from domain.access import token
from domain.access.partner import SetPartner
from domain.access.token import CreateToken, RevokeToken
from domain.events import PartnerRegistered, PartnerSettingsChanged, TokenCreated, TokenEvent, TokenRevoked
from domain.refusals import TokenNameTaken, UnknownToken, WindowDaysOutOfBounds
from domain.values import Operation, PartnerSettings, Role

CREATE = CreateToken("try", Role.AUDITOR, None, "00" * 32, 600, None)
CREATED = TokenCreated(
    name="try", role=Role.AUDITOR, partner=None, secret_sha256="00" * 32, requests_per_minute=600, expires_at=None
)


def test_new_partner_gets_command_values_and_defaults() -> None:
    assert partners.set_partner(partners.UNKNOWN_PARTNER, SetPartner("p", insert_per_hour=5)) == [
        PartnerRegistered(partner="p", settings=PartnerSettings(1, 5))
    ]


def test_known_partner_keeps_settings_missing_from_the_command() -> None:
    partner = partners.evolve(partners.UNKNOWN_PARTNER, PartnerRegistered(partner="p", settings=PartnerSettings(3, 5)))
    assert partners.set_partner(partner, SetPartner("p", synchronize_per_day=0)) == [
        PartnerSettingsChanged(settings=PartnerSettings(0, 5))
    ]


def test_unchanged_settings_produce_no_event() -> None:
    partner = partners.evolve(partners.UNKNOWN_PARTNER, PartnerRegistered(partner="p", settings=PartnerSettings(3, 5)))
    assert partners.set_partner(partner, SetPartner("p", 3, 5)) == []


@pytest.mark.parametrize("days", [29, 46])
def test_partner_rejects_redemption_window_out_of_bounds(days: int) -> None:
    with pytest.raises(WindowDaysOutOfBounds):
        partners.set_partner(partners.UNKNOWN_PARTNER, SetPartner("p", redemption_window_days=days))


def test_partner_has_a_limit_for_each_operation() -> None:
    partner = partners.evolve(partners.UNKNOWN_PARTNER, PartnerSettingsChanged(settings=PartnerSettings(3, 5)))
    assert [partner.limit(operation) for operation in (Operation.SYNCHRONIZE, Operation.INSERT)] == [3, 5]


@pytest.mark.parametrize("history", [[], [CREATED, TokenRevoked()]])
def test_token_can_have_an_unused_or_revoked_name(history: list[TokenEvent]) -> None:
    assert token.create_token(reduce(token.evolve, history, token.UNKNOWN_TOKEN), CREATE) == [CREATED]


def test_token_can_not_have_a_name_in_use() -> None:
    with pytest.raises(TokenNameTaken):
        token.create_token(token.evolve(token.UNKNOWN_TOKEN, CREATED), CREATE)


def test_token_in_use_can_be_revoked() -> None:
    assert token.revoke_token(token.evolve(token.UNKNOWN_TOKEN, CREATED), RevokeToken("try")) == [TokenRevoked()]


@pytest.mark.parametrize("history", [[], [CREATED, TokenRevoked()]])
def test_unknown_or_revoked_token_can_not_be_revoked(history: list[TokenEvent]) -> None:
    with pytest.raises(UnknownToken):
        token.revoke_token(reduce(token.evolve, history, token.UNKNOWN_TOKEN), RevokeToken("try"))
