"""Registers partners, and shows their settings."""

import re
from typing import Any, Literal

from api.access.credentials import MAX_LIMIT, PARTNER_NAME_RULE, is_partner_name
from api.cli.local_ledger import create_ledger_if_missing, open_ledger
from api.cli.local_user import cli_origin
from api.cli.messages import exit_with_error
from api.cli.output import print_json, print_table
from domain.access.partner import SetPartner
from projections.access.partners import PartnerView, list_partners


def change_partner(name: str, daily_quota: str | None, reason: str | None, *, as_json: bool, **limits: Any) -> None:
    """`limits`: the other members of SetPartner."""
    if not is_partner_name(name):
        exit_with_error(f"NAME: {PARTNER_NAME_RULE}.", exit_code=2)
    command = SetPartner(name, daily_quota=_parse_quota(daily_quota), **limits)
    create_ledger_if_missing()
    with open_ledger() as service:
        service.ledger.handle(command, cli_origin(reason))
        with service.ledger.recorder.read() as tx:
            _print(list_partners(tx, name), as_json=as_json)


def print_partner(name: str, *, as_json: bool) -> None:
    with open_ledger() as service, service.ledger.recorder.read() as tx:
        partners = list_partners(tx, name)
    if not partners:
        exit_with_error(f"There is no partner named {name!r}.")
    _print(partners, as_json=as_json)


def print_partners(*, as_json: bool) -> None:
    with open_ledger() as service, service.ledger.recorder.read() as tx:
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
