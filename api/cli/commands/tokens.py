"""offer-ledger tokens"""

from datetime import UTC, datetime
from typing import Annotated

import typer

from api.access.credentials import (
    DEFAULT_REQUESTS_PER_MINUTE,
    MAX_LIMIT,
    TOKEN_NAME,
    TOKEN_PARTNER,
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
    name="tokens", help="Who may call the service, and as what.", no_args_is_help=True, rich_markup_mode=None
)


@tokens_app.command("create")
def create_token_command(
    role: Annotated[Role, typer.Option(help="What the token may do.")],
    name: Annotated[str, typer.Option(help="Recorded with everything that is done with it; 1 to 64 characters.")],
    partner: Annotated[str | None, typer.Option(help="Whose token it is; for the role partner only.")] = None,
    requests_per_minute: Annotated[
        int, typer.Option(help="Over all calls but those that send offers; 0 = unlimited.", min=0, max=MAX_LIMIT)
    ] = DEFAULT_REQUESTS_PER_MINUTE,
    expires_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it ends, as RFC 3339: 2027-01-01T00:00:00Z.")
    ] = None,
) -> None:
    """Create a token and print it, alone and this once: the ledger keeps only its digest."""
    if (role is Role.PARTNER) != (partner is not None):
        exit_with_error(f"--partner: {TOKEN_PARTNER}.", exit_code=2)
    if not is_token_name(name):
        exit_with_error(f"--name: {TOKEN_NAME}.", exit_code=2)
    secret = new_secret()
    command = CreateToken(name, role, partner, digest_secret(secret), requests_per_minute, _moment(expires_at))
    with open_service() as service:
        service.ledger.handle(command, cli_origin())
    print(secret)


@tokens_app.command("list")
def list_tokens_command(*, as_json: AsJson = False) -> None:
    """List all tokens; never their secrets."""
    with open_service() as service, service.ledger.recorder.read() as tx:
        found = list_tokens(tx)
        now = utc_text(service.clock())
    if as_json:
        print_json({"items": found})
    else:
        print_table(
            ("token", "role", "partner", "per minute", "created", "state"),
            [
                (t.name, t.role, t.partner, t.requests_per_minute or "unlimited", t.created_at, _state(t, now))
                for t in found
            ],
            empty="There are no tokens yet. Create one: offer-ledger tokens create --role auditor --name NAME",
        )


@tokens_app.command("revoke")
def revoke_token_command(name: Annotated[str, typer.Argument(metavar="NAME", help="The token's name.")]) -> None:
    """End a token, from the next request on."""
    with open_service() as service:
        service.ledger.handle(RevokeToken(name), cli_origin())
    print_line(f"Revoked {name}.")


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        told = datetime.fromisoformat(text)
        moment = told.astimezone(UTC) if told.tzinfo else None
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        exit_with_error("--expires-at: must be a time with its offset, such as 2027-01-01T00:00:00Z.", exit_code=2)
    if moment <= utc_now():
        exit_with_error("--expires-at: must lie in the future.", exit_code=2)
    return to_microseconds(moment)


def _state(token: TokenView, now: str) -> str:
    if token.revoked_at:
        return f"revoked {token.revoked_at}"
    if token.expires_at:
        return f"{'expired' if token.expires_at <= now else 'until'} {token.expires_at}"
    return "in use"
