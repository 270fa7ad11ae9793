"""Executes the commands of a documentation page in one shell, beside a running service, and compares the outputs.

Rules of a page:

- A `console` block has commands and their output. A command starts with `$ ` and ends where its quotes, line continuations,
  pipe, heredoc or loop end. The lines below it are its output.
- A `sh` block has commands without output. They must succeed. All other blocks are not executed.
- `…` matches any text on its line. A line that is only `…` matches any number of lines.
- From the first line that starts with `{` on, an output is one JSON text. The page may break it between two tokens and
  indent the rest.
- `NAME=…` assigns a value that a reader copies. With a comment such as `# the runId of this reply`, it is the newest value of
  that JSON member in the earlier outputs. Otherwise it is the value that an earlier output shows as `NAME=value`.
- A command must succeed. Only a curl with `--max-time`, which would never end otherwise, may reach that time.

All commands run in one shell, so variables stay. A command that reads the clock with `date` waits for a second: pages write
whole seconds, and a reader is slower than a test.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self
from urllib.error import URLError
from urllib.request import urlopen

from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
ADDRESS = "127.0.0.1:8000"
"""Of the server, on the pages. A test takes a free port."""
START = "make run"
ANY = "…"
PATIENCE_SECONDS = 500.0
DONE = "--- exit status of the command: "
CURL_TIMED_OUT = 28
SHOWN_LINES, SHOWN_CHARACTERS = 3, 400

SH, MAKE = (shutil.which(name) or name for name in ("sh", "make"))
HAS_PROGRAMS = bool(shutil.which("curl") and shutil.which("make"))


class Command(NamedTuple):
    """A command of a page, the lines of output that the page shows, and the number of its first line.

    `output` is None if the page shows no output."""

    text: str
    output: list[str] | None
    line: int


class Drift(NamedTuple):
    """The place where an output stops to be the page's: the lines before it, the page's line, and the text found there."""

    same: Sequence[str]
    expected: str | None
    found: str


# Pages


def commands_of(page: str) -> list[Command]:
    """Reads the `console` and `sh` blocks of a page."""
    commands: list[Command] = []
    block, is_open = "", False
    for number, line in enumerate(page.splitlines(), start=1):
        if line.startswith("```"):
            block = "" if block else line.removeprefix("```") or "text"
            is_open = False
        elif block not in {"console", "sh"}:
            continue
        elif is_open:
            commands[-1] = commands[-1]._replace(text=f"{commands[-1].text}\n{line}")
            is_open = not is_complete(commands[-1].text)
        elif block == "sh" or line.startswith("$ "):
            text = line.removeprefix("$ ")
            if text.strip():
                commands.append(Command(text, [] if block == "console" else None, number))
                is_open = not is_complete(text)
        elif commands[-1].output is not None:
            commands[-1].output.append(line)
    return commands


def is_complete(command: str) -> bool:
    if heredoc := re.search(r"<<'?(\w+)'?$", command, re.MULTILINE):
        return heredoc[1] in command[heredoc.end() :].splitlines()
    try:
        shlex.split(command)
    except ValueError:
        return False
    if command.startswith("for ") and not command.endswith("\ndone"):
        return False
    return not command.endswith(("\\", "|"))


def drift(expected: Sequence[str], found: str) -> Drift | None:
    """Compares an output with the page's. Returns None if they are the same."""
    lines = [line.rstrip() for line in expected]
    while lines and not lines[-1]:
        lines.pop()
    json_start = next((number for number, line in enumerate(lines) if line.startswith("{")), len(lines))
    patterns = [*map(_line_pattern, lines[:json_start]), *map(_json_pattern, lines[json_start:])]
    text = re.sub(r"[ \t]+$", "", found.strip("\n"), flags=re.MULTILINE)
    if text and json_start == len(lines):
        text += "\n"
    if re.fullmatch("".join(patterns), text, re.DOTALL):
        return None
    for count in reversed(range(len(patterns) + 1)):
        if same := re.match("".join(patterns[:count]), text, re.DOTALL):
            return Drift(lines[:count], lines[count] if count < len(lines) else None, text[same.end() :])
    raise AssertionError("nothing matches everywhere")


def _line_pattern(line: str) -> str:
    # The reason phrase depends on the version of Python: Unprocessable Entity, or Unprocessable Content.
    if status := re.match(r"HTTP/1.1 \d{3}", line):
        return re.escape(status[0]) + r"[^\n]*\n"
    return r"(?:[^\n]*\n)*?" if line == ANY else re.escape(line).replace(ANY, r"[^\n]*?") + r"\n"


def _json_pattern(line: str) -> str:
    return re.escape(line.strip()).replace(ANY, ".*?")


def described(page: Path, command: Command, where: Drift) -> str:
    found = [line[:SHOWN_CHARACTERS] for line in where.found.splitlines()[:SHOWN_LINES]] or ["(nothing)"]
    expected = "(nothing)" if where.expected is None else where.expected
    return "\n".join(
        [
            f"{page.relative_to(ROOT)}:{command.line}: the output is not the one of the page (- page, + service)",
            *(f"  {line}" for line in [*f"$ {command.text}".splitlines(), *where.same]),
            f"- {expected}",
            *(f"+ {line}" for line in found),
        ]
    )


# The service


def page_folder(folder: Path) -> Path:
    """Makes a folder look like the project's after `make run` has installed the service, without a ledger."""
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("examples", "Makefile", "requirements.txt", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".curlrc").write_text("silent\n")  # as in a terminal, where curl shows no progress
    return folder


def environment(folder: Path) -> dict[str, str]:
    """The default settings of the service, and this tree's code."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OFFER_LEDGER_", "MAKE"))}
    return kept | {"PYTHONPATH": str(ROOT), "CURL_HOME": str(folder), "NO_PROXY": "127.0.0.1", "LC_ALL": "C.UTF-8"}


@contextmanager
def running(folder: Path) -> Iterator["Shell"]:
    """`make run` on a free port, and a shell in its folder. `-o`: the service is installed."""
    address = free_address()
    output = folder / "run.log"
    arguments = [MAKE, "--no-print-directory", "-o", ".venv/.run-ready", "run", f"PORT={address.rpartition(':')[2]}"]
    with output.open("wb") as log, (folder / "server.log").open("wb") as errors:
        process = subprocess.Popen(
            arguments, cwd=folder, env=environment(folder), stdout=log, stderr=errors, start_new_session=True
        )
        try:
            wait_until(lambda: is_ready(process, address, folder / "server.log"))
            with Shell(folder, address, output.read_text()) as shell:
                yield shell
        finally:
            # The group is this process's own: make, the shell and the server.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def is_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        with urlopen(f"http://{address}/healthz", timeout=5):
            return True
    except (URLError, OSError):
        return False


def free_address() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


# The shell


class Shell:
    """One `sh` process that executes commands one by one. `start_output` is the output of `make run`."""

    def __init__(self, folder: Path, address: str, start_output: str) -> None:
        self._address = address
        self.outputs = [start_output.replace(address, ADDRESS)]
        self._process = subprocess.Popen(
            [SH],
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._deadline = threading.Timer(PATIENCE_SECONDS, self._kill)

    def __enter__(self) -> Self:
        self._deadline.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._deadline.cancel()
        self._kill()
        self._process.communicate()

    def _kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)

    def drifts(self, page: Path, commands: Sequence[Command]) -> list[str]:
        """Executes commands of a page and describes each output that is not the page's."""
        found = [(command, self.run(command.text)) for command in commands]
        return [
            described(page, command, where)
            for command, output in found
            if command.output is not None and (where := drift(command.output, output))
        ]

    def run(self, command: str) -> str:
        """Executes a command, requires its success, and returns its output."""
        if "$(date " in command:
            time.sleep(1.1)
        self._write(f"{{\n{self._with_copied_value(command)}\n}} < /dev/null; printf '\\n{DONE}%s\\n' $?\n")
        lines: list[str] = []
        while not (line := self._read()).startswith(DONE):
            lines.append(line)
        output = "".join(lines).replace(self._address, ADDRESS)
        status = int(line.removeprefix(DONE))
        assert status == 0 or (status == CURL_TIMED_OUT and "--max-time" in command), f"$ {command}\n{output}"
        self.outputs.append(output)
        return output

    def _write(self, text: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(text.replace(ADDRESS, self._address))
        self._process.stdin.flush()

    def _read(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the shell ended"
        return line

    def _with_copied_value(self, command: str) -> str:
        if copied := re.fullmatch(rf"(\w+)={ANY}(?:\s*#(.*))?", command):
            return f"{copied[1]}={shlex.quote(self._value(copied[1], copied[2] or ''))}"
        return command

    def _value(self, name: str, comment: str) -> str:
        seen = "\n".join(self.outputs)
        for member in re.findall(r"\w+", comment):
            if values := re.findall(rf'"{member}":"([^"]*)"', seen):
                return str(values[-1])
        value = re.search(rf"\b{name}=(\S+)", seen)
        assert value, f"no output shows a value of {name}"
        return value[1]
