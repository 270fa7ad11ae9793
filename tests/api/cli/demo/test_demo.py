"""offer-ledger demo"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.settings import Settings
from projections.maintenance.table_diff import Difference
from tests.support.processes.shell import (
    SCRIPT,
    CommandResult,
    Run,
    control_characters,
    database_exists,
    require_success,
)
from tests.support.waiting import PATIENCE_SECONDS

WIDTH = 100
STEPS = {
    "Two partners get a token": [None] * 5,
    "The first offers arrive": [200, 200],
    "The next Synchronize": [200, 200],
    "A paused offer comes back": [200],
    "One offer is invalid": [200, 200],
    "A reply is lost": [None, 200, 200],
    "The request is repeated": [200, 200],
    "One offer at a time": [202, 200, 202, 200, 202, 200],
    "The daily file": [202, 200, 200],
    "A customer activates an offer": [None, 200, 201, 200],
    "The offer is deleted": [202, 200, 409, 201, 200],
    "Forty-six days later": [409, 201, 200],
    "The audit": [200, 200, None],
}
"""The steps, with the statuses of their calls. Commands and the lost reply have no status."""


def run_without_environment(folder: Path, *options: str) -> str:
    ended = subprocess.run(
        [SCRIPT, "demo", *options],
        env={"TMPDIR": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert list(folder.iterdir()) == []
    return require_success(CommandResult(ended.returncode, ended.stdout, ended.stderr))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of the installed command without any setting. The command must leave no files."""
    return run_without_environment(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """The calls of each step, as JSON."""
    document = json.loads(run_without_environment(tmp_path_factory.mktemp("json"), "--json"))
    return {step["title"]: step["calls"] for step in document["steps"]}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files. It must be empty at the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def step_text(text: str, title: str) -> str:
    """Returns the printed text of one step."""
    return text.split(f". {title}\n")[1].split("\n\n" + str(list(STEPS).index(title) + 2) + ". ", maxsplit=1)[0]


# Text


def test_steps_are_printed_in_order(text: str) -> None:
    headings = [line for line in text.splitlines() if line[:1].isdigit()]
    assert headings == [f"{number}. {title}" for number, title in enumerate(STEPS, 1)]


def test_lines_are_short_and_plain(text: str) -> None:
    assert max(map(len, text.splitlines())) <= WIDTH
    assert control_characters(text) == set()
    assert text.isascii()
    assert all(line == line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize(
    ("title", "facts"),
    [
        ("Two partners get a token", ["partners set tidepool", "--partner harbor", "--role auditor", "0 removes"]),
        ("The first offers arrive", ["created  TP-1, TP-2, TP-3", "created  HB-1, HB-2"]),
        ("The next Synchronize", ["updated    TP-1", "unchanged  TP-2", "paused     TP-3", "HB-1  active  version 1"]),
        ("A paused offer comes back", ["updated  TP-3  Offer has been resumed"]),
        ("One offer is invalid", ["PartialSuccess", "offerData[0].dailyCap: must be an integer", "TP-1  active"]),
        ("A reply is lost", ["the connection breaks", "runs?concurrencyRequestId=", "completed: 1 updated"]),
        ("The request is repeated", ["Idempotency-Replayed: true", "position 16"]),
        ("One offer at a time", ["created, version 1", "unchanged, version 1", "deleted, version 2"]),
        ("The daily file", ["restored     NOODLES", "discrepancy  TEA", "offerName: must not be empty"]),
        ("A customer activates an offer", ["version 1 of the offer", "for 45 days, until", "C-42      1", "open"]),
        ("The offer is deleted", ["deleted, version 2", "offer-not-activatable", "12.50 USD, on", "winding_down"]),
        ("Forty-six days later", ["redemption-window-closed", "12.50 USD, on", "expired  25.00 USD"]),
        ("The audit", ["active -> paused", "paused -> active", "All commits and all projections"]),
    ],
)
def test_each_step_prints_its_main_facts(text: str, title: str, facts: list[str]) -> None:
    for fact in facts:
        assert fact in step_text(text, title)


def test_audit_prints_time_event_actor_run_and_changes(text: str) -> None:
    table = step_text(text, "The audit").split("changed fields\n")[1].split("\n\n")[0]
    rows = [line.split() for line in table.splitlines() if "tidepool-feed" in line]
    assert [row[1] for row in rows] == ["OfferCreated", "OfferPaused", "OfferResumed", "OfferUpdated"]
    assert all(row[3] in text.split("13. The audit", maxsplit=1)[0] for row in rows), (
        "earlier steps have shown each run"
    )
    before, after = table.splitlines()[-2:]
    assert before.endswith('headline: "Sail for 500 points"')
    assert after.endswith('       -> "Sail for 700 points"')


def test_end_names_the_next_commands(text: str) -> None:
    first, second = text.splitlines()[-2:]
    assert first.split()[:2] == ["make", "run"]
    assert second.split()[:2] == ["offer-ledger", "--help"]


# JSON


def test_json_has_each_call_with_its_status(steps: dict[str, list[Any]]) -> None:
    assert {title: [call["status"] for call in calls] for title, calls in steps.items()} == STEPS
    assert all(call["request"] for calls in steps.values() for call in calls)


def test_json_has_the_whole_replies(steps: dict[str, list[Any]]) -> None:
    (invalid, _), (lost, runs, _) = steps["One offer is invalid"], steps["A reply is lost"]
    (repeated, position), (inventory, history, verified) = steps["The request is repeated"], steps["The audit"]
    assert invalid["answer"]["data"]["counts"] == {"created": 1, "updated": 0, "unchanged": 1, "paused": 1, "failed": 1}
    assert lost["answer"] is None
    assert repeated["body"] == lost["body"]
    assert repeated["headers"] == {"Idempotency-Replayed": "true"}
    assert repeated["answer"]["data"]["runId"] == runs["answer"]["items"][0]["runId"]
    # Five for merchant offers, one for the publisher's token, four for the customer, one for the deletion.
    later_events = 5 + 1 + 4 + 1
    assert position["answer"]["position"] == inventory["answer"]["position"] - later_events
    assert history["answer"]["items"][-1]["changes"] == [
        {"field": "/content/headline", "before": "Sail for 500 points", "after": "Sail for 700 points"}
    ]
    assert verified["answer"] == {"equal": True, "differences": []}


def test_secrets_are_not_printed(text: str, steps: dict[str, list[Any]]) -> None:
    secrets = [call["answer"] for call in steps["Two partners get a token"] if call["answer"]]
    assert [len(secret) for secret in secrets] == [len("123456...")] * 3
    assert "ApiToken" not in text


# Other ledgers and errors


def test_demo_does_not_touch_the_configured_ledger(
    run_without_ledger: Run, settings: Settings, temporary: Path
) -> None:
    require_success(run_without_ledger("demo"))
    assert not database_exists(settings)
    assert sorted(temporary.parent.iterdir()) == [temporary]


def test_demo_ignores_all_settings(run: Run, monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    monkeypatch.setenv("OFFER_LEDGER_MAX_ITEMS", "1")
    monkeypatch.setenv("OFFER_LEDGER_WAIT_SECONDS", "0")
    require_success(run("demo"))
    assert temporary.exists()


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.usefixtures("temporary")
def test_unexpected_reply_ends_the_demo_with_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setattr("domain.runs.batch_reconciliation._pause_absent", lambda *_, **__: None)
    ended = run("demo", *options)
    assert ended.exit_code == 1
    assert ended.stderr.startswith("Step 3 failed: the outcome: expected ")
    assert len(ended.stderr.splitlines()) == 1
    assert "4. " not in ended.stdout
    assert not (options and ended.stdout)


@pytest.mark.usefixtures("temporary")
def test_inconsistent_ledger_ends_the_demo_with_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.maintenance.verification.verify", lambda *_: [Difference("commit 1", None, None)])
    ended = run("demo")
    assert (ended.exit_code, len(ended.stderr.splitlines())) == (1, 1)
    assert ended.stderr.startswith("Step 13 ")
    assert "commit 1" in ended.stderr
    assert "All commits" not in ended.stdout


def test_demo_without_a_temporary_folder_ends_with_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    ended = run("demo")
    assert (ended.exit_code, ended.stdout, len(ended.stderr.splitlines())) == (1, "", 1)
    assert "temporary" in ended.stderr


def test_program_help_describes_the_demo_in_one_sentence(run: Run) -> None:
    assert "Play an example day on a temporary ledger.\n" in require_success(run("--help"))
    assert "--json" in require_success(run("demo", "--help"))
