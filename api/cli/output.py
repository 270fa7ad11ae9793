"""Output of the commands: tables for people, JSON for programs, progress on a terminal."""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from shutil import get_terminal_size
from types import FrameType
from typing import Any, NoReturn

import msgspec
from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.table import Table

from api.cli.messages import as_text, print_line
from projections.maintenance.table_diff import Difference

UNWRAPPED_WIDTH = 10_000


def print_json(value: Any, *, on_one_line: bool = False) -> None:
    text = msgspec.json.format(msgspec.json.encode(value), indent=0 if on_one_line else 2).decode()
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text), indent=None if on_one_line else 2)
    print(text)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str = "") -> None:
    """Prints a table that fits the terminal. `empty` is printed instead if there are no rows.

    Without a terminal, each row is one line, however wide it is."""
    if not rows:
        print(empty)
        return
    lines = table_lines(columns, rows)
    width = get_terminal_size().columns
    if sys.stdout.isatty() and max(map(cell_len, lines)) > width:
        lines = record_lines_of(columns, rows, width)
    for line in lines:
        print(line)


def record_lines_of(columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> list[str]:
    """Returns the rows one below the other, with one line or more for each cell that is not empty."""
    title_width = max(map(len, columns))
    lines: list[str] = []
    for number, row in enumerate(rows):
        lines += [""] * bool(number)
        for title, cell in zip(columns, row, strict=True):
            text = _cell_text(cell)
            parts = chop_cells(text, max(width - title_width - 2, 1)) if text else []
            lines += [f"{'' if index else title:{title_width}}  {part}" for index, part in enumerate(parts)]
    return lines


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Returns one line for the titles, if there are any, and one line for each row."""
    table = Table(box=None, pad_edge=False, show_header=any(columns))
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*map(_cell_text, row))
    lines = StringIO()
    console = Console(file=lines, width=UNWRAPPED_WIDTH, color_system=None, markup=False, emoji=False, highlight=False)
    console.print(table)
    return [line.rstrip() for line in lines.getvalue().splitlines()]


def _cell_text(cell: object) -> str:
    return as_text("" if cell is None else str(cell))


def print_next_command(next_cursor: str | None) -> None:
    """Prints the option for the next page below a table that has more rows than `--limit`."""
    if next_cursor:
        print_line(f"There are more rows. Next page: --cursor {next_cursor}")


def print_differences(differences: Sequence[Difference], prefix: str = "") -> None:
    for difference in differences:
        found, expected = map(_row_text, (difference.found, difference.expected))
        print_line(f"{prefix}{difference.where}: found {found}, expected {expected}")


def _row_text(row: object) -> str:
    return "nothing" if row is None else msgspec.json.encode(row).decode()


@contextmanager
def interruptible() -> Iterator[None]:
    """Makes SIGTERM exit with 143 through `finally` blocks, so that the command removes its unfinished files."""

    def exit_command(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(128 + signal.SIGTERM)

    previous = signal.signal(signal.SIGTERM, exit_command)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Runs a block until SIGTERM or Ctrl-C; both are its normal end, with exit code 0."""

    def interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(0)
    finally:
        signal.signal(signal.SIGTERM, previous)
