"""A dropped file whose JSON is truncated waits until its upload is resumed or abandoned."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.channels import drop_folder
from api.channels.drop_folder import DropFolder
from tests.support.processes.drop_folders import (
    MAX_BYTES,
    drop,
    finish_next,
    is_empty,
    open_quick_folder,
    require_nothing_taken,
    take_next_file,
)

NAME = "TidepoolOffers20261122.json"
WHOLE = '{"header": {"fileDescription": "Läden", "offerRecordCount": 0}, "offers": []}'.encode()
HALF = WHOLE[:25]
DAY_SECONDS = 24 * 60 * 60


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DropFolder]:
    with open_quick_folder(tmp_path) as folder:
        yield folder


def write(directory: Path, name: str, content: bytes) -> Path:
    path = directory / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "cut",
    [0, 1, WHOLE.index("ä".encode()) + 1, WHOLE.index(b"offerRecord") + 4, WHOLE.index(b"[") + 1, len(WHOLE) - 1],
    ids=["empty", "one byte", "in a character", "in a name", "in the list", "all but a byte"],
)
def test_resumed_upload_is_one_file(tmp_path: Path, folder: DropFolder, cut: int) -> None:
    path = write(tmp_path, NAME, WHOLE[:cut])
    require_nothing_taken(folder)
    with path.open("ab") as resumed:
        resumed.write(WHOLE[cut:])
    assert finish_next(folder).read_bytes() == WHOLE
    assert is_empty(tmp_path)


def test_upload_may_be_resumed_many_times(tmp_path: Path, folder: DropFolder) -> None:
    for end in range(0, len(WHOLE), 20):
        write(tmp_path, NAME, WHOLE[:end])
        require_nothing_taken(folder)
    write(tmp_path, NAME, WHOLE)
    assert finish_next(folder).read_bytes() == WHOLE


@pytest.mark.parametrize("content", [HALF, b""], ids=["half", "empty"])
def test_abandoned_upload_is_taken_as_it_is(
    tmp_path: Path, folder: DropFolder, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    write(tmp_path, NAME, content)
    require_nothing_taken(folder)
    monkeypatch.setattr(drop_folder, "MAX_HOLD_SECONDS", 0)
    assert finish_next(folder).read_bytes() == content


def test_truncated_file_delays_only_files_of_later_days(
    tmp_path: Path, folder: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, NAME, HALF)
    for name in ("TidepoolOffers20261121.json", "TidepoolOffers20261123.json", "XOffers20261122.json", "readme.txt"):
        drop(tmp_path, name, WHOLE)
    names = [finish_next(folder).name for _ in range(3)]
    assert names == ["TidepoolOffers20261121.json", "XOffers20261122.json", "readme.txt"]
    require_nothing_taken(folder)
    monkeypatch.setattr(drop_folder, "MAX_HOLD_SECONDS", 0)
    assert [finish_next(folder).name for _ in range(2)] == [NAME, "TidepoolOffers20261123.json"]


def test_truncated_file_without_a_day_delays_no_file(tmp_path: Path, folder: DropFolder) -> None:
    write(tmp_path, "readme.txt", HALF)
    drop(tmp_path, NAME, WHOLE)
    assert finish_next(folder).name == NAME


def test_truncated_file_may_be_replaced_by_a_whole_one(tmp_path: Path, folder: DropFolder) -> None:
    write(tmp_path, NAME, HALF)
    require_nothing_taken(folder)
    drop(tmp_path, NAME, WHOLE[:30])
    require_nothing_taken(folder)
    drop(tmp_path, NAME, WHOLE)
    assert finish_next(folder).read_bytes() == WHOLE


@pytest.mark.parametrize("seconds", [DAY_SECONDS, -DAY_SECONDS], ids=["in the future", "in the past"])
def test_modification_time_does_not_change_the_wait(
    tmp_path: Path, folder: DropFolder, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    modified = time.time() + seconds
    os.utime(write(tmp_path, NAME, HALF), (modified, modified))
    require_nothing_taken(folder)
    monkeypatch.setattr(drop_folder, "MAX_HOLD_SECONDS", 0)
    assert finish_next(folder).name == NAME
    monkeypatch.undo()
    os.utime(write(tmp_path, NAME, WHOLE), (modified, modified))
    assert finish_next(folder).read_bytes() == WHOLE


@pytest.mark.parametrize(
    "content",
    [b'{"header": {},, "offers": [', b"All offers are in the other files.", HALF.ljust(MAX_BYTES + 1)],
    ids=["broken", "text", "too large"],
)
def test_file_that_no_upload_can_complete_is_taken_at_once(tmp_path: Path, folder: DropFolder, content: bytes) -> None:
    write(tmp_path, NAME, content)
    assert finish_next(folder).read_bytes() == content


def test_wait_continues_with_the_next_watcher(tmp_path: Path) -> None:
    with open_quick_folder(tmp_path) as first:
        path = write(tmp_path, NAME, HALF)
        require_nothing_taken(first)
    assert path.read_bytes() == HALF
    with open_quick_folder(tmp_path) as second:
        require_nothing_taken(second)
        path.write_bytes(WHOLE)
        assert take_next_file(second).read_bytes() == WHOLE
