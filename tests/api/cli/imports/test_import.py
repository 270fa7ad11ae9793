"""`offer-ledger import` processes a batch from a file as if the partner had sent it."""

import json
import os
import pwd
from pathlib import Path

import pytest

from api.parsing.body_start import BYTE_ORDER_MARK, MARK_SKIPPED
from tests.support.examples import PARTNER, batch, body, item
from tests.support.harness import Caller
from tests.support.processes.shell import Run, WriteBatch, position, require_success


def history_of(run: Run, external_id: str) -> list[dict[str, object]]:
    items: list[dict[str, object]] = run("history", "--external-id", external_id, "--json").json["items"]
    return items


# Outcomes


def test_new_file_creates_its_offers(partnered: Run, write_batch: WriteBatch) -> None:
    printed = require_success(partnered("import", write_batch("Insert", ["TP-1", "TP-2"]), "--partner", PARTNER))
    assert "Insert" in printed
    assert "2 created, 0 updated, 0 unchanged, 0 paused, 0 failed" in printed
    assert [offer["externalId"] for offer in partnered("inventory", "--json").json["items"]] == ["TP-1", "TP-2"]


def test_repeated_file_changes_nothing_and_names_the_first_run(partnered: Run, write_batch: WriteBatch) -> None:
    command = ("import", write_batch("Insert", ["TP-1"]), "--partner", PARTNER)
    first, events = partnered(*command, "--json").json, position(partnered)
    repeated = require_success(partnered(*command))
    assert first["data"]["runId"] in repeated
    assert "nothing was changed" in repeated
    assert position(partnered) == events


def test_json_of_a_repeated_file_is_the_first_reply(partnered: Run, write_batch: WriteBatch) -> None:
    command = ("import", write_batch("Insert", ["TP-1"]), "--partner", PARTNER, "--json")
    assert partnered(*command).stdout == partnered(*command).stdout


def test_synchronize_pauses_missing_offers(partnered: Run, write_batch: WriteBatch) -> None:
    partnered("import", write_batch("Insert", ["TP-1", "TP-2"]), "--partner", PARTNER)
    printed = require_success(partnered("import", write_batch("Synchronize", ["TP-1"]), "--partner", PARTNER))
    assert "0 created, 0 updated, 1 unchanged, 1 paused, 0 failed" in printed


def test_message_of_a_resumed_offer_is_printed(partnered: Run, write_batch: WriteBatch) -> None:
    for names in (["TP-1", "TP-2"], ["TP-1"]):
        partnered("import", write_batch("Synchronize", names), "--partner", PARTNER)
    printed = require_success(partnered("import", write_batch("Insert", ["TP-2"]), "--partner", PARTNER))
    assert printed.splitlines()[-1].split(maxsplit=2) == ["TP-2", "updated", "Offer has been resumed"]


def test_same_file_for_another_partner_is_another_run(partnered: Run, write_batch: WriteBatch) -> None:
    partnered("partners", "set", "seagrass")
    file = write_batch("Insert", ["TP-1"])
    runs = {partnered("import", file, "--partner", p, "--json").json["data"]["runId"] for p in (PARTNER, "seagrass")}
    assert len(runs) == 2
    assert [o["partner"] for o in partnered("inventory", "--json").json["items"]] == [PARTNER, "seagrass"]


def test_import_records_the_system_user_and_the_source_cli(
    partnered: Run, write_batch: WriteBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    reply = partnered("import", write_batch("Insert", ["TP-1"]), "--partner", PARTNER, "--json").json
    event = history_of(partnered, "TP-1")[0]
    assert (event["source"], event["actor"]) == ("cli", pwd.getpwuid(os.getuid()).pw_name)
    assert event["runId"] == reply["data"]["runId"]


def test_user_without_a_name_is_recorded_by_number(
    partnered: Run, write_batch: WriteBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container often runs with a user id that has no name."""
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2_000_000_011)
    require_success(partnered("import", write_batch("Insert", ["TP-1"]), "--partner", PARTNER))
    assert history_of(partnered, "TP-1")[0]["actor"] == "uid 2000000011"


# Failed offers


def write_mixed_batch(folder: Path) -> Path:
    path = folder / "write_mixed_batch.json"
    path.write_bytes(body(batch("Insert", [item("TP-1"), item("TP-2", dailyCap=0)])))
    return path


def test_batch_with_some_failed_offers_succeeds(partnered: Run, tmp_path: Path) -> None:
    printed = require_success(partnered("import", write_mixed_batch(tmp_path), "--partner", PARTNER))
    assert "1 created, 0 updated, 0 unchanged, 0 paused, 1 failed" in printed
    assert printed.splitlines()[-1].split()[:3] == ["TP-2", "failed", "offerData[0].dailyCap:"]


def test_json_of_a_batch_with_some_failures_is_partial_success(partnered: Run, tmp_path: Path) -> None:
    reply = partnered("import", write_mixed_batch(tmp_path), "--partner", PARTNER, "--json").json
    assert (reply["isSuccessful"], reply["responseType"]) == (True, "PartialSuccess")
    assert [failed["externalId"] for failed in reply["data"]["failedOffers"]] == ["TP-2"]


def test_import_prints_messages_about_all_outcomes(partnered: Run, tmp_path: Path) -> None:
    path = tmp_path / "messages.json"
    items = [item("Q", dailyCap="10"), item("H", hedline="x"), item("L", id=2**60), item("L", id=2**60), 7]
    path.write_bytes(BYTE_ORDER_MARK + body(batch("Insert", items)))
    printed = require_success(partnered("import", path, "--partner", PARTNER))
    assert "3 created, 0 updated, 0 unchanged, 0 paused, 1 failed" in printed
    assert MARK_SKIPPED in printed
    for message in ("a quoted integer", "did you mean headline?", "Sent 2 times", "offers[4]: must be an object"):
        assert message in " ".join(printed.split())
    reply = partnered("import", path, "--partner", PARTNER, "--json").json
    assert (reply["messages"], [o["externalId"] for o in reply["data"]["failedOffers"]]) == ([MARK_SKIPPED], [""])


def test_batch_with_only_failed_offers_is_refused_with_reasons(partnered: Run, write_batch: WriteBatch) -> None:
    events = position(partnered)
    ended = partnered("import", write_batch("Insert", ["TP-1", "TP-2"], dailyCap=0), "--partner", PARTNER)
    assert ended.exit_code == 1
    assert "0 created, 0 updated, 0 unchanged, 0 paused, 2 failed" in ended.stdout
    assert ended.stdout.count("offerData[0].dailyCap: ") == 2
    assert len(ended.stderr.splitlines()) == 1
    assert position(partnered) == events


def test_repeated_batch_with_only_failed_offers_is_refused(partnered: Run, write_batch: WriteBatch) -> None:
    command = ("import", write_batch("Insert", ["TP-1"], dailyCap=0), "--partner", PARTNER)
    assert [partnered(*command).exit_code for _ in range(2)] == [1, 1]


def test_import_prints_20_messages_and_counts_the_others(partnered: Run, tmp_path: Path) -> None:
    path = tmp_path / "many.json"
    path.write_bytes(body(batch("Insert", [item("TP"), *(item(f"TP-{n}", dailyCap=0) for n in range(30))])))
    printed = require_success(partnered("import", path, "--partner", PARTNER))
    assert printed.count("offerData[0].dailyCap: ") == 20
    assert printed.splitlines()[-1] == "... and 10 more messages. --json prints all of them."


def test_json_has_the_reason_of_each_failed_offer(partnered: Run, write_batch: WriteBatch) -> None:
    file = write_batch("Insert", [f"TP-{n}" for n in range(30)], dailyCap=0)
    ended = partnered("import", file, "--partner", PARTNER, "--json")
    assert ended.exit_code == 1
    assert ended.stdout.count("offerData[0].dailyCap: ") == 30


# The same replies as over HTTP


def test_json_equals_the_reply_over_http(run: Run, partner: Caller, tmp_path: Path) -> None:
    path = write_mixed_batch(tmp_path)
    sent = partner.send(path.read_bytes())
    assert run("import", path, "--partner", PARTNER, "--json").json == sent.json()


def test_imported_batch_is_replayed_over_http(run: Run, partner: Caller, tmp_path: Path) -> None:
    path = write_mixed_batch(tmp_path)
    imported = run("import", path, "--partner", PARTNER, "--json").json
    replay = partner.send(path.read_bytes())
    assert replay.headers["Idempotency-Replayed"] == "true"
    assert replay.json() == imported


def test_json_of_a_refused_batch_has_the_http_data(run: Run, partner: Caller, write_batch: WriteBatch) -> None:
    path = write_batch("Insert", ["TP-1", "TP-2"], dailyCap=0)
    sent = partner.send(path.read_bytes())
    ended = run("import", path, "--partner", PARTNER, "--json")
    assert (sent.status_code, ended.exit_code) == (422, 1)
    assert json.loads(ended.stdout)["data"] == sent.json()["data"]
