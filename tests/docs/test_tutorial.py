"""Executes docs/tutorial.md: each command of the page runs, and its output must be the page's.

The rules of the page are in `tests/support/shell_pages.py`. The first command, `make run`, runs beside the others.
"""

from pathlib import Path

import pytest

from tests.support.generated_pages import DOCS
from tests.support.shell_pages import HAS_PROGRAMS, START, commands_of, described, drift, page_folder, running

PAGE = DOCS / "tutorial.md"


@pytest.mark.skipif(not HAS_PROGRAMS, reason="the page calls make and curl")
def test_tutorial_shows_what_the_service_answers(tmp_path: Path) -> None:
    start, *commands = commands_of(PAGE.read_text())
    assert start.text == START
    assert start.output
    with running(page_folder(tmp_path)) as shell:
        where = drift(start.output, shell.outputs[0])
        drifts = [described(PAGE, start, where)] if where else []
        drifts += shell.drifts(PAGE, commands)
    if drifts:
        pytest.fail("\n\n".join(drifts), pytrace=False)


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("offers  3\n", "offers  3\n"),
        ("at …Z\nactive\n", "at 2026-11-30T10:00:00Z\nactive  \n"),
        ("…\nlast\n", "first\nsecond\nlast\n"),
        ('{"a":"…",\n "b":[…]}\n', '{"a":"x","b":[1,2]}'),
        ('HTTP/1.1 200 OK\n…\n\n{"a":1,\n "b":2}\n', 'HTTP/1.1 200 OK\ndate: today\n\n{"a":1,"b":2}'),
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
        ('HTTP/1.1 200 OK\n\n{"a":1}\n', 'HTTP/1.1 404 Not Found\n\n{"a":1}', "HTTP/1.1 200 OK", None),
        ("", "Error\n", None, "Error\n"),
    ],
)
def test_other_output_is_drift(page: str, found: str, expected: str | None, remaining: str | None) -> None:
    where = drift(page.splitlines(), found)
    assert where
    assert (where.expected, where.found) == (expected, found if remaining is None else remaining)


def test_commands_are_read_to_their_end() -> None:
    page = "```console\n$ cat <<'END'\nit's\nEND\nit's\n$ echo '1\n2'\n1\n2\n```\n\n```text\n$ rm\n```\n\n```sh\nls |\n  cat\n\nfor N in 1 2; do\n  ls\ndone\n```\n"
    assert [(command.text, command.output) for command in commands_of(page)] == [
        ("cat <<'END'\nit's\nEND", ["it's"]),
        ("echo '1\n2'", ["1", "2"]),
        ("ls |\n  cat", None),
        ("for N in 1 2; do\n  ls\ndone", None),
    ]
