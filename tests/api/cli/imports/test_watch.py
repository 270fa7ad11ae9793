"""`offer-ledger watch`: the outcomes of dropped files, their reports and the printed lines."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.channels.drop_folder import DONE_FOLDER, MAX_HOLD_SECONDS, REFUSED_FOLDER, TAKEN_FOLDER
from api.http.paths import OFFERS_FILES_PATH
from api.settings import Settings
from tests.support.calls.merchants import MERCHANT
from tests.support.examples import PARTNER, batch, body, item
from tests.support.processes.drop_folders import drop
from tests.support.processes.shell import Run, RunningServer, control_characters, position, require_success
from tests.support.processes.watch_process import (
    RunningWatch,
    drop_day,
    file_name,
    file_of,
    file_record,
    files_by_folder,
    offers_file,
    report_of,
)

MAX_BODY_BYTES = 5_000
REFUSALS: dict[str, tuple[bytes, str, int]] = {
    "TidepoolOffers20261101.json": (file_of("OFR-1"), "dated before", 409),
    "TidepoolOffers20261123.json": (offers_file([file_record("OFR-1")], offerRecordCount=2), "offerRecordCount", 422),
    "TidepoolOffers20261124.json": (file_of("OFR-1") + b"}", "JSON", 400),
    "TidepoolOffers20261126.json": (body({"offers": [file_record("OFR-1")]}), "header", 422),
    "TidepoolOffers20261127.json": (body(batch("Insert", [item()])), "header", 422),
    "TidepoolOffers20261128.json": (file_of("OFR-1").replace(b"Juniper", b"\xff"), "UTF-8", 400),
    "TidepoolOffers20261129.json": (file_of(*map(str, range(20))), f"{MAX_BODY_BYTES} bytes", 413),
    "TidepoolOffers20261131.json": (file_of("OFR-1"), "name", 422),
    "TidepoolOffers20261122.json.gz": (file_of("OFR-1"), "name", 422),
    "readme.txt": (b"All offers are in the other files.", "JSON", 400),
}
"""Files that are refused, by name: content, a part of the reason, and the status of the same request over HTTP."""

NAMES = [
    b"line\nbreakOffers20261122.json",
    b"\x1b[31mredOffers20261122.json",
    b"\xff\xfeOffers20261122.json",
    b"Tidepool\xe9.json",
    "c1 \x9b31mOffers20261122.json".encode(),
    "reversed \u202eOffers20261123.json".encode(),
    "潮だまりOffers20261124.json".encode(),
    b"[bold]xOffers20261125.json",
    b"-rf",
]


@pytest.fixture
def directory(tmp_path: Path, partnered: Run) -> Path:
    """The drop folder of the partner."""
    require_success(partnered("partners", "set", PARTNER, "--rps", 0))
    directory = tmp_path / "drop"
    directory.mkdir()
    return directory


def inventory(run: Run) -> dict[str, str]:
    """Returns the names of all offers by externalId."""
    return {offer["externalId"]: offer["content"]["offerName"] for offer in run("inventory", "--json").json["items"]}


# Done


def test_processed_file_moves_to_done_with_its_report(run: Run, settings: Settings, directory: Path) -> None:
    with RunningWatch(settings, directory) as watch:
        drop_day(directory, 22, file_of("OFR-1", "OFR-2"))
        place = directory / DONE_FOLDER / file_name(22)
        assert watch.wait_for_lines(1) == [f"{place}: 2 created"]
        assert watch.stderr_lines == [f"Watching {directory} for offers files of {PARTNER}. Press Ctrl-C to stop."]
    assert files_by_folder(directory) == {DONE_FOLDER: [file_name(22)]}
    assert place.read_bytes() == file_of("OFR-1", "OFR-2")
    assert set(inventory(run)) == {"OFR-1", "OFR-2"}
    report = report_of(place)
    assert (report["state"], report["source"], report["fileName"]) == ("completed", "file", place.name)
    history = run("history", "--merchant-id", MERCHANT, "--external-id", "OFR-1", "--json").json["items"]
    assert [(event["runId"], event["source"]) for event in history] == [(report["runId"], "file")]


def test_report_has_the_same_records_as_the_http_reply(
    run: Run, settings: Settings, directory: Path, server: RunningServer
) -> None:
    token = run("tokens", "create", "--role", "partner", "--partner", PARTNER, "--name", "feed").stdout.strip()
    caller = server.call(token)
    broken, again = file_record("OFR-5", offerName=""), file_record("OFR-6")
    records = [file_record("OFR-2", "NEW"), broken, again, again, file_record("OFR-9", "DELETED"), 1]
    with RunningWatch(settings, directory) as watch:
        drop_day(directory, 22, file_of("OFR-1", "OFR-2"))
        drop(directory, "SeagrassOffers20261123.json", offers_file(records))
        _, line = watch.wait_for_lines(2)
    place = directory / DONE_FOLDER / "SeagrassOffers20261123.json"
    assert line == f"{place}: 1 unchanged, 1 unknown, 1 discrepancy, 4 failed"
    report = report_of(place)
    assert len(report["records"]) == 7
    assert len(report["messages"]) == 2
    path = f"/api/v1/runs/{report['runId']}"
    items = caller.get(f"{path}/items").json()["items"]
    assert report | {"progress": None} == caller.get(path).json() | {"records": items}
    replay = caller.http.post(
        OFFERS_FILES_PATH,
        params={"name": place.name},
        content=place.read_bytes(),
        headers={"Content-Type": "application/json"},
    )
    assert (replay.headers["Idempotency-Replayed"], replay.json()) == ("true", report)


def test_oldest_file_is_processed_first(run: Run, settings: Settings, directory: Path) -> None:
    for day in (24, 22, 23):
        drop_day(directory, day, file_of("OFR-1", offerName=f"Noodles of the {day}"))
    with RunningWatch(settings, directory) as watch:
        lines = watch.wait_for_lines(3)
    outcomes = ["created", "updated", "updated"]
    expected = [f"{directory / DONE_FOLDER / file_name(22 + n)}: 1 {outcome}" for n, outcome in enumerate(outcomes)]
    assert lines == expected
    assert inventory(run) == {"OFR-1": "Noodles of the 24"}


def test_repeated_file_gets_its_first_outcome(run: Run, settings: Settings, directory: Path) -> None:
    place = directory / DONE_FOLDER / file_name(22)
    with RunningWatch(settings, directory) as watch:
        drop_day(directory, 22, file_of("OFR-1", "OFR-2"))
        (first,) = watch.wait_for_lines(1)
        report, events = report_of(place), position(run)
        drop_day(directory, 22, file_of("OFR-1", "OFR-2"))
        assert watch.wait_for_lines(2)[1] == first
    assert (report_of(place), position(run)) == (report, events)
    assert files_by_folder(directory) == {DONE_FOLDER: [file_name(22)]}


def test_file_that_is_put_back_takes_effect_again(run: Run, settings: Settings, directory: Path) -> None:
    with RunningWatch(settings, directory) as watch:
        for files, name in enumerate(("Right", "Wrong"), 1):
            drop_day(directory, 22, file_of("OFR-1", offerName=name))
            watch.wait_for_lines(files)
        first = report_of(directory / DONE_FOLDER / file_name(22))
        # The operator moves the processed file back, so even its inode is the same.
        (directory / DONE_FOLDER / file_name(22)).replace(directory / file_name(22))
        third = watch.wait_for_lines(3)[2]
    assert third.endswith("1 updated")
    assert inventory(run) == {"OFR-1": "Right"}
    place = directory / third.removesuffix(": 1 updated")
    assert report_of(place)["runId"] != first["runId"]
    assert place.read_bytes() == file_of("OFR-1", offerName="Right")


def test_file_with_an_impossible_name_is_refused(run: Run, settings: Settings, directory: Path) -> None:
    require_success(run("partners", "set", "harbor-dining"))
    ahead = f"TidepoolOffers{datetime.now(UTC).date() + timedelta(days=4):%Y%m%d}.json"
    with RunningWatch(settings, directory) as watch:
        for name in (ahead, "HarborDiningOffers20260101.json"):
            drop(directory, name, file_of("OFR-1"))
        lines = watch.wait_for_lines(2)
        drop(directory, "TidepoolOffers20260101.json", file_of("OFR-1"))
        assert watch.wait_for_lines(3)[2].endswith("1 created")
    assert [line.partition("name: ")[2] for line in lines] == [
        "begins with the name of another partner",
        "has a date more than 2 days ahead of the service's clock",
    ]
    assert files_by_folder(directory)[REFUSED_FOLDER] == ["HarborDiningOffers20260101.json", ahead]
    problem = report_of(directory / REFUSED_FOLDER / ahead)["problem"]
    assert (problem["status"], problem["errors"][0]["pointer"]) == (422, "/name")


@pytest.mark.long
def test_second_file_with_the_same_name_gets_a_numbered_name(run: Run, settings: Settings, directory: Path) -> None:
    second = directory / DONE_FOLDER / "TidepoolOffers20261122-2.json"
    with RunningWatch(settings, directory) as watch:
        for files, name in enumerate(("Noodles", "Dumplings"), 1):
            drop_day(directory, 22, file_of("OFR-1", offerName=name))
            lines = watch.wait_for_lines(files)
    assert lines[1] == f"{second}: 1 updated"
    assert files_by_folder(directory) == {DONE_FOLDER: [second.name, file_name(22)]}
    assert second.read_bytes() == file_of("OFR-1", offerName="Dumplings")
    assert report_of(second)["fileName"] == file_name(22)
    assert report_of(second)["runId"] != report_of(directory / DONE_FOLDER / file_name(22))["runId"]
    assert inventory(run) == {"OFR-1": "Dumplings"}


# Refused


def test_invalid_file_moves_to_refused_with_the_reason(run: Run, settings: Settings, directory: Path) -> None:
    with RunningWatch(settings, directory, env={"OFFER_LEDGER_MAX_BODY_BYTES": str(MAX_BODY_BYTES)}) as watch:
        drop_day(directory, 2, file_of("OFR-1"))
        watch.wait_for_lines(1)
        events = position(run)
        for name, (content, _, _) in REFUSALS.items():
            drop(directory, name, content)
        printed = dict(line.split(": ", 1) for line in watch.wait_for_lines(1 + len(REFUSALS))[1:])
        assert len(watch.stderr_lines) == 1
    assert files_by_folder(directory) == {DONE_FOLDER: [file_name(2)], REFUSED_FOLDER: sorted(REFUSALS)}
    assert position(run) == events
    for name, (content, reason, status) in REFUSALS.items():
        place = directory / REFUSED_FOLDER / name
        report = report_of(place)
        assert place.read_bytes() == content
        assert reason in printed[str(place)]
        assert reason in json.dumps(report["problem"])
        assert report["problem"]["status"] == status
        assert (report["fileName"], report["state"], report["runId"]) == (name, "refused", None)
        assert (report["records"], report["counts"]) == ([], None)


def test_paused_upload_is_processed_when_it_is_whole(settings: Settings, directory: Path) -> None:
    sent = file_of("OFR-1")
    paused = directory / file_name(22)
    with RunningWatch(settings, directory) as watch:
        paused.write_bytes(sent[:120])
        for files, day in enumerate((20, 21), 1):
            # The watcher has had time for the paused upload when it has processed a file that was dropped after it.
            drop_day(directory, day, file_of(f"OFR-{day}"))
            watch.wait_for_lines(files)
        assert watch.end() == 0
    assert files_by_folder(directory) == {".": [file_name(22)], DONE_FOLDER: [file_name(20), file_name(21)]}
    with RunningWatch(settings, directory) as watch:
        with paused.open("ab") as resumed:
            resumed.write(sent[120:])
        assert watch.wait_for_lines(1) == [f"{directory / DONE_FOLDER / file_name(22)}: 1 created, 2 discrepancy"]


@pytest.mark.long
def test_abandoned_upload_is_refused_after_a_minute(settings: Settings, directory: Path) -> None:
    contents = {file_name(22): b"", file_name(23): file_of("OFR-1")[:-1]}
    started = time.monotonic()
    with RunningWatch(settings, directory) as watch:
        for name, content in contents.items():
            drop(directory, name, content)
        watch.wait_for_lines(2)
    assert time.monotonic() - started > MAX_HOLD_SECONDS
    assert files_by_folder(directory) == {REFUSED_FOLDER: sorted(contents)}
    for name, content in contents.items():
        place = directory / REFUSED_FOLDER / name
        assert (place.read_bytes(), report_of(place)["problem"]["type"]) == (content, "not-json")


@pytest.mark.long
def test_corrected_file_is_processed_after_a_refusal(settings: Settings, directory: Path) -> None:
    with RunningWatch(settings, directory) as watch:
        drop_day(directory, 22, offers_file([file_record("OFR-1")], offerRecordCount=2))
        watch.wait_for_lines(1)
        drop_day(directory, 22, file_of("OFR-1"))
        assert watch.wait_for_lines(2)[1] == f"{directory / DONE_FOLDER / file_name(22)}: 1 created"
    assert files_by_folder(directory) == {DONE_FOLDER: [file_name(22)], REFUSED_FOLDER: [file_name(22)]}


def test_hidden_unfinished_and_irregular_files_are_not_touched(settings: Settings, directory: Path) -> None:
    names = [f".{file_name(22)}", f"{file_name(22)}.part", f"{file_name(22)}.tmp", f"{file_name(22)}~"]
    for name in names:
        (directory / name).write_bytes(file_of("OFR-1"))
    (directory / file_name(20)).mkdir()
    os.mkfifo(directory / file_name(21))
    (directory / file_name(22)).symlink_to(directory / names[0])
    with RunningWatch(settings, directory) as watch:
        drop_day(directory, 23, file_of("OFR-1"))
        watch.wait_for_lines(1)
    left = {path.name for path in directory.iterdir()} - {DONE_FOLDER, REFUSED_FOLDER, TAKEN_FOLDER}
    assert left == {*names, *map(file_name, (20, 21, 22))}


# Output


@pytest.mark.parametrize(
    "env", [pytest.param({}, marks=pytest.mark.long), {"PYTHONIOENCODING": "ascii"}], ids=["UTF-8", "ASCII"]
)
def test_json_has_one_line_for_each_file(settings: Settings, directory: Path, env: dict[str, str]) -> None:
    done, refused = "Marée 🌊Offers20261122.json", "Marée 🌊.json"
    for name in (done, refused):
        drop(directory, name, file_of("OFR-1"))
    with RunningWatch(settings, directory, "--json", env=env) as watch:
        printed = [json.loads(line) for line in watch.wait_for_lines(2)]
    places = [directory / DONE_FOLDER / done, directory / REFUSED_FOLDER / refused]
    expected: list[dict[str, Any]] = [report_of(place) | {"file": str(place)} for place in places]
    for report in expected:
        del report["records"]
    assert printed == expected


@pytest.mark.parametrize("options", [pytest.param([], marks=pytest.mark.long), ["--json"]], ids=["in words", "in JSON"])
def test_file_may_have_any_name(settings: Settings, directory: Path, options: list[str]) -> None:
    for n, name in enumerate(NAMES):
        drop(directory, os.fsdecode(name), file_of(f"OFR-{n}"))
    with RunningWatch(settings, directory, *options) as watch:
        lines = watch.wait_for_lines(len(NAMES))
        assert len(watch.stderr_lines) == 1
    lying = files_by_folder(directory)
    assert {os.fsencode(name) for name in lying.pop(DONE_FOLDER)} == {NAMES[n] for n in (4, 5, 6, 7)}
    assert {os.fsencode(name) for name in lying.pop(REFUSED_FOLDER)} == {NAMES[n] for n in (0, 1, 2, 3, 8)}
    assert lying == {}
    if options:
        assert all("fileName" in json.loads(line) for line in lines)
    else:
        assert control_characters("\n".join(lines)) == set()
