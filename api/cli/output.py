"""How do the commands show what they have to say? Tables for people, JSON for programs, sentences for refusals."""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from types import FrameType
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from domain.values import ProgressCallback
from projections.maintenance.table_diff import Difference

UNWRAPPED = 10_000

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def exit_with_error(*sentences: str, exit_code: int = 1) -> NoReturn:
    for sentence in sentences:
        print(as_text(sentence), file=sys.stderr)
    sys.exit(exit_code)


def print_line(line: str) -> None:
    print(as_text(line))


def print_json(value: Any, *, on_one_line: bool = False) -> None:
    text = msgspec.json.format(msgspec.json.encode(value), indent=0 if on_one_line else 2).decode()
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text), indent=None if on_one_line else 2)
    print(text)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str = "") -> None:
    """One line a row, as wide as it is. `empty`: what to say instead when there are no rows."""
    if not rows:
        print(empty)
        return
    table = Table(box=None, pad_edge=False, show_header=any(columns))
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*(as_text("" if cell is None else str(cell)) for cell in row))
    lines = StringIO()
    Console(file=lines, width=UNWRAPPED, color_system=None, markup=False, emoji=False, highlight=False).print(table)
    for line in lines.getvalue().splitlines():
        print(line.rstrip())


def print_next_command(next_cursor: str | None) -> None:
    """Under a table that is not all."""
    if next_cursor:
        print_line(f"There are more: --cursor {next_cursor}")


def print_differences(differences: Sequence[Difference], what: str = "") -> None:
    """`what`: is said before each of them."""
    for difference in differences:
        found, expected = map(_shown, (difference.found, difference.expected))
        print_line(f"{what}{difference.where}: found {found}, expected {expected}")


def _shown(row: object) -> str:
    return "nothing" if row is None else msgspec.json.encode(row).decode()


@contextmanager
def interruptible() -> Iterator[None]:
    """Whoever asks the command to end, by SIGTERM too, lets it clear away what it has not finished."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def until_interrupted() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does, and that is how it is meant to end."""

    def interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(0)
    finally:
        signal.signal(signal.SIGTERM, former)


@contextmanager
def progress(what: str) -> Iterator[ProgressCallback]:
    """A bar on standard error while long work goes on; none where nobody watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def as_text(text: str) -> str:
    """What others have written is shown, never obeyed: no character of it can command the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
