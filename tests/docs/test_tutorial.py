"""Executes docs/tutorial.md: each command of the page runs, and its output must be the page's.

Rules of the page:

- A command starts with `$ ` and ends where its quotes, line continuations and heredoc end. The lines below it are its output.
- `…` matches any text on its line. A line that is only `…` matches any number of lines.
- An output that starts with `{` is one JSON text. The page may break it between two tokens and indent the rest.
- `NAME=…` assigns the value that an earlier output shows as `NAME=value`; a reader copies it.

All commands run in one shell, so variables stay. The test sleeps before a command that reads the clock with `date`: the page
writes whole seconds, and a reader is slower than a test. The first command, `make run`, runs beside the others until the end.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
SCRIPT = Path(sys.executable).with_name("offer-ledger")
ADDRESS = "127.0.0.1:8000"
"""Of the server, on the page. The test takes a free port."""
START = "make run"
ANY = "…"
PATIENCE_SECONDS = 180.0
DONE = "--- exit status of command"
SHOWN_LINES, SHOWN_CHARACTERS = 3, 400

SH, MAKE = (shutil.which(name) or name for name in ("sh", "make"))


class Command(NamedTuple):
    """A command of the page, the lines of output that the page shows, and the number of its first line."""

    text: str
    output: list[str]
    line: int


class Drift(NamedTuple):
    """The place where an output stops to be the page's: the lines before it, the page's line, and the text found there."""

    same: Sequence[str]
    expected: str | None
    found: str


def commands_of(page: str) -> list[Command]:
    """Reads the console blocks of a page."""
    commands: list[Command] = []
    is_console = is_open = False
    for number, line in enumerate(page.splitlines(), start=1):
        if line.startswith("```"):
            is_console = not is_console and line == "```console"
        elif is_console and is_open:
            commands[-1] = commands[-1]._replace(text=f"{commands[-1].text}\n{line}")
            is_open = not is_complete(commands[-1].text)
        elif is_console and line.startswith("$ "):
            commands.append(Command(line.removeprefix("$ "), [], number))
            is_open = not is_complete(commands[-1].text)
        elif is_console:
            commands[-1].output.append(line)
    return commands


def is_complete(command: str) -> bool:
    if heredoc := re.search(r"<<'?(\w+)'?$", command, re.MULTILINE):
        return heredoc[1] in command[heredoc.end() :].splitlines()
    try:
        shlex.split(command)
    except ValueError:
        return False
    return not command.endswith("\\")


def drift(expected: Sequence[str], found: str) -> Drift | None:
    """Compares an output with the page's. Returns None if they are the same."""
    lines, found = [line.rstrip() for line in expected], found.strip("\n")
    while lines and not lines[-1]:
        lines.pop()
    is_json = bool(lines) and lines[0].startswith("{")
    patterns = [_json_pattern(line) if is_json else _line_pattern(line) for line in lines]
    text = found if is_json else re.sub(r"[ \t]+$", "", found, flags=re.MULTILINE) + "\n" * bool(found)
    if re.fullmatch("".join(patterns), text, re.DOTALL):
        return None
    for count in reversed(range(len(patterns) + 1)):
        if same := re.match("".join(patterns[:count]), text, re.DOTALL):
            return Drift(lines[:count], lines[count] if count < len(lines) else None, text[same.end() :])
    raise AssertionError("nothing matches everywhere")


def _line_pattern(line: str) -> str:
    return r"(?:[^\n]*\n)*?" if line == ANY else re.escape(line).replace(ANY, r"[^\n]*?") + r"\n"


def _json_pattern(line: str) -> str:
    return re.escape(line.strip()).replace(ANY, ".*?")


def described(command: Command, where: Drift) -> str:
    found = [line[:SHOWN_CHARACTERS] for line in where.found.splitlines()[:SHOWN_LINES]] or ["(nothing)"]
    expected = "(nothing)" if where.expected is None else where.expected
    return "\n".join(
        [
            f"{PAGE.relative_to(ROOT)}:{command.line}: the output is not the one of the page (- page, + service)",
            *(f"  {line}" for line in [*f"$ {command.text}".splitlines(), *where.same]),
            f"- {expected}",
            *(f"+ {line}" for line in found),
        ]
    )


# The service and the shell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like the project's after `make run` has installed the service, without a ledger."""
    installed = tmp_path / ".venv"
    (installed / "bin").mkdir(parents=True)
    (installed / "bin" / "offer-ledger").symlink_to(SCRIPT)
    (installed / ".ready").touch()
    for name in ("examples", "Makefile", "requirements.txt", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".curlrc").write_text("silent\n")  # as in a terminal, where curl shows no progress
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    """The default settings of the service, and this tree's code."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OFFER_LEDGER_", "MAKE"))}
    return kept | {"PYTHONPATH": str(ROOT), "CURL_HOME": str(folder), "NO_PROXY": "127.0.0.1", "LC_ALL": "C.UTF-8"}


@contextmanager
def running(folder: Path, address: str) -> Iterator[Path]:
    """`make run` on that address; gives the file with its output. `-o`: the service is installed."""
    output = folder / "run.log"
    arguments = [MAKE, "--no-print-directory", "-o", ".venv/.ready", "run", f"PORT={address.rpartition(':')[2]}"]
    with output.open("wb") as log, (folder / "server.log").open("wb") as errors:
        process = subprocess.Popen(
            arguments, cwd=folder, env=environment(folder), stdout=log, stderr=errors, start_new_session=True
        )
        try:
            wait_until_ready(process, address, folder / "server.log")
            yield output
        finally:
            # The group is this process's own: make, the shell and the server.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"http://{address}/healthz", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def free_address() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def executed(commands: Sequence[Command], folder: Path, address: str, shown: str) -> list[str]:
    """Runs commands in one shell and returns the output of each. `shown`: an earlier output, for values to copy."""
    script = [line for number, command in enumerate(commands) for line in _script(number, command, shown)]
    (folder / "commands.sh").write_text("\n".join(script).replace(ADDRESS, address) + "\n")
    ended = subprocess.run(
        [SH, "commands.sh"],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    parts = re.split(rf"\n{DONE} \d+: (\d+)\n", ended.stdout.replace(address, ADDRESS))
    outputs, statuses = parts[:-1:2], parts[1::2]
    assert len(outputs) == len(commands), ended.stdout
    failed = [
        f"{command.text}\n{output}"
        for command, output, status in zip(commands, outputs, statuses, strict=True)
        if status != "0"
    ]
    assert not failed, "\n".join(failed)
    return outputs


def _script(number: int, command: Command, shown: str) -> Iterator[str]:
    text = command.text
    if copied := re.fullmatch(rf"(\w+)={ANY}", text):
        value = re.search(rf"\b{copied[1]}=(\S+)", shown)
        assert value, f"no output shows a value of {copied[1]}"
        text = f"{copied[1]}={shlex.quote(value[1])}"
    if "$(date " in text:
        yield "sleep 1.1"
    yield text
    yield f"printf '\\n{DONE} {number}: %s\\n' $?"


# Tests


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("make")), reason="the page calls make and curl")
def test_tutorial_shows_what_the_service_answers(folder: Path) -> None:
    start, *commands = commands_of(PAGE.read_text())
    assert start.text == START
    address = free_address()
    with running(folder, address) as output:
        shown = output.read_text()
        outputs = [shown.replace(address, ADDRESS), *executed(commands, folder, address, shown)]
    drifts = [
        described(command, where)
        for command, found in zip([start, *commands], outputs, strict=True)
        if (where := drift(command.output, found))
    ]
    if drifts:
        pytest.fail("\n\n".join(drifts), pytrace=False)


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("offers  3\n", "offers  3\n"),
        ("at …Z\nactive\n", "at 2026-11-30T10:00:00Z\nactive  \n"),
        ("…\nlast\n", "first\nsecond\nlast\n"),
        ('{"a":"…",\n "b":[…]}\n', '{"a":"x","b":[1,2]}'),
        ("", ""),
    ],
)
def test_output_like_the_pages_is_no_drift(page: str, found: str) -> None:
    assert drift(page.splitlines(), found) is None


@pytest.mark.parametrize(
    ("page", "found", "expected", "remaining"),
    [
        ("one\ntwo\n", "one\nthree\n", "two", "three\n"),
        ("one\n", "one\ntwo\n", None, "two\n"),
        ("one\ntwo\n", "one\n", "two", ""),
        ('{"a":"…",\n "b":1}\n', '{"a":"x","b":2}', ' "b":1}', '"b":2}'),
        ("", "Error\n", None, "Error\n"),
    ],
)
def test_other_output_is_drift(page: str, found: str, expected: str | None, remaining: str) -> None:
    where = drift(page.splitlines(), found)
    assert where
    assert (where.expected, where.found) == (expected, remaining)


def test_commands_are_read_to_their_end() -> None:
    page = "```console\n$ cat <<'END'\nit's\nEND\nit's\n$ echo '1\n2'\n1\n2\n```\n\n```sh\n$ rm\n```\n"
    assert [(command.text, command.output) for command in commands_of(page)] == [
        ("cat <<'END'\nit's\nEND", ["it's"]),
        ("echo '1\n2'", ["1", "2"]),
    ]
