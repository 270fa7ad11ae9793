"""offer-ledger export: the rows of a state, whole, in files that other programs read."""

import csv
import json
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from api.service import Service
from api.settings import Settings
from domain.values import Operation, utc_text
from tests.support.calls.merchants import limit, merchant_offer, put
from tests.support.calls.publishers import activate, redeem
from tests.support.examples import PARTNER, item
from tests.support.harness import Caller, Clock, run_batch
from tests.support.processes.shell import (
    SCRIPT,
    Run,
    environment,
    require_done,
    require_refusal,
    require_usage_sentence,
)

README = Path(__file__).parents[4] / "README.md"
WHATS = ["events", "inventory", "windows"]


@pytest.fixture
def clock() -> Clock:
    """Three days ago: the command line has its own clock, which is the real one."""
    clock = Clock()
    clock.now = datetime.now(UTC).replace(hour=12) - timedelta(days=3)
    return clock


@pytest.fixture
def days(partner: Caller, publisher: Caller, service: Service, offer: str, clock: Clock) -> list[str]:
    """Traffic of three days; the end of each."""
    ends = []
    for day in range(3):
        run_batch(service.ledger, Operation.SYNCHRONIZE, [item(f"TP-{day}"), item("TP", headline=f'"Two",\nday {day}')])
        assert put(partner, merchant_offer(offerName=f"näme {day}")).status_code == 202
        activate(publisher, offer, f"C-{day}")
        clock.move(seconds=1)
        redeem(publisher, offer, clock.now, transactionId=f"T-{day}", customerId=f"C-{day}")
        clock.move(hours=11)
        ends.append(utc_text(clock.now))
        clock.move(hours=13)
    limit(service)
    return ends


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows_in(path: Path, form: str) -> list[Any]:
    """What another program reads, as text where it has no JSON."""
    if form == "csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    source = f"{path}/*/*.parquet" if path.is_dir() else str(path)
    found = duckdb.read_parquet(source, hive_partitioning=False)
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def plain(row: dict[str, Any]) -> dict[str, str]:
    """As text, whatever it was read from; times without what tells how they are spelt."""

    def text(value: Any) -> str:
        if isinstance(value, datetime):
            return utc_text(value)
        if isinstance(value, dict | list):
            return json.dumps(value)
        return "" if value is None else str(value)

    def told(name: str, value: Any) -> str:
        return (
            json.dumps(json.loads(value))
            if name in {"changes", "content", "redeemed"} and isinstance(value, str)
            else text(value)
        )

    return {name: told(name, value) for name, value in row.items()}


def by_http(caller: Caller, what: str, at: str) -> list[Any]:
    path, asked = {
        "events": ("audit/events", {"to": utc_text(datetime.fromisoformat(at) + timedelta(microseconds=1))}),
        "inventory": ("offers", {"asOf": at}),
        "windows": ("redemption-windows", {"at": at}),
    }[what]
    return list(caller.get(f"/api/v1/{path}", None, limit=1000, **asked).json()["items"])


@pytest.mark.parametrize("what", WHATS)
def test_lines_of_any_moment_are_what_the_service_answers_of_it(
    run: Run, auditor: Caller, days: list[str], what: str, tmp_path: Path
) -> None:
    for number, at in enumerate(days):
        out = tmp_path / f"{number}.jsonl"
        told = run("export", what, "--as-of", at, "--out", out, "--json").json
        assert lines(out) == by_http(auditor, what, at)
        assert told["rows"] == len(lines(out)) > 0


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("what", WHATS)
def test_each_form_says_the_same(run: Run, days: list[str], what: str, form: str, tmp_path: Path) -> None:
    out, other = tmp_path / "lines", tmp_path / "other"
    for path, told in ((out, "jsonl"), (other, form)):
        require_done(run("export", what, "--as-of", days[1], "--format", told, "--out", path))
    assert [plain(row) for row in rows_in(other, form)] == [plain(row) for row in lines(out)]


def test_without_a_moment_it_is_the_present(run: Run, auditor: Caller, days: list[str], tmp_path: Path) -> None:
    assert days
    out = tmp_path / "now"
    require_done(run("export", "inventory", "--out", out))
    assert lines(out) == auditor.get("/api/v1/offers").json()["items"]


def test_a_position_may_lie_inside_a_run(run: Run, auditor: Caller, days: list[str], tmp_path: Path) -> None:
    assert days
    runs = [event for event in auditor.get("/api/v1/audit/events").json()["items"] if event["runId"]]
    inside = runs[0]["position"]
    out = tmp_path / "then"
    require_done(run("export", "inventory", "--as-of", inside, "--out", out))
    assert lines(out) == auditor.get("/api/v1/offers", asOfPosition=inside).json()["items"]


def test_only_a_partners(run: Run, days: list[str], tmp_path: Path) -> None:
    assert days
    for what in WHATS:
        for partner, is_there in ((PARTNER, True), ("harbor", False)):
            require_done(run("partners", "set", partner))
            out = tmp_path / f"{what} of {partner}"
            require_done(run("export", what, "--partner", partner, "--out", out))
            assert {row.get("partner", partner) for row in lines(out)} == ({partner} if lines(out) else set())
            assert is_there <= bool(lines(out))
    require_refusal(run("export", "events", "--partner", "nobody"), "nobody")


# Parquet


def test_events_lie_in_a_folder_for_each_day(run: Run, auditor: Caller, days: list[str], tmp_path: Path) -> None:
    out = tmp_path / "events"
    require_done(run("export", "events", "--format", "parquet", "--out", out, "--as-of", days[-1]))
    recorded = {event["recordedAt"][:10] for event in by_http(auditor, "events", days[-1])}
    assert {path.parent.name for path in out.glob("*/*.parquet")} == {f"day={day}" for day in recorded}


PARQUET = ("export", "events", "--format", "parquet", "--out")


def test_a_later_export_goes_on_in_the_same_folder(run: Run, days: list[str], tmp_path: Path) -> None:
    out, at_once = tmp_path / "events", tmp_path / "at once"
    position = run(*PARQUET, out, "--as-of", days[1], "--json").json["position"]
    require_done(run(*PARQUET, out, "--after-position", position))
    require_done(run(*PARQUET, at_once))
    assert sorted(rows_in(out, "parquet"), key=str) == sorted(rows_in(at_once, "parquet"), key=str)
    require_refusal(run(*PARQUET, out), "is there already")


def test_nothing_is_missing_or_told_twice_in_a_folder(run: Run, days: list[str], tmp_path: Path) -> None:
    out = tmp_path / "events"
    position = run(*PARQUET, out, "--as-of", days[1], "--json").json["position"]
    before = rows_in(out, "parquet")
    for other in (position - 1, position + 1):
        require_usage_sentence(run(*PARQUET, out, "--after-position", other), "--after-position", str(position))
    ended = run(*PARQUET, out, "--after-position", position, "--partner", PARTNER)
    require_usage_sentence(ended, "all partners")
    assert rows_in(out, "parquet") == before


def test_what_an_export_that_was_cut_off_has_left_is_made_again(run: Run, days: list[str], tmp_path: Path) -> None:
    out, at_once = tmp_path / "events", tmp_path / "at once"
    position = run(*PARQUET, out, "--as-of", days[0], "--json").json["position"]
    record = (out / "_exported.json").read_text()
    require_done(run(*PARQUET, out, "--after-position", position, "--as-of", days[1]))
    (out / "_exported.json").write_text(record)
    require_done(run(*PARQUET, out, "--after-position", position))
    require_done(run(*PARQUET, at_once))
    assert sorted(rows_in(out, "parquet"), key=str) == sorted(rows_in(at_once, "parquet"), key=str)


def test_the_folder_one_stands_in_can_be_filled(
    run: Run, days: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert days
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    require_done(run(*PARQUET, "."))
    assert rows_in(tmp_path / "here", "parquet")


def test_the_query_in_the_readme_is_answered(
    run: Run, days: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = README.read_text().partition("```sql\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    require_done(run("export", "events", "--format", "parquet", "--out", "events"))
    day = days[0][:10]
    found = duckdb.execute(query.replace("2026-11-22", day)).fetchall()
    # The first day: a batch and a merchant offer, which is changed, and a customer who activates and redeems it.
    assert found == [("OfferCreated", 3), ("OfferActivated", 1), ("OfferRedeemed", 1), ("OfferUpdated", 1)]


# Files


def test_rows_go_to_standard_output_if_no_file_is_named(run: Run, days: list[str]) -> None:
    told = require_done(run("export", "inventory", "--as-of", days[0]))
    assert [json.loads(line)["status"] for line in told.splitlines()] == ["active"] * 3


def test_a_file_that_is_there_is_left_alone(run: Run, days: list[str], tmp_path: Path) -> None:
    assert days
    out = tmp_path / "precious"
    out.write_text("mine")
    for form in ("jsonl", "csv", "parquet"):
        require_refusal(run("export", "inventory", "--format", form, "--out", out), "--out", "is there already")
    assert out.read_text() == "mine"
    assert [path.name for path in tmp_path.glob("precious*")] == ["precious"]


def test_a_folder_that_is_not_there_is_named(run: Run, days: list[str], tmp_path: Path) -> None:
    assert days
    require_refusal(run("export", "inventory", "--out", tmp_path / "none" / "file"), "can't be written")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("inventory", "--format", "parquet"), "--out"),
        (("inventory", "--json"), "--out"),
        (("windows", "--as-of", "7"), "--as-of"),
        (("inventory", "--after-position", "7"), "--after-position"),
    ],
)
def test_what_makes_no_sense_is_said(run: Run, arguments: tuple[str, ...], named: str) -> None:
    require_usage_sentence(run("export", *arguments), named)


def test_an_export_that_is_asked_to_end_leaves_nothing_behind(
    run: Run, days: list[str], settings: Settings, tmp_path: Path
) -> None:
    assert days
    folder = tmp_path / "exports"
    folder.mkdir()
    process = subprocess.Popen(
        [SCRIPT, "replay", "--out", folder / "then.db"], env=environment(settings), stdout=subprocess.DEVNULL
    )
    while process.poll() is None and not list(folder.glob(".then.db*")):
        time.sleep(0.001)
    process.terminate()
    assert process.wait() in {0, 128 + signal.SIGTERM}
    assert [path.name for path in folder.iterdir() if path.suffix == ".part"] == []
    assert require_done(run("projections", "verify"))
