"""Creates a ledger, and shows the settings of this process."""

import os
from typing import Any
from urllib.parse import parse_qsl

from pydantic import SecretStr

from api.bounds.settings import setting_variable
from api.cli.messages import print_line
from api.cli.output import print_json, print_table
from api.cli.registry import DATABASE_OPTION, DATABASE_URL
from api.settings import Settings
from api.wiring import create_ledger, ledger_place
from domain.store.schema import SCHEMA_VERSION, OlderLedger

HIDDEN = "(hidden)"
SHOWN_PARAMETERS = {"host", "hostaddr", "port", "dbname", "user", "service", "sslmode", "target_session_attrs", "db"}


def initialize(*, as_json: bool) -> None:
    settings = Settings()
    note = ""
    try:
        place = create_ledger(settings)
    except OlderLedger as older:
        place, note = None, f" {older}. To migrate it, run: offer-ledger migrate"
    if as_json:
        print_json({"created": place is not None, "place": place or ledger_place(settings), "schema": SCHEMA_VERSION})
    elif place:
        print_line(f"Created a ledger in {place}.")
    else:
        print_line(f"There is a ledger in {ledger_place(settings)} already. Nothing was changed.{note}")


def print_settings(*, is_database_given: bool, as_json: bool) -> None:
    settings = Settings()
    rows = []
    for name in Settings.model_fields:
        variable = setting_variable(name)
        source = "environment" if variable in {key.upper() for key in os.environ} else "default"
        if variable == DATABASE_URL and is_database_given:
            source = DATABASE_OPTION
        rows.append({"setting": variable, "value": _shown(getattr(settings, name)), "source": source})
    if as_json:
        print_json({"items": rows})
    else:
        print_table(("setting", "value", "source"), [tuple(row.values()) for row in rows])


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return HIDDEN
    return without_secrets(value) if isinstance(value, str) else value


def without_secrets(url: str) -> str:
    """Returns a URL with its user but without its password, and without parameters that may be secret."""
    if "://" not in url or url.startswith("sqlite:"):
        return url
    scheme, _, rest = url.partition("://")
    address, _, query = rest.partition("?")
    user, at, host = address.rpartition("@")
    name, colon, _ = user.partition(":")
    shown = f"{scheme}://{name}{f':{HIDDEN}' if colon else ''}{at}{host}"
    parameters = [
        f"{key}={value if key in SHOWN_PARAMETERS else HIDDEN}"
        for key, value in parse_qsl(query, keep_blank_values=True)
    ]
    return "?".join(filter(None, [shown, "&".join(parameters)]))
