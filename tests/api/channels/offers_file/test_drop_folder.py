"""A drop folder: complete files are taken one at a time, in order, and each is moved with its report."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE

import pytest

from api.channels import drop_folder
from api.channels.drop_folder import (
    DONE_FOLDER,
    NOTE,
    REFUSED_FOLDER,
    REPORT_SUFFIX,
    TAKEN_FOLDER,
    DropFolder,
    FolderInUse,
    TakenFileChanged,
)
from tests.support.processes.drop_folders import (
    QUIET_SECONDS,
    ChildProcess,
    drop,
    finish_next,
    open_for_writing,
    open_quick_folder,
    report_on,
    require_each_finished_once,
    require_nothing_taken,
    take_next_file,
)

WATCHER = """
import sys
from tests.support.processes.drop_folders import Path, open_quick_folder
with open_quick_folder(Path(sys.argv[1])):
    print(flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def folder(directory: Path) -> Iterator[DropFolder]:
    with open_quick_folder(directory) as folder:
        yield folder


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_renamed_file_is_taken_and_finished_with_a_report(directory: Path, folder: DropFolder) -> None:
    drop(directory, "offers-20261122.csv")
    taken = take_next_file(folder)
    assert (taken.parent, taken.name) == (directory / TAKEN_FOLDER, "offers-20261122.csv")
    assert folder.finish(taken, b"{}", done=True) == directory / DONE_FOLDER / "offers-20261122.csv"
    expected = {"offers-20261122.csv": b"offers", "offers-20261122.csv.report.json": b"{}"}
    assert (files_in(directory / DONE_FOLDER), files_in(directory / REFUSED_FOLDER)) == (expected, {})
    assert folder.next() is None


def test_refused_file_moves_to_the_refused_folder(directory: Path, folder: DropFolder) -> None:
    drop(directory, "bad.csv")
    assert finish_next(folder) == directory / REFUSED_FOLDER / "bad.csv"
    require_each_finished_once(directory, [b"offers"])


# Order


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_report_has_the_permissions_of_its_file(directory: Path, folder: DropFolder, mode: int) -> None:
    drop(directory, "offers-20261122.csv")
    (directory / "offers-20261122.csv").chmod(mode)
    place = finish_next(folder)
    assert S_IMODE(place.with_name(place.name + REPORT_SUFFIX).stat().st_mode) == mode


def test_note_about_a_taken_file_is_private(directory: Path, folder: DropFolder) -> None:
    drop(directory, "offers-20261122.csv")
    take_next_file(folder)
    folder.write_note("accepted")
    assert S_IMODE((directory / TAKEN_FOLDER / NOTE).stat().st_mode) == 0o600


def test_files_are_taken_by_day_then_by_name(directory: Path, folder: DropFolder) -> None:
    for name in ("b-20261123.csv", "z-20261122.csv", "a-20261123.csv", "y-20261124.csv"):
        drop(directory, name)
    require_nothing_taken(folder, 0.01)
    time.sleep(QUIET_SECONDS)
    finished = [finish_next(folder).name[:1] for _ in range(4)]
    assert finished == ["z", "a", "b", "y"]


def test_file_that_is_being_written_delays_later_files(
    directory: Path, folder: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = drop(directory, "TidepoolOffers20261122.json")
    with open_for_writing(directory / "TidepoolOffers20261121.json"):
        require_nothing_taken(folder)
        monkeypatch.setattr(drop_folder, "MAX_HOLD_SECONDS", 0)
        assert take_next_file(folder).name == later.name


def test_taken_file_is_returned_until_it_is_finished(directory: Path, folder: DropFolder) -> None:
    drop(directory, "20261123.csv")
    taken = take_next_file(folder)
    drop(directory, "20261122.csv")
    time.sleep(QUIET_SECONDS)
    assert [folder.next() for _ in range(3)] == [taken] * 3
    assert [finish_next(folder).name for _ in range(2)] == ["20261123.csv", "20261122.csv"]


def test_file_taken_by_an_earlier_process_comes_first(directory: Path) -> None:
    with open_quick_folder(directory) as first:
        drop(directory, "20261123.csv")
        taken = take_next_file(first)
    drop(directory, "20261122.csv")
    with open_quick_folder(directory) as second:
        assert take_next_file(second) == taken
        assert [finish_next(second).name for _ in range(2)] == ["20261123.csv", "20261122.csv"]


def test_taken_file_with_a_writer_is_returned_after_its_close(directory: Path) -> None:
    with open_quick_folder(directory) as first:
        drop(directory, "20261123.csv", b"one\n")
        taken = take_next_file(first)
        # The kernel does not distinguish a file that was opened before it was taken from one opened under its new name.
        with open_for_writing(taken, "ab") as writer:
            require_nothing_taken(first)
            drop(directory, "20261122.csv")
            with pytest.raises(TakenFileChanged):
                first.finish(taken, b"{}", done=True)
        assert take_next_file(first) == taken
        with open_for_writing(taken, "ab") as writer:
            first.next()
            writer.say(b"two")
    with open_quick_folder(directory) as second, open_for_writing(taken, "ab"):
        require_nothing_taken(second)
    with open_quick_folder(directory) as second:
        assert finish_next(second).read_bytes() == b"one\ntwo\n"
        assert finish_next(second).name == "20261122.csv"


def test_second_watcher_is_refused_while_the_first_one_runs(directory: Path) -> None:
    with ChildProcess(WATCHER, directory) as watcher:
        with (
            pytest.raises(FolderInUse, match=r"is already watched by another process\.$"),
            open_quick_folder(directory),
        ):
            pass
        watcher.process.kill()
        watcher.process.wait()
    with open_quick_folder(directory):
        with pytest.raises(FolderInUse), open_quick_folder(directory):
            pass
        (directory / ".link").symlink_to(directory)
        with pytest.raises(FolderInUse), open_quick_folder(directory / ".link"):
            pass


# Changes during processing


def test_new_upload_with_the_name_of_taken_file_is_processed(directory: Path, folder: DropFolder) -> None:
    drop(directory, "offers.csv", b"morning")
    taken = take_next_file(folder)
    drop(directory, "offers.csv", b"evening")
    assert taken.read_bytes() == b"morning"
    assert folder.finish(taken, report_on(taken), done=True).name == "offers.csv"
    assert finish_next(folder).name == "offers-2.csv"
    require_each_finished_once(directory, [b"morning", b"evening"])


def test_used_name_gets_a_number_unless_the_content_is_equal(directory: Path, folder: DropFolder) -> None:
    names = []
    for content in (b"one", b"both", b"six", b"longer", b"both", b"one"):
        drop(directory, "offers.tar.gz", content)
        names.append(finish_next(folder).name)
    assert names == ["offers.tar.gz", *(f"offers.tar-{number}.gz" for number in (2, 3, 4, 2)), "offers.tar.gz"]
    require_each_finished_once(directory, [b"one", b"both", b"six", b"longer"])


def test_hard_link_to_a_finished_file_takes_its_place(directory: Path, folder: DropFolder) -> None:
    drop(directory, "offers.csv")
    (directory / "offers.csv").hardlink_to(finish_next(folder))
    finish_next(folder)
    require_each_finished_once(directory, [b"offers"])


@pytest.mark.parametrize("first", ["offers.csv", "offers.csv.report.json"])
def test_report_never_overwrites_a_file(directory: Path, folder: DropFolder, first: str) -> None:
    names = {"offers.csv", "offers.csv.report.json"}
    for name in (first, *(names - {first})):
        drop(directory, name, f"this is {name}".encode())
        finish_next(folder)
    files = files_in(directory / DONE_FOLDER)
    for name in names:
        (place,) = (place for place, content in files.items() if content == f"this is {name}".encode())
        assert files[place + REPORT_SUFFIX] != files[place]
    assert len(files) == 4


def test_file_that_changed_during_processing_is_not_finished(directory: Path, folder: DropFolder) -> None:
    drop(directory, "offers.csv", b"one")
    taken = take_next_file(folder)
    taken.write_bytes(b"both")
    with pytest.raises(TakenFileChanged, match="changed or removed"):
        folder.finish(taken, b"{}", done=True)
    assert files_in(directory / DONE_FOLDER) == {}
    assert finish_next(folder).read_bytes() == b"both"


def test_file_that_was_removed_during_processing_is_not_finished(directory: Path, folder: DropFolder) -> None:
    drop(directory, "offers.csv")
    taken = take_next_file(folder)
    taken.unlink()
    with pytest.raises(TakenFileChanged):
        folder.finish(taken, b"{}", done=True)
    require_nothing_taken(folder)
    assert files_in(directory / DONE_FOLDER) == {}


def test_only_the_returned_file_can_be_finished(directory: Path, folder: DropFolder) -> None:
    waiting = drop(directory, "offers.csv")
    with pytest.raises(TakenFileChanged):
        folder.finish(waiting, b"{}", done=True)
    taken = take_next_file(folder)
    folder.finish(taken, b"{}", done=True)
    with pytest.raises(TakenFileChanged):
        folder.finish(taken, b"{}", done=True)


# Names and places


@pytest.mark.parametrize(
    "name",
    [
        b"\xff\xfe-20261122.csv",
        b"line\nbreak.csv",
        b"offers",
        b"offers.",
        b"-rf",
        b"x" * 255,
        b"x." + b"y" * 253,
        b"x" * 251 + b".csv",
        "ü".encode() * 125 + b".csv",
    ],
)
def test_any_file_name_is_accepted(directory: Path, folder: DropFolder, name: bytes) -> None:
    contents = [b"one", b"both"]
    for content in contents:
        drop(directory, os.fsdecode(name), content)
        finish_next(folder)
    require_each_finished_once(directory, contents)


def test_folder_on_two_file_systems_is_refused(directory: Path) -> None:
    shared_memory = Path("/dev/shm")  # noqa: S108
    if not shared_memory.is_dir() or shared_memory.stat().st_dev == directory.stat().st_dev:
        pytest.skip("there is only one file system")
    with tempfile.TemporaryDirectory(dir=shared_memory) as elsewhere:
        (directory / DONE_FOLDER).symlink_to(elsewhere)
        with pytest.raises(OSError, match="done"), open_quick_folder(directory):
            pass


def test_missing_directory_raises_file_not_found(directory: Path) -> None:
    with pytest.raises(FileNotFoundError), open_quick_folder(directory / "nowhere"):
        pass
