"""offer-ledger partners, offer-ledger tokens"""

from datetime import datetime
from typing import Annotated, Any

import typer

from api.access.credentials import DEFAULT_REQUESTS_PER_MINUTE, MAX_LIMIT
from api.cli.option_types import AsJson, OptionalReason, parse_time
from api.cli.registry import example, group_of
from domain.redemption.window import MAX_DAYS, MIN_DAYS
from domain.values import MissingFromFile, Role

_NewName = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of the partner: 1 to 64 letters, digits, dots, hyphens and underscores."
        " It starts with a letter or a digit.",
    ),
]
_SynchronizePerDay = Annotated[
    int | None,
    typer.Option(
        help="Synchronize runs per UTC day. 0: unlimited. Default for a new partner: 1.", min=0, max=MAX_LIMIT
    ),
]
_InsertPerHour = Annotated[
    int | None,
    typer.Option(
        help="Insert runs per UTC clock hour. 0: unlimited. Default for a new partner: 1.", min=0, max=MAX_LIMIT
    ),
]
_Rps = Annotated[
    int | None,
    typer.Option(help="Single requests per second. 0: unlimited. Default for a new partner: 10.", min=0, max=MAX_LIMIT),
]
_DailyQuota = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help="Single requests per UTC day. 0: unlimited. auto: 1.2 times the merchant offers of the partner,"
        " at least 1000. Default for a new partner: auto.",
    ),
]
_MissingFromFile = Annotated[
    MissingFromFile | None,
    typer.Option(
        help="Treatment of active offers that are missing from an offers file. Default for a new partner: report."
    ),
]
_WindowDays = Annotated[
    int | None,
    typer.Option(
        help="Redemption window in days for offers without a flight. Default for a new partner: 45.",
        min=MIN_DAYS,
        max=MAX_DAYS,
    ),
]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the partner. Upper and lower case differ.")]


@example("offer-ledger partners set tidepool --insert-per-hour 4 --daily-quota auto")
def set_partner_command(
    name: _NewName,
    synchronize_per_day: _SynchronizePerDay = None,
    insert_per_hour: _InsertPerHour = None,
    rps: _Rps = None,
    daily_quota: _DailyQuota = None,
    missing_from_file: _MissingFromFile = None,
    redemption_window_days: _WindowDays = None,
    reason: OptionalReason = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Register a partner, or change its settings.

    Settings without an option stay as they are. A change applies from the next request. If the database is empty, the
    command creates a ledger first."""
    from api.cli.actions.access import partners

    partners.change_partner(
        name,
        daily_quota,
        reason,
        as_json=as_json,
        synchronize_per_day=synchronize_per_day,
        insert_per_hour=insert_per_hour,
        rps=rps,
        missing_from_file=missing_from_file,
        redemption_window_days=redemption_window_days,
    )


@example("offer-ledger partners show tidepool")
def show_partner_command(name: _Name, *, as_json: AsJson = False) -> None:
    """Show the settings of one partner."""
    from api.cli.actions.access import partners

    partners.print_partner(name, as_json=as_json)


@example("offer-ledger partners list")
def list_partners_command(*, as_json: AsJson = False) -> None:
    """List all partners with their settings."""
    from api.cli.actions.access import partners

    partners.print_partners(as_json=as_json)


partners_app = group_of(
    "partners",
    "Register partners and set their limits.",
    set=set_partner_command,
    show=show_partner_command,
    list=list_partners_command,
)


@example("offer-ledger tokens create --role partner --partner tidepool --name feed")
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
        Any,
        typer.Option(parser=parse_time, metavar="TIME", help="End of the token, such as 2027-01-01. Default: no end."),
    ] = None,
    reason: OptionalReason = None,
) -> None:
    """Create a token and print its secret.

    The secret is printed only once: the ledger stores its digest, not the secret."""
    from api.cli.actions.access import tokens

    end: datetime | None = expires_at
    tokens.issue_token(role, name, partner, requests_per_minute, end, reason)


@example("offer-ledger tokens list")
def list_tokens_command(*, as_json: AsJson = False) -> None:
    """List all tokens, without their secrets."""
    from api.cli.actions.access import tokens

    tokens.print_tokens(as_json=as_json)


@example("offer-ledger tokens revoke feed")
def revoke_token_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the token.")], reason: OptionalReason = None
) -> None:
    """Revoke a token.

    All servers refuse it from the next request on."""
    from api.cli.actions.access import tokens

    tokens.withdraw_token(name, reason)


tokens_app = group_of(
    "tokens",
    "Create, list and revoke access tokens.",
    create=create_token_command,
    list=list_tokens_command,
    revoke=revoke_token_command,
)
