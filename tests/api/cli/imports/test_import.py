"""offer-ledger import: a batch from a file, as if its partner had sent it."""

import json
import os
import pwd
from pathlib import Path

import pytest

from tests.support.examples import PARTNER, batch, body, item
from tests.support.harness import Caller
from tests.support.processes.shell import Run, WriteBatch, position, require_done


def history_of(run: Run, external_id: str) -> list[dict[str, object]]:
    items: list[dict[str, object]] = run("history", "--external-id", external_id, "--json").json["items"]
    return items


# What it does


def test_a_new_file_creates_its_offers(partnered: Run, write_batch: WriteBatch) -> None:
    printed = require_done(partnered("import", write_batch("Insert", ["TP-1", "TP-2"]), "--partner", PARTNER))
    assert "Insert" in printed
    assert "2 created, 0 updated, 0 unchanged, 0 paused, 0 failed" in printed
    assert [offer["externalId"] for offer in partnered("inventory", "--json").json["items"]] == ["TP-1", "TP-2"]


def test_the_same_file_again_does_nothing_and_names_the_same_run(partnered: Run, write_batch: WriteBatch) -> None:
    command = ("import", write_batch("Insert", ["TP-1"]), "--partner", PARTNER)
    first, events = partnered(*command, "--json").json, position(partnered)
    again = require_done(partnered(*command))
    assert first["data"]["runId"] in again
    assert "nothing was done" in again
    assert position(partnered) == events


def test_json_of_the_same_file_again_is_the_reply_of_the_first_time(partnered: Run, write_batch: WriteBatch) -> None:
    command = ("import", write_batch("Insert", ["TP-1"]), "--partner", PARTNER, "--json")
    assert partnered(*command).stdout == partnered(*command).stdout


def test_a_synchronize_pauses_what_is_missing(partnered: Run, write_batch: WriteBatch) -> None:
    partnered("import", write_batch("Insert", ["TP-1", "TP-2"]), "--partner", PARTNER)
    printed = require_done(partnered("import", write_batch("Synchronize", ["TP-1"]), "--partner", PARTNER))
    assert "0 created, 0 updated, 1 unchanged, 1 paused, 0 failed" in printed


def test_the_message_of_a_resumed_offer_is_shown(partnered: Run, write_batch: WriteBatch) -> None:
    for names in (["TP-1", "TP-2"], ["TP-1"]):
        partnered("import", write_batch("Synchronize", names), "--partner", PARTNER)
    printed = require_done(partnered("import", write_batch("Insert", ["TP-2"]), "--partner", PARTNER))
    assert printed.splitlines()[-1].split(maxsplit=2) == ["TP-2", "updated", "Offer has been resumed"]


def test_the_same_file_for_another_partner_is_a_run_of_its_own(partnered: Run, write_batch: WriteBatch) -> None:
    partnered("partners", "set", "seagrass")
    file = write_batch("Insert", ["TP-1"])
    runs = {partnered("import", file, "--partner", p, "--json").json["data"]["runId"] for p in (PARTNER, "seagrass")}
    assert len(runs) == 2
    assert [o["partner"] for o in partnered("inventory", "--json").json["items"]] == [PARTNER, "seagrass"]


def test_it_is_recorded_with_the_shells_user_and_as_done_on_the_command_line(
    partnered: Run, write_batch: WriteBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    reply = partnered("import", write_batch("Insert", ["TP-1"]), "--partner", PARTNER, "--json").json
    event = history_of(partnered, "TP-1")[0]
    assert (event["source"], event["actor"]) == ("cli", pwd.getpwuid(os.getuid()).pw_name)
    assert event["runId"] == reply["data"]["runId"]


def test_a_user_without_a_name_can_import_too(
    partnered: Run, write_batch: WriteBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that runs under a number."""
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2_000_000_011)
    require_done(partnered("import", write_batch("Insert", ["TP-1"]), "--partner", PARTNER))
    assert history_of(partnered, "TP-1")[0]["actor"] == "uid 2000000011"


# What it tells of failed offers


def mixed(folder: Path) -> Path:
    path = folder / "mixed.json"
    path.write_bytes(body(batch("Insert", [item("TP-1"), item("TP-2", dailyCap=0)])))
    return path


def test_a_batch_of_which_some_fail_is_done(partnered: Run, tmp_path: Path) -> None:
    printed = require_done(partnered("import", mixed(tmp_path), "--partner", PARTNER))
    assert "1 created, 0 updated, 0 unchanged, 0 paused, 1 failed" in printed
    assert printed.splitlines()[-1].split()[:3] == ["TP-2", "failed", "offerData[0].dailyCap:"]


def test_json_of_a_batch_of_which_some_fail_is_partial_success(partnered: Run, tmp_path: Path) -> None:
    reply = partnered("import", mixed(tmp_path), "--partner", PARTNER, "--json").json
    assert (reply["isSuccessful"], reply["responseType"]) == (True, "PartialSuccess")
    assert [failed["externalId"] for failed in reply["data"]["failedOffers"]] == ["TP-2"]


def test_a_batch_of_which_all_fail_is_refused_and_tells_why(partnered: Run, write_batch: WriteBatch) -> None:
    events = position(partnered)
    ended = partnered("import", write_batch("Insert", ["TP-1", "TP-2"], dailyCap=0), "--partner", PARTNER)
    assert ended.exit_code == 1
    assert "0 created, 0 updated, 0 unchanged, 0 paused, 2 failed" in ended.stdout
    assert ended.stdout.count("offerData[0].dailyCap: ") == 2
    assert len(ended.stderr.splitlines()) == 1
    assert position(partnered) == events


def test_a_batch_of_which_all_fail_is_refused_again(partnered: Run, write_batch: WriteBatch) -> None:
    command = ("import", write_batch("Insert", ["TP-1"], dailyCap=0), "--partner", PARTNER)
    assert [partnered(*command).exit_code for _ in range(2)] == [1, 1]


def test_only_the_first_messages_are_shown_and_the_rest_counted(partnered: Run, tmp_path: Path) -> None:
    path = tmp_path / "many.json"
    path.write_bytes(body(batch("Insert", [item("TP"), *(item(f"TP-{n}", dailyCap=0) for n in range(30))])))
    printed = require_done(partnered("import", path, "--partner", PARTNER))
    assert printed.count("offerData[0].dailyCap: ") == 20
    assert printed.splitlines()[-1] == "... and 10 more messages: --json prints them all"


def test_json_tells_why_all_offers_failed(partnered: Run, write_batch: WriteBatch) -> None:
    file = write_batch("Insert", [f"TP-{n}" for n in range(30)], dailyCap=0)
    ended = partnered("import", file, "--partner", PARTNER, "--json")
    assert ended.exit_code == 1
    assert ended.stdout.count("offerData[0].dailyCap: ") == 30


# The same words as over HTTP


def test_json_is_the_reply_that_was_given_over_http(run: Run, partner: Caller, tmp_path: Path) -> None:
    path = mixed(tmp_path)
    sent = partner.send(path.read_bytes())
    assert run("import", path, "--partner", PARTNER, "--json").json == sent.json()


def test_what_was_imported_is_replayed_over_http(run: Run, partner: Caller, tmp_path: Path) -> None:
    path = mixed(tmp_path)
    imported = run("import", path, "--partner", PARTNER, "--json").json
    replay = partner.send(path.read_bytes())
    assert replay.headers["Idempotency-Replayed"] == "true"
    assert replay.json() == imported


def test_json_of_a_batch_of_which_all_fail_has_the_data_of_the_reply_over_http(
    run: Run, partner: Caller, write_batch: WriteBatch
) -> None:
    path = write_batch("Insert", ["TP-1", "TP-2"], dailyCap=0)
    sent = partner.send(path.read_bytes())
    ended = run("import", path, "--partner", PARTNER, "--json")
    assert (sent.status_code, ended.exit_code) == (422, 1)
    assert json.loads(ended.stdout)["data"] == sent.json()["data"]
