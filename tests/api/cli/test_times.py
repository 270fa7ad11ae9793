"""Times on the command line: RFC 3339, a date, a time without an offset, or now."""

from datetime import UTC, datetime, timedelta

import pytest
import typer

from api.cli.actions import option_values
from api.http.as_of import NOW, AsOf
from tests.support.processes.shell import Run, WriteBatch, require_success, require_usage_error

NOVEMBER_30 = datetime(2026, 11, 30, tzinfo=UTC)
ACCEPTED = {
    "2026-11-30": NOVEMBER_30,
    "2026-11-30T09:30": NOVEMBER_30.replace(hour=9, minute=30),
    "2026-11-30T09:30:15": NOVEMBER_30.replace(hour=9, minute=30, second=15),
    "2026-11-30 09:30:15.25": NOVEMBER_30.replace(hour=9, minute=30, second=15, microsecond=250_000),
    "2026-11-30T09:30:15.2500000000": NOVEMBER_30.replace(hour=9, minute=30, second=15, microsecond=250_000),
    "2026-11-30T09:30:15Z": NOVEMBER_30.replace(hour=9, minute=30, second=15),
    "2026-11-30T09:30:15+02:00": NOVEMBER_30.replace(hour=7, minute=30, second=15),
}
REJECTED = [
    "",
    "yesterday",
    "2026-11-31",
    "2026-11",
    "20261130",
    "2026-11-30T25:00",
    "1969-12-31",
    "2026-11-30T9:30",
    "09:30",
]
TIME_OPTIONS = [
    "inventory --as-of",
    "diff --from",
    "diff --from 0 --to",
    "windows --at",
    "verdict --customer-id C-1 --offer-uid 6851e6d4-1908-5d30-b230-131c8e83c5db --as-of 2026-11-30 --transacted-at",
    "verdict --customer-id C-1 --offer-uid 6851e6d4-1908-5d30-b230-131c8e83c5db --transacted-at 2026-11-30 --as-of",
    "export inventory --as-of",
    "replay --out replay.db --as-of",
    "tokens create --role auditor --name books --expires-at",
]
EVERY_TIME_OPTION = pytest.mark.parametrize("command", TIME_OPTIONS)


@pytest.mark.parametrize("text", ACCEPTED)
def test_time_without_offset_is_in_utc(text: str) -> None:
    assert option_values.time_of(text) == ACCEPTED[text]
    assert option_values.state_of(text) == AsOf(time=ACCEPTED[text])


@pytest.mark.parametrize("text", REJECTED)
def test_other_text_is_no_time(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="such as 2026-11-30"):
        option_values.time_of(text)


def test_now_is_the_newest_state() -> None:
    assert option_values.state_of("now") == NOW
    assert datetime.now(UTC) - option_values.time_of("now") < timedelta(minutes=1)


@EVERY_TIME_OPTION
def test_error_for_a_time_has_an_example(run: Run, command: str) -> None:
    require_usage_error(run(*command.split(), "yesterday"), command.rsplit(maxsplit=1)[-1], "2026-11-30T09:00:00Z")


@pytest.mark.parametrize("time", ["2026-11-30", "2026-11-30T09:00", "now"])
@pytest.mark.parametrize("command", TIME_OPTIONS[:4])
def test_time_options_accept_every_form(partnered: Run, write_batch: WriteBatch, command: str, time: str) -> None:
    require_success(partnered("import", write_batch("Insert", ["TP-1"]), "--partner", "tidepool"))
    require_success(partnered(*command.split(), time))


def test_token_can_end_on_a_date(partnered: Run) -> None:
    require_success(partnered("tokens", "create", "--role", "auditor", "--name", "books", "--expires-at", "2999-01-01"))
    assert "valid until 2999-01-01T00:00:00.000000Z" in require_success(partnered("tokens", "list"))
