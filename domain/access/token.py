"""Access tokens: state and decisions.

A token is identified by its name, which every commit made with it records as the actor. While a token is in use, no
other token can have its name. After it is revoked, a new token can have the name, with a new secret.
"""

from typing import assert_never

from msgspec import Struct

from domain.events import TokenCreated, TokenEvent, TokenRevoked
from domain.refusals import TokenNameTaken, UnknownToken
from domain.values import Role

# State


class Token(Struct, frozen=True):
    in_use: bool = False
    partner: str | None = None


UNKNOWN_TOKEN = Token()


def evolve(token: Token, event: TokenEvent) -> Token:
    match event:
        case TokenCreated(partner=partner):
            return Token(in_use=True, partner=partner)
        case TokenRevoked():
            return Token(in_use=False, partner=token.partner)
        case _:
            assert_never(event)


# Decisions


class CreateToken(Struct, frozen=True):
    """Command that creates a token.

    `secret_sha256` is hex; the ledger never stores the secret itself. `expires_at` is microseconds since 1970."""

    name: str
    role: Role
    partner: str | None
    secret_sha256: str
    requests_per_minute: int
    expires_at: int | None


class RevokeToken(Struct, frozen=True):
    name: str


def create_token(token: Token, command: CreateToken) -> list[TokenEvent]:
    """Raises TokenNameTaken."""
    if token.in_use:
        raise TokenNameTaken(command.name)
    return [
        TokenCreated(
            name=command.name,
            role=command.role,
            partner=command.partner,
            secret_sha256=command.secret_sha256,
            requests_per_minute=command.requests_per_minute,
            expires_at=command.expires_at,
        )
    ]


def revoke_token(token: Token, command: RevokeToken) -> list[TokenEvent]:
    """Raises UnknownToken."""
    if not token.in_use:
        raise UnknownToken(command.name)
    return [TokenRevoked()]
