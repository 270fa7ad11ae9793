"""Creates, lists and revokes tokens."""

from datetime import datetime

from api.access.credentials import NAME_RULE, PARTNER_RULE, is_token_name, new_secret
from api.cli.local_ledger import open_ledger
from api.cli.local_user import cli_origin
from api.cli.messages import exit_with_error, print_line
from api.cli.output import print_json, print_table
from api.dependencies.authentication import digest_secret
from api.wiring import utc_now
from domain.access.token import CreateToken, RevokeToken
from domain.values import Role, to_microseconds, utc_text
from projections.access.tokens import TokenView, list_tokens


def issue_token(
    role: Role,
    name: str,
    partner: str | None,
    requests_per_minute: int,
    expires_at: datetime | None,
    reason: str | None = None,
) -> None:
    if (role is Role.PARTNER) != (partner is not None):
        exit_with_error(f"--partner: {PARTNER_RULE}.", exit_code=2)
    if not is_token_name(name):
        exit_with_error(f"--name: {NAME_RULE}.", exit_code=2)
    if expires_at and expires_at <= utc_now():
        exit_with_error("--expires-at: must be in the future.", exit_code=2)
    secret = new_secret()
    expiry = to_microseconds(expires_at) if expires_at else None
    command = CreateToken(name, role, partner, digest_secret(secret), requests_per_minute, expiry)
    with open_ledger() as service:
        service.ledger.handle(command, cli_origin(reason))
    print(secret)


def print_tokens(*, as_json: bool) -> None:
    with open_ledger() as service, service.ledger.recorder.read() as tx:
        tokens = list_tokens(tx)
        now = utc_text(service.clock())
    if as_json:
        print_json({"items": tokens})
    else:
        print_table(
            ("token", "role", "partner", "per minute", "created", "state"),
            [
                (t.name, t.role, t.partner, t.requests_per_minute or "unlimited", t.created_at, _state(t, now))
                for t in tokens
            ],
            empty="There are no tokens. To create one, run: offer-ledger tokens create --role auditor --name NAME",
        )


def withdraw_token(name: str, reason: str | None = None) -> None:
    with open_ledger() as service:
        service.ledger.handle(RevokeToken(name), cli_origin(reason))
    print_line(f"Revoked the token {name}.")


def _state(token: TokenView, now: str) -> str:
    if token.revoked_at:
        return f"revoked {token.revoked_at}"
    if token.expires_at:
        return f"{'expired' if token.expires_at <= now else 'valid until'} {token.expires_at}"
    return "valid"
