"""A drop folder, and the others who put files into it."""

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

ROOT = Path(__file__).parents[3]
QUIET_SECONDS = 0.03
UNSEEN_QUIET_SECONDS = 0.4
LOOK_SECONDS = 0.005
PATIENCE_SECONDS = 30.0
WRITER = """
import sys
with open(sys.argv[1], sys.argv[2], buffering=0) as opened:
    print(flush=True)
    for line in sys.stdin.buffer:
        opened.write(line)
        print(flush=True)
"""


def opened(directory: Path) -> AbstractContextManager[DropFolder]:
    """The folder, with little patience."""
    return open_folder(directory, day_of, quiet_seconds=QUIET_SECONDS, unseen_quiet_seconds=UNSEEN_QUIET_SECONDS)


def day_of(name: str) -> str:
    """The last eight characters before the suffix."""
    return Path(name).stem[-8:]


def drop(directory: Path, name: str, content: bytes = b"offers") -> Path:
    """As a careful partner does it: written with another name, then renamed."""
    unfinished = directory / ".upload"
    unfinished.write_bytes(content)
    return unfinished.replace(directory / name)


def taken_from(folder: DropFolder) -> Path:
    """What is taken next, before long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (taken := folder.next()) is None:
        assert time.monotonic() < deadline
        time.sleep(LOOK_SECONDS)
    return taken


def require_nothing_taken(folder: DropFolder, seconds: float = 4 * QUIET_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert folder.next() is None
        time.sleep(LOOK_SECONDS)


def report_on(path: Path) -> bytes:
    return json.dumps({"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}).encode()


def finish_next(folder: DropFolder) -> Path:
    """Processes a file; those that have "bad" in their names are refused."""
    taken = taken_from(folder)
    return folder.finish(taken, report_on(taken), done="bad" not in taken.name)


def is_empty(directory: Path) -> bool:
    """Whether no file waits or is taken."""
    lying = [*directory.iterdir(), *(directory / TAKEN_FOLDER).iterdir()]
    return all(path.is_dir() or path.name.startswith(".") for path in lying)


def require_each_finished_once(directory: Path, dropped: Iterable[bytes]) -> None:
    """Every content that was dropped lies in one place, with a report of its own; and there is nothing else."""
    assert sorted(path.name for path in directory.iterdir()) == sorted([TAKEN_FOLDER, DONE_FOLDER, REFUSED_FOLDER])
    assert [path.name for path in (directory / TAKEN_FOLDER).iterdir()] == [".lock"]
    lying = [path for folder in (DONE_FOLDER, REFUSED_FOLDER) for path in (directory / folder).iterdir()]
    files = [path for path in lying if not path.name.endswith(REPORT_SUFFIX)]
    assert len(lying) == 2 * len(files)
    assert sorted(path.read_bytes() for path in files) == sorted(dropped)
    for path in files:
        assert path.with_name(path.name + REPORT_SUFFIX).read_bytes() == report_on(path)
        assert ("bad" in path.name) == (path.parent.name == REFUSED_FOLDER)


class Other:
    """Another process, running until the block ends."""

    def __init__(self, code: str, *arguments: str | Path) -> None:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, line: bytes = b"") -> None:
        """Gives it a line, and waits until it has answered one."""
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
            assert self.process.wait(PATIENCE_SECONDS) in (0, -9)


def writing(path: Path, mode: str = "wb") -> Other:
    """Somebody who has the file open for writing, and writes what is said."""
    return Other(WRITER, path, mode)
