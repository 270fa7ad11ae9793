"""offer-ledger partners"""

import re
from typing import Annotated, Literal

import typer

from api.access.credentials import MAX_LIMIT, PARTNER_NAME_RULE, is_partner_name
from api.cli.local_user import cli_origin
from api.cli.output import AsJson, exit_with_error, print_json, print_table
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.redemption.window import MAX_DAYS, MIN_DAYS
from domain.values import MissingFromFile
from projections.access.partners import PartnerView, list_partners

partners_app = typer.Typer(
    name="partners",
    help="Register partners and set their limits.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

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


@partners_app.command("set")
def set_partner_command(
    name: _NewName,
    synchronize_per_day: _SynchronizePerDay = None,
    insert_per_hour: _InsertPerHour = None,
    rps: _Rps = None,
    daily_quota: _DailyQuota = None,
    missing_from_file: _MissingFromFile = None,
    redemption_window_days: _WindowDays = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Register a partner, or change its settings.

    Settings without an option stay as they are. A change applies from the next request."""
    if not is_partner_name(name):
        exit_with_error(f"NAME: {PARTNER_NAME_RULE}.", exit_code=2)
    quota = _parse_quota(daily_quota)
    with open_service() as service:
        command = SetPartner(
            name, synchronize_per_day, insert_per_hour, rps, quota, missing_from_file, redemption_window_days
        )
        service.ledger.handle(command, cli_origin())
        with service.ledger.recorder.read() as tx:
            _print(list_partners(tx, name), as_json=as_json)


@partners_app.command("show")
def show_partner(name: _Name, *, as_json: AsJson = False) -> None:
    """Show the settings of one partner."""
    with open_service() as service, service.ledger.recorder.read() as tx:
        partners = list_partners(tx, name)
    if not partners:
        exit_with_error(f"There is no partner named {name!r}.")
    _print(partners, as_json=as_json)


@partners_app.command("list")
def list_partners_command(*, as_json: AsJson = False) -> None:
    """List all partners with their settings."""
    with open_service() as service, service.ledger.recorder.read() as tx:
        partners = list_partners(tx)
    if as_json:
        print_json({"items": partners})
    else:
        _print(partners, as_json=False)


def _print(partners: list[PartnerView], *, as_json: bool) -> None:
    if as_json:
        print_json(partners[0])
    else:
        print_table(
            (
                "partner",
                "synchronize per day",
                "insert per hour",
                "rps",
                "daily quota",
                "missing from file",
                "redemption window days",
                "created",
                "changed",
            ),
            [
                (
                    p.name,
                    *(_limit_text(n) for n in (p.synchronize_per_day, p.insert_per_hour, p.rps, p.daily_quota)),
                    p.missing_from_file,
                    p.redemption_window_days,
                    p.created_at,
                    p.updated_at,
                )
                for p in partners
            ],
            empty="There are no partners. To register one, run: offer-ledger partners set NAME",
        )


def _limit_text(limit: int | Literal["auto"]) -> str:
    return str(limit) if limit else "unlimited"


def _parse_quota(text: str | None) -> int | Literal["auto"] | None:
    if text is None:
        return None
    if text == "auto":
        return "auto"
    if not re.fullmatch("[0-9]{1,10}", text) or int(text) > MAX_LIMIT:
        exit_with_error(f"--daily-quota: must be auto or a number from 0 to {MAX_LIMIT}.", exit_code=2)
    return int(text)
