"""Fixed bounds have the values of the contract, and the page about limits shows them.

Tests of a bound often import it, so they accept every value. Here the values are literals."""

import re
from datetime import timedelta

import pytest

from api.access.credentials import MAX_LIMIT, MAX_TOKEN_NAME
from api.bounds.settings import BoundSettings
from api.parsing import json_body
from api.parsing.nesting import MAX_NESTING
from api.parsing.strict_json import MAX_INTEGER_DIGITS, MAX_NUMBER, MAX_VALUE_CHARACTERS
from api.redemption.activation_batch_routes import MAX_BATCH_BYTES, MAX_LINES
from api.validation.field_errors import MAX_FIELD_ERRORS
from api.validation.known_members import MAX_UNKNOWN_EXAMINED
from domain.redemption.activation import MAX_REPORT_DELAY
from domain.redemption.flight import MAX_FLIGHTS
from domain.redemption.redemption import MAX_REVERSALS
from domain.redemption.window import MAX_DAYS, MIN_DAYS
from domain.runs.batch_reconciliation import MAX_REMARKS
from domain.runs.file_names import MAX_DAYS_AHEAD
from domain.runs.run import MAX_ATTEMPTS
from domain.values import MAX_ID_LENGTH
from projections.projection import MAX_PAGE_BYTES
from tests.support.generated_pages import DOCS

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("bound", "shown", "used", "value"),
    [
        ("one value of a batch or offers file", "8 MiB", MAX_VALUE_CHARACTERS, 8 * MIB),
        ("body of an activation, redemption, reversal or flight", "64 KiB", json_body.MAX_BYTES, 64 * 1024),
        ("activations in lines", "10,000 lines, 16 MiB", (MAX_LINES, MAX_BATCH_BYTES), (10_000, 16 * MIB)),
        ("nesting of JSON", "64 levels", MAX_NESTING, 64),
        ("integers", "±(2^53 - 1); 40 digits", (MAX_NUMBER, MAX_INTEGER_DIGITS), (9_007_199_254_740_991, 40)),
        ("ids", "256 characters", MAX_ID_LENGTH, 256),
        ("date in the name of an offers file", "2 days ahead", MAX_DAYS_AHEAD, 2),
        ("messages about one item", "10; 10", (MAX_FIELD_ERRORS, MAX_REMARKS), (10, 10)),
        ("unknown members of one item", "20", MAX_UNKNOWN_EXAMINED, 20),
        ("contents on a page", "8 MiB", MAX_PAGE_BYTES, 8 * MIB),
        ("starts of a run before it fails", "5", MAX_ATTEMPTS, 5),
        ("length of a redemption window", "30 to 45 days", (MIN_DAYS, MAX_DAYS), (30, 45)),
        ("lateness of a reported activation", "14 days", MAX_REPORT_DELAY, timedelta(days=14)),
        ("flights of an offer", "500", MAX_FLIGHTS, 500),
        ("reversals of a redemption", "1,000", MAX_REVERSALS, 1_000),
        ("name of a partner; name of a token", "64 characters", MAX_TOKEN_NAME, 64),
        ("limits of partners and tokens", "0 (unlimited) to 1,000,000,000", MAX_LIMIT, 1_000_000_000),
    ],
)
def test_fixed_bound_has_the_value_on_the_page(bound: str, shown: str, used: object, value: object) -> None:
    assert used == value
    rows = [[cell.strip() for cell in line.split("|")] for line in (DOCS / "limits.md").read_text().splitlines()]
    assert [cells[2] for cells in rows if len(cells) > 2 and cells[1].startswith(bound)] == [shown]


def test_each_bound_setting_is_on_the_page_with_its_default() -> None:
    rows = [[cell.strip() for cell in line.split("|")] for line in (DOCS / "limits.md").read_text().splitlines()]
    values = [(cells[4], cells[2]) for cells in rows if len(cells) == 6]
    for name, field in BoundSettings.model_fields.items():
        shown = [value for setting, value in values if setting == f"`{name.upper()}`"]
        assert shown, name
        assert all(re.search(rf"(?<![\d,]){as_on_the_page(name, field.default)}\b", value) for value in shown), name


def as_on_the_page(name: str, value: float) -> str:
    """Returns the value of a setting with its unit: `64 KiB`, `20 s`, `200,000`."""
    if name.endswith("_seconds"):
        return f"{value:g} s"
    if "bytes" in name:
        exponent = next(exponent for exponent in (3, 2, 1) if value >= 1024**exponent)
        return f"{value / 1024**exponent:g} {('KiB', 'MiB', 'GiB')[exponent - 1]}"
    return f"{value:,}"
