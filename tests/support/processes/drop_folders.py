"""Drop folders for tests, and other processes that write files into them."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from api.channels.drop_folder import DONE_FOLDER, REFUSED_FOLDER, REPORT_SUFFIX, TAKEN_FOLDER, DropFolder, open_folder
from tests.support.processes.process_group import kill_group, start
from tests.support.waiting import PATIENCE_SECONDS, wait_until

ROOT = Path(__file__).parents[3]
QUIET_SECONDS = 0.03
FALLBACK_QUIET_SECONDS = 0.4
LOOK_SECONDS = 0.005
MAX_BYTES = 1000
"""Larger files are taken without a look at their content."""
WRITER = """
import sys
with open(sys.argv[1], sys.argv[2], buffering=0) as opened:
    print(flush=True)
    for line in sys.stdin.buffer:
        opened.write(line)
        print(flush=True)
"""


def open_quick_folder(directory: Path) -> AbstractContextManager[DropFolder]:
    """Opens a drop folder with short quiet periods."""
    return open_folder(
        directory, day_of, MAX_BYTES, quiet_seconds=QUIET_SECONDS, fallback_quiet_seconds=FALLBACK_QUIET_SECONDS
    )


def day_of(name: str) -> str | None:
    """Returns the last eight characters before the suffix, if they are digits."""
    day = Path(name).stem[-8:]
    return day if day.isdigit() else None


def drop(directory: Path, name: str, content: bytes = b"offers") -> Path:
    """Writes a file under another name and then renames it, as the documentation advises."""
    unfinished = directory / ".upload"
    unfinished.write_bytes(content)
    return unfinished.replace(directory / name)


def take_next_file(folder: DropFolder) -> Path:
    """Waits for the next file that the folder takes, and returns its path."""
    taken = wait_until(folder.next)
    assert taken
    return taken


def require_nothing_taken(folder: DropFolder, seconds: float = 4 * QUIET_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert folder.next() is None
        time.sleep(LOOK_SECONDS)


def report_on(path: Path) -> bytes:
    return json.dumps({"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}).encode()


def finish_next(folder: DropFolder) -> Path:
    """Finishes the next file: as refused if its name contains "bad", otherwise as done."""
    taken = take_next_file(folder)
    return folder.finish(taken, report_on(taken), done="bad" not in taken.name)


def is_empty(directory: Path) -> bool:
    """Returns whether no file waits or is taken."""
    paths = [*directory.iterdir(), *(directory / TAKEN_FOLDER).iterdir()]
    return all(path.is_dir() or path.name.startswith(".") for path in paths)


def require_each_finished_once(directory: Path, dropped: Iterable[bytes]) -> None:
    """Requires each dropped content in exactly one folder, with its own report, and no other file."""
    assert sorted(path.name for path in directory.iterdir()) == sorted([TAKEN_FOLDER, DONE_FOLDER, REFUSED_FOLDER])
    assert [path.name for path in (directory / TAKEN_FOLDER).iterdir()] == [".lock"]
    finished = [path for folder in (DONE_FOLDER, REFUSED_FOLDER) for path in (directory / folder).iterdir()]
    files = [path for path in finished if not path.name.endswith(REPORT_SUFFIX)]
    assert len(finished) == 2 * len(files)
    assert sorted(path.read_bytes() for path in files) == sorted(dropped)
    for path in files:
        assert path.with_name(path.name + REPORT_SUFFIX).read_bytes() == report_on(path)
        assert ("bad" in path.name) == (path.parent.name == REFUSED_FOLDER)


class ChildProcess:
    """A Python process that runs until the block ends."""

    def __init__(self, code: str, *arguments: str | Path) -> None:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        self.process = start(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, line: bytes = b"") -> None:
        """Sends a line, and waits for a line of output."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin
        assert stdout
        if line:
            stdin.write(line + b"\n")
            stdin.flush()
        assert stdout.readline()

    def __enter__(self) -> Self:
        self.say()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.process:
            assert self.process.stdin
            self.process.stdin.close()
            try:
                assert self.process.wait(PATIENCE_SECONDS) in (0, -9)
            finally:
                kill_group(self.process)


def open_for_writing(path: Path, mode: str = "wb") -> ChildProcess:
    """Starts a process that has the file open for writing and writes the lines that it receives."""
    return ChildProcess(WRITER, path, mode)
