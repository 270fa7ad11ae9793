"""`offer-ledger export` writes all rows of a state to files that other programs can read."""

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
from domain.store.commit import rename_ledger
from domain.values import Operation, utc_text
from tests.support.calls.merchants import limit, merchant_offer, put
from tests.support.calls.publishers import activate, redeem
from tests.support.examples import PARTNER, batch, item, offer_data
from tests.support.harness import Caller, Clock, run_batch
from tests.support.processes.process_group import running
from tests.support.processes.shell import (
    SCRIPT,
    Run,
    by_hand,
    environment,
    require_refusal,
    require_success,
    require_usage_sentence,
)
from tests.support.waiting import PATIENCE_SECONDS

PAGE = Path(__file__).parents[4] / "docs" / "exports.md"
DATASETS = ["events", "inventory", "windows"]


@pytest.fixture
def clock() -> Clock:
    """A clock that starts three days ago: the command line reads the real clock."""
    clock = Clock()
    clock.now = datetime.now(UTC).replace(hour=12) - timedelta(days=3)
    return clock


@pytest.fixture
def days(partner: Caller, publisher: Caller, service: Service, offer: str, clock: Clock) -> list[str]:
    """The end times of three days with traffic."""
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


def rows_in(path: Path, file_format: str) -> list[Any]:
    """Returns the rows as another program reads them."""
    if file_format == "csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    source = f"{path}/*/*.parquet" if path.is_dir() else str(path)
    found = duckdb.read_parquet(source, hive_partitioning=False)
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def plain(row: dict[str, Any]) -> dict[str, str]:
    """Returns the values of a row as text, so that rows of all formats can be compared."""

    def text(value: Any) -> str:
        if isinstance(value, datetime):
            return utc_text(value)
        if isinstance(value, dict | list):
            return json.dumps(value)
        return "" if value is None else str(value)

    def cell(name: str, value: Any) -> str:
        return (
            json.dumps(json.loads(value))
            if name in {"changes", "content", "redeemed"} and isinstance(value, str)
            else text(value)
        )

    return {name: cell(name, value) for name, value in row.items()}


def by_http(caller: Caller, dataset: str, at: str) -> list[Any]:
    path, parameters = {
        "events": ("audit/events", {"to": utc_text(datetime.fromisoformat(at) + timedelta(microseconds=1))}),
        "inventory": ("offers", {"asOf": at}),
        "windows": ("redemption-windows", {"at": at}),
    }[dataset]
    return list(caller.get(f"/api/v1/{path}", None, limit=1000, **parameters).json()["items"])


@pytest.mark.parametrize("dataset", DATASETS)
def test_exported_lines_of_past_states_equal_the_http_replies(
    run: Run, auditor: Caller, days: list[str], dataset: str, tmp_path: Path
) -> None:
    for number, at in enumerate(days):
        out = tmp_path / f"{number}.jsonl"
        summary = run("export", dataset, "--as-of", at, "--out", out, "--json").json
        assert lines(out) == by_http(auditor, dataset, at)
        assert summary["rows"] == len(lines(out)) > 0


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
@pytest.mark.parametrize("dataset", DATASETS)
def test_all_formats_have_the_same_rows(
    run: Run, days: list[str], dataset: str, file_format: str, tmp_path: Path
) -> None:
    out, other = tmp_path / "lines", tmp_path / "other"
    for path, option in ((out, "jsonl"), (other, file_format)):
        require_success(run("export", dataset, "--as-of", days[1], "--format", option, "--out", path))
    assert [plain(row) for row in rows_in(other, file_format)] == [plain(row) for row in lines(out)]


def test_default_export_has_the_present_state(run: Run, auditor: Caller, days: list[str], tmp_path: Path) -> None:
    assert days
    out = tmp_path / "now"
    require_success(run("export", "inventory", "--out", out))
    assert lines(out) == auditor.get("/api/v1/offers").json()["items"]


def test_export_accepts_a_position_inside_a_run(run: Run, auditor: Caller, days: list[str], tmp_path: Path) -> None:
    assert days
    runs = [event for event in auditor.get("/api/v1/audit/events").json()["items"] if event["runId"]]
    inside = runs[0]["position"]
    out = tmp_path / "then"
    ended = run("export", "inventory", "--as-of", inside, "--out", out)
    assert (ended.exit_code, ended.stderr.startswith("The state has only a part of a commit: ")) == (0, True)
    assert lines(out) == auditor.get("/api/v1/offers", asOfPosition=inside).json()["items"]


def test_export_of_one_partner_has_only_its_rows(run: Run, days: list[str], tmp_path: Path) -> None:
    assert days
    for dataset in DATASETS:
        for partner, has_rows in ((PARTNER, True), ("harbor", False)):
            require_success(run("partners", "set", partner))
            out = tmp_path / f"{dataset} of {partner}"
            require_success(run("export", dataset, "--partner", partner, "--out", out))
            assert {row.get("partner", partner) for row in lines(out)} == ({partner} if lines(out) else set())
            assert has_rows <= bool(lines(out))
    require_refusal(run("export", "events", "--partner", "nobody"), "nobody")


# Parquet


def test_parquet_events_have_a_folder_for_each_day(run: Run, auditor: Caller, days: list[str], tmp_path: Path) -> None:
    out = tmp_path / "events"
    require_success(run("export", "events", "--format", "parquet", "--out", out, "--as-of", days[-1]))
    recorded = {event["recordedAt"][:10] for event in by_http(auditor, "events", days[-1])}
    assert {path.parent.name for path in out.glob("*/*.parquet")} == {f"day={day}" for day in recorded}


PARQUET = ("export", "events", "--format", "parquet", "--out")


def test_later_export_continues_in_the_same_folder(run: Run, days: list[str], tmp_path: Path) -> None:
    out, at_once = tmp_path / "events", tmp_path / "at once"
    position = run(*PARQUET, out, "--as-of", days[1], "--json").json["position"]
    require_success(run(*PARQUET, out, "--after-position", position))
    require_success(run(*PARQUET, at_once))
    assert sorted(rows_in(out, "parquet"), key=str) == sorted(rows_in(at_once, "parquet"), key=str)
    require_refusal(run(*PARQUET, out), "already exists")


def test_export_that_leaves_a_gap_or_overlaps_is_refused(run: Run, days: list[str], tmp_path: Path) -> None:
    out = tmp_path / "events"
    position = run(*PARQUET, out, "--as-of", days[1], "--json").json["position"]
    before = rows_in(out, "parquet")
    for other in (position - 1, position + 1):
        require_usage_sentence(run(*PARQUET, out, "--after-position", other), "--after-position", str(position))
    ended = run(*PARQUET, out, "--after-position", position, "--partner", PARTNER)
    require_usage_sentence(ended, "all partners")
    assert rows_in(out, "parquet") == before


def test_folder_from_before_a_restore_is_not_continued(
    run: Run, days: list[str], settings: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "events"
    position = run(*PARQUET, out, "--as-of", days[1], "--json").json["position"]
    before = rows_in(out, "parquet")
    with by_hand(settings) as tx:
        rename_ledger(tx)
    require_refusal(run(*PARQUET, out, "--after-position", position), str(out), "before a restore", "new folder")
    assert rows_in(out, "parquet") == before
    new = tmp_path / "new"
    require_success(run(*PARQUET, new, "--as-of", days[1]))
    require_success(run(*PARQUET, new, "--after-position", position))


def test_folder_of_an_older_version_is_continued_without_a_restore(
    run: Run, days: list[str], settings: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "events"
    position = run(*PARQUET, out, "--as-of", days[0], "--json").json["position"]
    unnamed = json.dumps({"after": 0, "until": position, "partner": None})
    (out / "_exported.json").write_text(unnamed)
    require_success(run(*PARQUET, out, "--after-position", position))
    (out / "_exported.json").write_text(unnamed)
    with by_hand(settings) as tx:
        rename_ledger(tx)
    require_refusal(run(*PARQUET, out, "--after-position", position), "before a restore")


def test_export_replaces_the_remains_of_an_interrupted_export(run: Run, days: list[str], tmp_path: Path) -> None:
    out, at_once = tmp_path / "events", tmp_path / "at once"
    position = run(*PARQUET, out, "--as-of", days[0], "--json").json["position"]
    record = (out / "_exported.json").read_text()
    require_success(run(*PARQUET, out, "--after-position", position, "--as-of", days[1]))
    (out / "_exported.json").write_text(record)
    require_success(run(*PARQUET, out, "--after-position", position))
    require_success(run(*PARQUET, at_once))
    assert sorted(rows_in(out, "parquet"), key=str) == sorted(rows_in(at_once, "parquet"), key=str)


def test_export_can_write_to_the_current_folder(
    run: Run, days: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert days
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    require_success(run(*PARQUET, "."))
    assert rows_in(tmp_path / "here", "parquet")


def test_query_of_the_exports_page_is_answered(
    run: Run, days: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = PAGE.read_text().partition("```sql\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    require_success(run("export", "events", "--format", "parquet", "--out", "events"))
    day = days[0][:10]
    found = duckdb.execute(query.replace("2026-11-22", day)).fetchall()
    # The first day: a batch and a merchant offer, which is changed, and a customer who activates and redeems it.
    assert found == [("OfferCreated", 3), ("OfferActivated", 1), ("OfferRedeemed", 1), ("OfferUpdated", 1)]


# Files


def test_jsonl_has_one_line_for_each_offer(run: Run, partner: Caller) -> None:
    sent = json.dumps(batch("Insert", [item("TP-1"), item("TP-2", headline="Open\na jar")]), indent=2).replace(
        "\n", "\r\n"
    )
    assert partner.send(sent.encode()).status_code == 200
    lines = require_success(run("export", "inventory")).split("\n")
    assert [json.loads(line)["content"]["headline"] for line in lines[:-1]] == [offer_data()["headline"], "Open\na jar"]


def test_rows_go_to_standard_output_by_default(run: Run, days: list[str]) -> None:
    printed = require_success(run("export", "inventory", "--as-of", days[0]))
    assert [json.loads(line)["status"] for line in printed.splitlines()] == ["active"] * 3


def test_export_does_not_overwrite_a_file(run: Run, days: list[str], tmp_path: Path) -> None:
    assert days
    out = tmp_path / "precious"
    out.write_text("mine")
    for file_format in ("jsonl", "csv", "parquet"):
        require_refusal(run("export", "inventory", "--format", file_format, "--out", out), "--out", "already exists")
    assert out.read_text() == "mine"
    assert [path.name for path in tmp_path.glob("precious*")] == ["precious"]


def test_export_to_a_missing_folder_is_refused(run: Run, days: list[str], tmp_path: Path) -> None:
    assert days
    require_refusal(run("export", "inventory", "--out", tmp_path / "none" / "file"), "cannot write")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("inventory", "--format", "parquet"), "--out"),
        (("inventory", "--json"), "--out"),
        (("windows", "--as-of", "7"), "--as-of"),
        (("inventory", "--after-position", "7"), "--after-position"),
    ],
)
def test_contradictory_options_are_a_usage_error(run: Run, arguments: tuple[str, ...], named: str) -> None:
    require_usage_sentence(run("export", *arguments), named)


def test_terminated_command_leaves_no_unfinished_file(
    run: Run, days: list[str], settings: Settings, tmp_path: Path
) -> None:
    assert days
    folder = tmp_path / "exports"
    folder.mkdir()
    command: list[str | Path] = [SCRIPT, "replay", "--out", folder / "then.db"]
    with running(command, env=environment(settings), stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not list(folder.glob(".then.db*")):
            time.sleep(0.001)
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) in {0, 128 + signal.SIGTERM}
    assert [path.name for path in folder.iterdir() if path.suffix == ".part"] == []
    assert require_success(run("projections", "verify"))
