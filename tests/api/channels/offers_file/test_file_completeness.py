"""Is a file taken only when it is complete, whatever others do to it while it is looked at?"""

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

MEDDLER = """
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
    for act in (lambda: os.replace("a", "b"), lambda: os.unlink("b"), lambda: os.unlink("c"),
                lambda: os.symlink("a", "c"), lambda: os.unlink("c"), lambda: os.mkfifo("c"), lambda: os.unlink("c")):
        try:
            act()
        except OSError:
            pass
for name in os.listdir():
    if not os.path.isdir(name):
        os.unlink(name)
"""
AT_A_MOMENT = """
import sys, time
from pathlib import Path
from tests.support.processes.drop_folders import LOOK_SECONDS, open_quick_folder
directory, moment, act = Path(sys.argv[1]), *sys.argv[2:]
path = directory / "offers.csv"
held = []
acts = {
    "open": lambda: held.append(path.open("ab")),
    "change": lambda: path.write_bytes(b"others"),
    "remove": path.unlink,
    "replace": lambda: (directory / ".other").replace(path),
    "link": lambda: (directory / ".link").replace(path),
    "pipe": lambda: (directory / ".pipe").replace(path),
}
def hook(event, arguments):
    if event == moment and str(arguments[0]) == str(path) and act in acts:
        acts.pop(act)()
print(flush=True)
with open_quick_folder(directory) as folder:
    sys.addaudithook(hook)
    while act in acts:
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
SOMEBODY = 54321


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def folder(directory: Path) -> Iterator[DropFolder]:
    with open_quick_folder(directory) as folder:
        yield folder


def test_a_file_that_somebody_writes_is_taken_when_they_have_closed_it(directory: Path, folder: DropFolder) -> None:
    with open_for_writing(directory / "offers.csv") as writer:
        for line in (b"one", b"two"):
            writer.say(line)
            require_nothing_taken(folder)
    assert take_next_file(folder).read_bytes() == b"one\ntwo\n"


def test_a_file_that_keeps_growing_is_not_complete_while_closed(directory: Path, folder: DropFolder) -> None:
    for _ in range(8):
        with (directory / "offers.csv").open("ab") as growing:
            growing.write(b"another\n")
        require_nothing_taken(folder, QUIET_SECONDS / 2)
    assert take_next_file(folder).read_bytes() == 8 * b"another\n"


def test_a_file_that_is_replaced_by_a_younger_one_has_to_be_quiet_again(directory: Path, folder: DropFolder) -> None:
    for number in range(8):
        drop(directory, "offers.csv", b"%d" % number)
        require_nothing_taken(folder, QUIET_SECONDS / 2)
    assert take_next_file(folder).read_bytes() == b"7"


@pytest.mark.parametrize("suffix", [".tmp", ".part", ".partial", ".filepart", ".CRDOWNLOAD", "~"])
def test_an_unfinished_name_is_left_alone_until_it_is_renamed(directory: Path, folder: DropFolder, suffix: str) -> None:
    unfinished = [drop(directory, "offers.csv" + suffix), drop(directory, ".offers.csv")]
    require_nothing_taken(folder)
    for number, path in enumerate(unfinished):
        path.rename(directory / f"offers-{number}.csv")
        assert finish_next(folder).name == f"offers-{number}.csv"


def test_what_is_no_regular_file_is_left_alone(directory: Path, folder: DropFolder, tmp_path: Path) -> None:
    outside = tmp_path / ".outside"
    outside.write_bytes(b"secret")
    (directory / "link.csv").symlink_to(outside)
    (directory / "nowhere.csv").symlink_to(tmp_path / "nowhere")
    (directory / "folder.csv").mkdir()
    os.mkfifo(directory / "pipe.csv")
    require_nothing_taken(folder)


# While it is looked at


def test_files_that_come_and_go_between_two_looks_do_no_harm(directory: Path, folder: DropFolder) -> None:
    with ChildProcess(MEDDLER, directory):
        deadline = time.monotonic() + 20 * QUIET_SECONDS
        while time.monotonic() < deadline:
            folder.next()
    drop(directory, "offers.csv")
    while not is_empty(directory):
        finish_next(folder)
    assert (directory / DONE_FOLDER / "offers.csv").read_bytes() == b"offers"


def test_who_opens_a_file_while_it_is_looked_at_does_not_kill_the_watcher(directory: Path, folder: DropFolder) -> None:
    drop(directory, "offers.csv")
    taken = take_next_file(folder)
    with ChildProcess(OPENER, taken):
        answers = [folder.next() for _ in range(3_000)]
    assert set(answers) == {taken, None}


@pytest.mark.parametrize("act", ["open", "change", "remove", "replace", "link", "pipe"])
@pytest.mark.parametrize("moment", ["open", "os.rename"])
def test_what_happens_between_look_and_grip_is_seen(directory: Path, moment: str, act: str) -> None:
    (directory / ".other").write_bytes(b"others")
    (directory / ".link").symlink_to(".secret")
    (directory / ".secret").write_bytes(b"offers")
    os.mkfifo(directory / ".pipe")
    drop(directory, "offers.csv")
    with ChildProcess(AT_A_MOMENT, directory, moment, act):
        pass
    expected = {"open": [b"offers"], "change": [b"others"], "replace": [b"others"]}.get(act, [])
    with open_quick_folder(directory) as folder:
        finished = [finish_next(folder).read_bytes() for _ in expected]
        require_nothing_taken(folder)
    assert finished == expected


# Rights


@contextmanager
def somebody_elses_folder() -> Iterator[Path]:
    """A folder of a user who may do less than we: a lease is given to the owner of a file only."""
    with tempfile.TemporaryDirectory() as name:
        try:
            os.chown(name, SOMEBODY, SOMEBODY)
            os.seteuid(SOMEBODY)
        except PermissionError:
            pytest.skip("only root can become somebody else")
        try:
            yield Path(name)
        finally:
            os.seteuid(0)


def drop_as_root(directory: Path, mode: int) -> None:
    os.seteuid(0)
    drop(directory, "offers.csv").chmod(mode)
    os.seteuid(SOMEBODY)


def test_a_file_of_another_user_has_to_be_quiet_for_longer() -> None:
    with somebody_elses_folder() as directory, open_quick_folder(directory) as folder:
        drop_as_root(directory, 0o644)
        started = time.monotonic()
        taken = take_next_file(folder)
        assert time.monotonic() - started >= FALLBACK_QUIET_SECONDS
        folder.finish(taken, report_on(taken), done=True)
        require_each_finished_once(directory, [b"offers"])


def test_a_file_that_cannot_be_read_is_told_of_once_and_taken_when_it_can(caplog: pytest.LogCaptureFixture) -> None:
    with somebody_elses_folder() as directory, open_quick_folder(directory) as folder:
        drop_as_root(directory, 0o600)
        require_nothing_taken(folder)
        assert [record.getMessage() for record in caplog.records] == [
            f"'{directory}/offers.csv' can't be read; it stays in the folder until its permissions allow it"
        ]
        os.seteuid(0)
        (directory / "offers.csv").chmod(0o644)
        os.seteuid(SOMEBODY)
        time.sleep(LOOK_SECONDS)
        finish_next(folder)
        require_each_finished_once(directory, [b"offers"])
