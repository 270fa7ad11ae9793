"""`offer-ledger import` processes an offers file as if the partner had sent it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.parsing.body_start import BYTE_ORDER_MARK, MARK_SKIPPED
from tests.support.calls.merchants import MERCHANT, SEED_SAMPLE
from tests.support.calls.offers_files import (
    DAY_BEFORE,
    NAME,
    NEXT_DAY,
    REPLAYED,
    offers_file,
    record,
    send_form,
    send_json,
    without,
)
from tests.support.examples import PARTNER, batch, body, item
from tests.support.harness import Caller
from tests.support.processes.shell import (
    CommandResult,
    Run,
    WriteBatch,
    position,
    require_refusal,
    require_success,
    require_usage_error,
)

MISSING = "active, but missing from the file"

WriteFile = Callable[..., Path]
"""Writes an offers file: write_file(record("A"), name=NAME)."""


@pytest.fixture
def write_file(tmp_path: Path) -> WriteFile:
    def write(*records: Any, name: str = NAME, **header: Any) -> Path:
        path = tmp_path / name
        path.write_bytes(body(offers_file(*records, **header)))
        return path

    return write


def imported(run: Run, path: Path, *options: str) -> CommandResult:
    return run("import", path, "--partner", PARTNER, *options)


def statuses(run: Run) -> dict[str, str]:
    """Returns the status of every offer by externalId."""
    return {offer["externalId"]: offer["status"] for offer in run("inventory", "--json").json["items"]}


def lines(printed: str) -> list[list[str]]:
    """Returns the cells of the table of messages, without its header."""
    table = printed.partition("\n\n")[2].splitlines()
    return [line.split("  ") for line in table[1:]]


# Outcomes


def test_byte_order_mark_of_a_file_is_reported(partnered: Run, write_file: WriteFile) -> None:
    path = write_file(record("A", id=2**60, offerNmae="x"))
    path.write_bytes(BYTE_ORDER_MARK + path.read_bytes())
    printed = " ".join(require_success(imported(partnered, path)).split())
    assert "1 created" in printed
    assert MARK_SKIPPED in printed
    assert "offerNmae: unknown; did you mean offerName?" in printed


def test_file_with_a_header_is_an_offers_file(partnered: Run, write_file: WriteFile) -> None:
    printed = require_success(imported(partnered, write_file(record("A"), record("B", "NEW"))))
    run, counts = printed.splitlines()
    assert run.startswith("Run ")
    assert run.endswith(f", {NAME}")
    assert counts == "2 created"
    (offer, _) = partnered("inventory", "--json").json["items"]
    assert (offer["channel"], offer["merchantId"], offer["externalId"]) == ("merchant", MERCHANT, "A")
    assert "offerStatus" not in offer["content"]


def test_json_equals_the_report_over_http(run: Run, partner: Caller, write_file: WriteFile) -> None:
    path = write_file(record("A"), record("B", offerName=""), record("C", "DELETED"))
    sent = send_form(partner, path.read_bytes())
    assert imported(run, path, "--json").json == sent.json()


def test_imported_file_is_replayed_over_http(run: Run, partner: Caller, write_file: WriteFile) -> None:
    path = write_file(record("A"))
    report = imported(run, path, "--json").json
    assert (report["source"], report["fileName"], report["counts"]["created"]) == ("cli", NAME, 1)
    replay = send_json(partner, path.read_bytes())
    assert (replay.headers[REPLAYED], replay.json()) == ("true", report)


def test_history_has_the_run_of_the_import(partnered: Run, write_file: WriteFile) -> None:
    report = imported(partnered, write_file(record("A")), "--json").json
    command = ("history", "--external-id", "A", "--channel", "merchant", "--merchant-id", MERCHANT, "--json")
    (event,) = partnered(*command).json["items"]
    assert (event["type"], event["source"], event["actor"]) == ("OfferCreated", "cli", report["actor"])
    assert event["runId"] == report["runId"]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_repeated_offers_file_changes_nothing_and_names_the_first_run(
    partnered: Run, write_file: WriteFile, options: list[str]
) -> None:
    path = write_file(record("A"), record("B", offerName=""))
    first, events = imported(partnered, path, "--json").json, position(partnered)
    repeated = require_success(imported(partnered, path, *options))
    assert first["runId"] in repeated
    assert json.loads(repeated) == first if options else "nothing was changed" in repeated
    assert position(partnered) == events


def test_file_that_is_put_back_takes_effect_again(partnered: Run, write_file: WriteFile) -> None:
    for name, outcome in (("Right", "1 created"), ("Wrong", "1 updated"), ("Right", "1 updated")):
        printed = require_success(imported(partnered, write_file(record("A", offerName=name))))
        assert printed.splitlines()[1] == outcome
    (offer,) = partnered("inventory", "--json").json["items"]
    assert offer["content"]["offerName"] == "Right"


def test_file_with_an_impossible_name_exits_1_and_stores_nothing(partnered: Run, write_file: WriteFile) -> None:
    require_success(partnered("partners", "set", "harbor-dining"))
    events = position(partnered)
    ahead = f"TidepoolOffers{datetime.now(UTC).date() + timedelta(days=4):%Y%m%d}.json"
    for name, reason in ((ahead, "more than 2 days ahead"), ("HarborDiningOffers20260101.json", "another partner")):
        refused = imported(partnered, write_file(record("A"), name=name))
        require_refusal(refused, "The name of the file", reason)
        assert refused.exit_code == 1
    assert (position(partnered), statuses(partnered)) == (events, {})
    require_success(imported(partnered, write_file(record("A"), name="TidepoolOffers20260101.json")))


def test_file_is_recognized_in_another_folder_by_its_name(
    partnered: Run, write_file: WriteFile, tmp_path: Path
) -> None:
    path = write_file(record("A"))
    require_success(imported(partnered, path))
    (tmp_path / "copy").mkdir()
    assert "nothing was changed" in require_success(imported(partnered, path.rename(tmp_path / "copy" / NAME)))


def test_same_name_with_other_content_is_a_new_file(partnered: Run, write_file: WriteFile) -> None:
    require_success(imported(partnered, write_file(record("A"))))
    printed = require_success(imported(partnered, write_file(record("A", offerName="Another"), record("B"))))
    assert printed.splitlines()[1] == "1 created, 1 updated"


def test_batch_may_have_the_name_of_an_offers_file(partnered: Run, write_batch: WriteBatch, tmp_path: Path) -> None:
    path = write_batch("Insert", ["TP-1"]).rename(tmp_path / NAME)
    assert imported(partnered, path, "--json").json["data"]["counts"]["created"] == 1


def test_file_with_an_operation_and_a_header_is_a_batch(partnered: Run, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(body(batch("Insert", [item()]) | {"header": {"offerRecordCount": 1}}))
    assert imported(partnered, path, "--json").json["data"]["counts"]["created"] == 1


def test_file_without_records_succeeds(partnered: Run, write_file: WriteFile) -> None:
    assert require_success(imported(partnered, write_file())).splitlines()[1:] == ["no records"]


# Messages


def test_file_with_warnings_failures_and_discrepancies_succeeds(partnered: Run, write_file: WriteFile) -> None:
    require_success(imported(partnered, write_file(record("A"), record("M"))))
    records = [record("A", "NEW"), record("B", offerName=""), SEED_SAMPLE | {"offerStatus": "UPSERT"}, 5]
    path = write_file(*records, name="SeagrassOffers20261122.json", fileCreationDate="2026-11-21")
    printed = require_success(imported(partnered, path))
    assert printed.splitlines()[1:4] == [
        "1 created, 1 unchanged, 1 discrepancy, 2 failed",
        "header.fileCreationDate: differs from the date in the file name, which is used instead",
        "name: does not start with the partner's name",
    ]
    messages = [(line[0], line[-1].strip().partition(":")[0]) for line in lines(printed)]
    assert messages == [
        ("2121 / 323232", "assets.logo.value.large.url"),
        ("2121 / 323232", "assets.largeRectangle.value.large.content"),
        (f"{MERCHANT} / A", "offerStatus"),
        (f"{MERCHANT} / M", MISSING),
        (f"{MERCHANT} / B", "offerName"),
        ("", "offers[3]"),
    ]


def test_file_with_only_failed_records_succeeds(partnered: Run, write_file: WriteFile) -> None:
    events = position(partnered)
    printed = require_success(imported(partnered, write_file(record("A", offerName=""))))
    assert printed.splitlines()[1] == "1 failed"
    assert position(partnered) == events


def test_offers_file_import_prints_20_messages_and_counts_others(partnered: Run, write_file: WriteFile) -> None:
    path = write_file(*(record(f"A-{n}", offerName="") for n in range(30)))
    printed = require_success(imported(partnered, path))
    assert printed.count("offerName: must not be empty") == 20
    assert printed.splitlines()[-1] == "... and 10 more messages. --json prints all of them."
    assert len(imported(partnered, path, "--json").json["records"]) == 30


def test_text_of_a_file_cannot_control_the_terminal(partnered: Run, write_file: WriteFile) -> None:
    path = write_file(record("A\x1b[31m", offerName=""), name="Tide\u009b31mOffers20261122.json")
    printed = require_success(imported(partnered, path))
    assert not {"\x1b", "\u009b"} & set(printed)


# Refusals


INVALID_FILES: dict[str, tuple[Any, str]] = {
    "fewer records than it says": (offers_file(record("A"), offerRecordCount=2), "header.offerRecordCount: "),
    "more records than it says": (offers_file(record("A"), record("B"), offerRecordCount=1), "which is 2"),
    "no count": (offers_file(record("A")) | {"header": {}}, "header.offerRecordCount: required"),
    "no offers": (without(offers_file(), "offers"), "offers: required"),
}


@pytest.mark.parametrize(("document", "message"), INVALID_FILES.values(), ids=INVALID_FILES)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_invalid_file_is_refused_as_a_whole(
    partnered: Run, tmp_path: Path, document: dict[str, Any], message: str, options: list[str]
) -> None:
    (tmp_path / NAME).write_bytes(body(document))
    require_refusal(imported(partnered, tmp_path / NAME, *options), message)
    assert (position(partnered), statuses(partnered)) == (1, {})


@pytest.mark.parametrize("content", [b"", b"{", body(offers_file(record("A")))[:-1], b'{"header": NaN}', b"\xff"])
def test_offers_file_that_is_not_json_is_refused(partnered: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    require_refusal(imported(partnered, tmp_path / NAME), "JSON")


@pytest.mark.parametrize("document", [{}, {"offers": [record("A")]}, {"Header": {}, "offers": []}])
def test_error_for_an_unknown_kind_of_file_names_both_kinds(
    partnered: Run, tmp_path: Path, document: dict[str, Any]
) -> None:
    (tmp_path / NAME).write_bytes(body(document))
    ended = imported(partnered, tmp_path / NAME)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert [line.partition(":")[0] for line in ended.stderr.splitlines()] == ["operation", "header"]
    assert position(partnered) == 1


@pytest.mark.parametrize("name", ["offers.json", "TidepoolOffers20261131.json", "TidepoolOffers20261122.json.bak"])
def test_offers_file_with_another_name_is_refused(partnered: Run, write_file: WriteFile, name: str) -> None:
    require_refusal(imported(partnered, write_file(record("A"), name=name)), "name: ", "OffersCCYYMMDD.json")
    assert position(partnered) == 1


def test_file_older_than_the_last_one_is_refused(partnered: Run, write_file: WriteFile) -> None:
    for name in (DAY_BEFORE, NEXT_DAY):
        require_success(imported(partnered, write_file(record("A"), name=name)))
    events = position(partnered)
    require_refusal(imported(partnered, write_file(record("B"))), "2026-11-22", "2026-11-23")
    assert position(partnered) == events


def test_older_file_that_was_processed_is_refused(partnered: Run, write_file: WriteFile) -> None:
    older = write_file(record("A"), name=DAY_BEFORE)
    for path in (older, write_file(record("A"))):
        require_success(imported(partnered, path))
    require_refusal(imported(partnered, older), "2026-11-21", "2026-11-22")


def test_offers_file_of_an_unknown_partner_is_refused(run: Run, write_file: WriteFile) -> None:
    require_refusal(imported(run, write_file(record("A"))), PARTNER, f"offer-ledger partners set {PARTNER}")


# --missing-from-file


def test_missing_offers_are_reported_by_default(partnered: Run, write_file: WriteFile) -> None:
    assert partnered("partners", "show", PARTNER, "--json").json["missingFromFile"] == "report"
    for records in ([record("A"), record("B")], [record("A")]):
        printed = require_success(imported(partnered, write_file(*records)))
    assert printed.splitlines()[1] == "1 unchanged, 1 discrepancy"
    assert statuses(partnered) == {"A": "active", "B": "active"}


def test_missing_offers_are_deleted_with_the_setting_delete(partnered: Run, write_file: WriteFile) -> None:
    require_success(partnered("partners", "set", PARTNER, "--missing-from-file", "delete"))
    for records in ([record("A"), record("B")], [record("A")]):
        printed = require_success(imported(partnered, write_file(*records)))
    assert printed.splitlines()[1] == "1 unchanged, 1 deleted"
    assert lines(printed)[0][-1].strip() == MISSING
    assert statuses(partnered) == {"A": "active", "B": "deleted"}


def test_other_settings_do_not_change_the_treatment_of_missing_offers(partnered: Run) -> None:
    def shown(*options: object) -> str:
        return str(partnered("partners", "set", PARTNER, *options, "--json").json["missingFromFile"])

    assert shown("--missing-from-file", "delete") == "delete"
    assert shown("--rps", 5) == "delete"
    assert shown("--missing-from-file", "report") == "report"


@pytest.mark.parametrize("value", ["", "pause", "DELETE", "1"])
def test_invalid_treatment_of_missing_offers_is_a_usage_error(partnered: Run, value: str) -> None:
    require_usage_error(partnered("partners", "set", PARTNER, "--missing-from-file", value), "--missing-from-file")
