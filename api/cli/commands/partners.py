"""offer-ledger partners"""

import re
from typing import Annotated, Literal

import typer

from api.access.credentials import MAX_LIMIT, PARTNER_NAME, is_partner_name
from api.cli.local_user import cli_origin
from api.cli.output import AsJson, exit_with_error, print_json, print_table
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.redemption.window import MAX_DAYS, MIN_DAYS
from domain.values import MissingFromFile
from projections.access.partners import PartnerView, list_partners

partners_app = typer.Typer(
    name="partners",
    help="The companies that send offers, and their settings.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Missing = Annotated[
    MissingFromFile | None,
    typer.Option(help="What becomes of active offers that are missing from an offers file. At first report."),
]
WindowDays = Annotated[
    int | None,
    typer.Option(
        help="How long customers are owed the reward of an activated offer, if no flight says so. At first 45.",
        min=MIN_DAYS,
        max=MAX_DAYS,
    ),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The partner, exactly as written.")]


@partners_app.command("set")
def set_partner_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="1 to 64 letters, digits, dots, hyphens, underscores.")],
    synchronize_per_day: Annotated[
        int | None, typer.Option(help="Synchronize runs per UTC day; 0 = unlimited. At first 1.", min=0, max=MAX_LIMIT)
    ] = None,
    insert_per_hour: Annotated[
        int | None,
        typer.Option(help="Insert runs per UTC clock hour; 0 = unlimited. At first 1.", min=0, max=MAX_LIMIT),
    ] = None,
    rps: Annotated[
        int | None, typer.Option(help="Single requests per second; 0 = unlimited. At first 10.", min=0, max=MAX_LIMIT)
    ] = None,
    daily_quota: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Single requests per UTC day; 0 = unlimited, auto = 1.2 times its merchant offers, at least 1000."
            " At first auto.",
        ),
    ] = None,
    missing_from_file: Missing = None,
    redemption_window_days: WindowDays = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Create a partner or change its settings; what is not given stays as it is."""
    if not is_partner_name(name):
        exit_with_error(f"NAME: {PARTNER_NAME}.", exit_code=2)
    quota = _quota(daily_quota)
    with open_service() as service:
        command = SetPartner(
            name, synchronize_per_day, insert_per_hour, rps, quota, missing_from_file, redemption_window_days
        )
        service.ledger.handle(command, cli_origin())
        with service.ledger.recorder.read() as tx:
            _print(list_partners(tx, name), as_json=as_json)


@partners_app.command("show")
def show_partner(name: Name, *, as_json: AsJson = False) -> None:
    """Show one partner's settings."""
    with open_service() as service, service.ledger.recorder.read() as tx:
        found = list_partners(tx, name)
    if not found:
        exit_with_error(f"There is no partner named {name!r}.")
    _print(found, as_json=as_json)


@partners_app.command("list")
def list_partners_command(*, as_json: AsJson = False) -> None:
    """List all partners and their settings."""
    with open_service() as service, service.ledger.recorder.read() as tx:
        found = list_partners(tx)
    if as_json:
        print_json({"items": found})
    else:
        _print(found, as_json=False)


def _print(found: list[PartnerView], *, as_json: bool) -> None:
    if as_json:
        print_json(found[0])
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
                    *(_limit(n) for n in (p.synchronize_per_day, p.insert_per_hour, p.rps, p.daily_quota)),
                    p.missing_from_file,
                    p.redemption_window_days,
                    p.created_at,
                    p.updated_at,
                )
                for p in found
            ],
            empty="There are no partners yet. Create one: offer-ledger partners set NAME",
        )


def _limit(limit: int | Literal["auto"]) -> str:
    return str(limit) if limit else "unlimited"


def _quota(text: str | None) -> int | Literal["auto"] | None:
    if text is None:
        return None
    if text == "auto":
        return "auto"
    if not re.fullmatch("[0-9]{1,10}", text) or int(text) > MAX_LIMIT:
        exit_with_error(f"--daily-quota: must be auto or a number from 0 to {MAX_LIMIT}.", exit_code=2)
    return int(text)
