"""Tests of `offer-ledger runs undo`."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.support.examples import PARTNER
from tests.support.processes.shell import Run, WriteBatch


@pytest.fixture
def sent(partnered: Run, write_batch: WriteBatch) -> list[str]:
    """The ids of two runs: an Insert of A and B, and one that changes A."""
    ids = []
    for names, headline in ((["A", "B"], "one"), (["A"], "two")):
        printed = partnered("import", write_batch("Insert", names, headline=headline), "--partner", PARTNER, "--json")
        ids.append(json.loads(printed.stdout)["data"]["runId"])
    return ids


def undo(run: Run, run_id: str, *options: str) -> Any:
    return run("runs", "undo", run_id, "--reason", "The batch was wrong", *options)


def test_plan_lists_the_offers_and_changes_nothing(run: Run, sent: list[str]) -> None:
    planned = undo(run, sent[0], "--plan")
    assert planned.exit_code == 0
    first, _, *rows = planned.stdout.splitlines()
    assert first == f"The undo of run {sent[0]} would have these outcomes: 1 deleted, 1 kept"
    assert [row.split(maxsplit=2) for row in rows] == [
        ["B", "deleted"],
        ["A", "kept", f"Offer has been changed since by run {sent[1]}"],
    ]
    document = json.loads(undo(run, sent[0], "--plan", "--json").stdout)
    assert (document["undoOf"], document["counts"]["kept"]) == (sent[0], 1)
    assert len(json.loads(run("runs", "list", "--json").stdout)["items"]) == 2


def test_undo_prints_its_run_and_counts(run: Run, sent: list[str]) -> None:
    undone = undo(run, sent[0])
    assert undone.exit_code == 0
    newest = json.loads(run("runs", "list", "--json").stdout)["items"][0]
    assert undone.stdout.splitlines() == [f"Run {newest['runId']}", "1 deleted, 1 kept"]
    assert (newest["undoOf"], newest["source"], newest["reason"]) == (sent[0], "cli", "The batch was wrong")
    again = undo(run, sent[0])
    assert again.stdout.splitlines()[0] == f"Run {newest['runId']} (accepted before; nothing was changed)"
    assert json.loads(undo(run, sent[0], "--json").stdout) == newest


def test_runs_show_the_undo_and_the_undone_run(run: Run, sent: list[str]) -> None:
    undo(run, sent[1])
    newest = json.loads(run("runs", "list", "--json").stdout)["items"][0]["runId"]
    assert f"undo of {sent[1]}" in run("runs", "list").stdout
    assert "completed, undone" in run("runs", "list").stdout
    shown = run("runs", "show", newest).stdout
    assert f"undoOf                {sent[1]}" in shown
    assert "reason                The batch was wrong" in shown
    assert f"undoneBy              {newest}" in run("runs", "show", sent[1]).stdout


def test_undo_without_effect_exits_with_1(run: Run, sent: list[str]) -> None:
    refused = undo(run, str(uuid4()))
    assert (refused.exit_code, "The run does not exist" in refused.stderr) == (1, True)
    undo(run, sent[1])
    assert undo(run, sent[1], "--plan").exit_code == 1


def test_reason_is_required(run: Run, sent: list[str]) -> None:
    assert run("runs", "undo", sent[0]).exit_code == 2
    assert run("runs", "undo", sent[0], "--reason", " ").exit_code == 2
