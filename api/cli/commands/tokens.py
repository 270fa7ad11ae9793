"""offer-ledger tokens"""

from datetime import UTC, datetime
from typing import Annotated

import typer

from api.access.credentials import (
    DEFAULT_REQUESTS_PER_MINUTE,
    MAX_LIMIT,
    NAME_RULE,
    PARTNER_RULE,
    is_token_name,
    new_secret,
)
from api.cli.local_user import cli_origin
from api.cli.output import AsJson, exit_with_error, print_json, print_line, print_table
from api.dependencies.authentication import digest_secret
from api.wiring import open_service, utc_now
from domain.access.token import CreateToken, RevokeToken
from domain.values import Role, to_microseconds, utc_text
from projections.access.tokens import TokenView, list_tokens

tokens_app = typer.Typer(
    name="tokens",
    help="Create, list and revoke the tokens that give access to the service.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@tokens_app.command("create")
def create_token_command(
    role: Annotated[Role, typer.Option(help="Role of the token: it decides which calls are allowed.")],
    name: Annotated[
        str,
        typer.Option(
            help="Name of the token, 1 to 64 characters. It is recorded as the actor of all changes by the token."
        ),
    ],
    partner: Annotated[
        str | None, typer.Option(help="Partner of the token. Required for the role partner, refused for other roles.")
    ] = None,
    requests_per_minute: Annotated[
        int,
        typer.Option(
            help="Requests per minute, not counting requests that send offers. 0: unlimited.", min=0, max=MAX_LIMIT
        ),
    ] = DEFAULT_REQUESTS_PER_MINUTE,
    expires_at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="End of the token (RFC 3339), such as 2027-01-01T00:00:00Z. Default: no end."
        ),
    ] = None,
) -> None:
    """Create a token and print its secret.

    The secret is printed only once: the ledger stores its digest, not the secret."""
    if (role is Role.PARTNER) != (partner is not None):
        exit_with_error(f"--partner: {PARTNER_RULE}.", exit_code=2)
    if not is_token_name(name):
        exit_with_error(f"--name: {NAME_RULE}.", exit_code=2)
    secret = new_secret()
    command = CreateToken(name, role, partner, digest_secret(secret), requests_per_minute, _parse_expiry(expires_at))
    with open_service() as service:
        service.ledger.handle(command, cli_origin())
    print(secret)


@tokens_app.command("list")
def list_tokens_command(*, as_json: AsJson = False) -> None:
    """List all tokens, without their secrets."""
    with open_service() as service, service.ledger.recorder.read() as tx:
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


@tokens_app.command("revoke")
def revoke_token_command(name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the token.")]) -> None:
    """Revoke a token.

    All servers refuse it from the next request on."""
    with open_service() as service:
        service.ledger.handle(RevokeToken(name), cli_origin())
    print_line(f"Revoked the token {name}.")


def _parse_expiry(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
        expiry = time.astimezone(UTC) if time.tzinfo else None
    except (ValueError, OverflowError):
        expiry = None
    if expiry is None:
        exit_with_error("--expires-at: must be a time with an offset, such as 2027-01-01T00:00:00Z.", exit_code=2)
    if expiry <= utc_now():
        exit_with_error("--expires-at: must be in the future.", exit_code=2)
    return to_microseconds(expiry)


def _state(token: TokenView, now: str) -> str:
    if token.revoked_at:
        return f"revoked {token.revoked_at}"
    if token.expires_at:
        return f"{'expired' if token.expires_at <= now else 'valid until'} {token.expires_at}"
    return "valid"
