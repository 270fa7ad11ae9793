"""Files are taken only when they are complete, whatever other processes do to them meanwhile."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.channels.drop_folder import DONE_FOLDER, DropFolder
from tests.support.processes.drop_folders import (
    FALLBACK_QUIET_SECONDS,
    LOOK_SECONDS,
    QUIET_SECONDS,
    ChildProcess,
    drop,
    finish_next,
    is_empty,
    open_for_writing,
    open_quick_folder,
    report_on,
    require_each_finished_once,
    require_nothing_taken,
    take_next_file,
)

CHURNER = """
import itertools, os, sys
print(flush=True)
os.set_blocking(0, False)
os.chdir(sys.argv[1])
for round in itertools.count():
    if sys.stdin.buffer.read() == b"":
        break
    for name in "abc":
        with open(name, "wb") as opened:
            opened.write(b"%d" % round)
    for action in (lambda: os.replace("a", "b"), lambda: os.unlink("b"), lambda: os.unlink("c"),
                lambda: os.symlink("a", "c"), lambda: os.unlink("c"), lambda: os.mkfifo("c"), lambda: os.unlink("c")):
        try:
            action()
        except OSError:
            pass
for name in os.listdir():
    if not os.path.isdir(name):
        os.unlink(name)
"""
ACTION_AT_EVENT = """
import sys, time
from pathlib import Path
from tests.support.processes.drop_folders import LOOK_SECONDS, open_quick_folder
directory, trigger, action = Path(sys.argv[1]), *sys.argv[2:]
path = directory / "offers.csv"
held = []
actions = {
    "open": lambda: held.append(path.open("ab")),
    "change": lambda: path.write_bytes(b"others"),
    "remove": path.unlink,
    "replace": lambda: (directory / ".other").replace(path),
    "link": lambda: (directory / ".link").replace(path),
    "pipe": lambda: (directory / ".pipe").replace(path),
}
def hook(event, arguments):
    if event == trigger and str(arguments[0]) == str(path) and action in actions:
        actions.pop(action)()
print(flush=True)
with open_quick_folder(directory) as folder:
    sys.addaudithook(hook)
    while action in actions:
        answer = folder.next()
        time.sleep(LOOK_SECONDS)
    assert answer is None, answer
    sys.stdin.read()
"""
OPENER = """
import os, sys
print(flush=True)
os.set_blocking(0, False)
while sys.stdin.buffer.read() != b"":
    os.close(os.open(sys.argv[1], os.O_WRONLY))
"""
OTHER_USER = 54321


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def folder(directory: Path) -> Iterator[DropFolder]:
    with open_quick_folder(directory) as folder:
        yield folder


def test_file_with_a_writer_is_taken_after_its_close(directory: Path, folder: DropFolder) -> None:
    with open_for_writing(directory / "offers.csv") as writer:
        for line in (b"one", b"two"):
            writer.say(line)
            require_nothing_taken(folder)
    assert take_next_file(folder).read_bytes() == b"one\ntwo\n"


def test_file_that_keeps_growing_is_not_complete_between_writes(directory: Path, folder: DropFolder) -> None:
    for _ in range(8):
        with (directory / "offers.csv").open("ab") as growing:
            growing.write(b"another\n")
        require_nothing_taken(folder, QUIET_SECONDS / 2)
    assert take_next_file(folder).read_bytes() == 8 * b"another\n"


def test_replaced_file_starts_a_new_quiet_period(directory: Path, folder: DropFolder) -> None:
    for number in range(8):
        drop(directory, "offers.csv", b"%d" % number)
        require_nothing_taken(folder, QUIET_SECONDS / 2)
    assert take_next_file(folder).read_bytes() == b"7"


@pytest.mark.parametrize("suffix", [".tmp", ".part", ".partial", ".filepart", ".CRDOWNLOAD", "~"])
def test_temporary_name_is_ignored_until_it_is_renamed(directory: Path, folder: DropFolder, suffix: str) -> None:
    unfinished = [drop(directory, "offers.csv" + suffix), drop(directory, ".offers.csv")]
    require_nothing_taken(folder)
    for number, path in enumerate(unfinished):
        path.rename(directory / f"offers-{number}.csv")
        assert finish_next(folder).name == f"offers-{number}.csv"


def test_only_regular_files_are_taken(directory: Path, folder: DropFolder, tmp_path: Path) -> None:
    outside = tmp_path / ".outside"
    outside.write_bytes(b"secret")
    (directory / "link.csv").symlink_to(outside)
    (directory / "nowhere.csv").symlink_to(tmp_path / "nowhere")
    (directory / "folder.csv").mkdir()
    os.mkfifo(directory / "pipe.csv")
    require_nothing_taken(folder)


# Changes during a scan


def test_files_that_appear_and_disappear_do_no_harm(directory: Path, folder: DropFolder) -> None:
    with ChildProcess(CHURNER, directory):
        deadline = time.monotonic() + 20 * QUIET_SECONDS
        while time.monotonic() < deadline:
            folder.next()
    drop(directory, "offers.csv")
    while not is_empty(directory):
        finish_next(folder)
    assert (directory / DONE_FOLDER / "offers.csv").read_bytes() == b"offers"


def test_process_that_opens_a_file_does_not_kill_the_watcher(directory: Path, folder: DropFolder) -> None:
    drop(directory, "offers.csv")
    taken = take_next_file(folder)
    with ChildProcess(OPENER, taken):
        answers = [folder.next() for _ in range(3_000)]
    assert set(answers) == {taken, None}


@pytest.mark.parametrize("action", ["open", "change", "remove", "replace", "link", "pipe"])
@pytest.mark.parametrize("trigger", ["open", "os.rename"])
def test_change_between_the_check_and_the_move_is_noticed(directory: Path, trigger: str, action: str) -> None:
    (directory / ".other").write_bytes(b"others")
    (directory / ".link").symlink_to(".secret")
    (directory / ".secret").write_bytes(b"offers")
    os.mkfifo(directory / ".pipe")
    drop(directory, "offers.csv")
    with ChildProcess(ACTION_AT_EVENT, directory, trigger, action):
        pass
    expected = {"open": [b"offers"], "change": [b"others"], "replace": [b"others"]}.get(action, [])
    with open_quick_folder(directory) as folder:
        finished = [finish_next(folder).read_bytes() for _ in expected]
        require_nothing_taken(folder)
    assert finished == expected


# Permissions


@contextmanager
def folder_of_another_user() -> Iterator[Path]:
    """Makes a folder of a user without privileges, and runs as this user. Only the owner of a file gets a lease."""
    with tempfile.TemporaryDirectory() as name:
        try:
            os.chown(name, OTHER_USER, OTHER_USER)
            os.seteuid(OTHER_USER)
        except PermissionError:
            pytest.skip("only root can become another user")
        try:
            yield Path(name)
        finally:
            os.seteuid(0)


def drop_as_root(directory: Path, mode: int) -> None:
    os.seteuid(0)
    drop(directory, "offers.csv").chmod(mode)
    os.seteuid(OTHER_USER)


def test_file_of_another_user_has_a_longer_quiet_period() -> None:
    with folder_of_another_user() as directory, open_quick_folder(directory) as folder:
        drop_as_root(directory, 0o644)
        started = time.monotonic()
        taken = take_next_file(folder)
        assert time.monotonic() - started >= FALLBACK_QUIET_SECONDS
        folder.finish(taken, report_on(taken), done=True)
        require_each_finished_once(directory, [b"offers"])


def test_unreadable_file_is_logged_once_and_taken_later(caplog: pytest.LogCaptureFixture) -> None:
    with folder_of_another_user() as directory, open_quick_folder(directory) as folder:
        drop_as_root(directory, 0o600)
        require_nothing_taken(folder)
        assert [record.getMessage() for record in caplog.records] == [
            f"'{directory}/offers.csv' can't be read; it stays in the folder until its permissions allow it"
        ]
        os.seteuid(0)
        (directory / "offers.csv").chmod(0o644)
        os.seteuid(OTHER_USER)
        time.sleep(LOOK_SECONDS)
        finish_next(folder)
        require_each_finished_once(directory, [b"offers"])
