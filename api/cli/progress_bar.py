"""Progress bars of long commands, on standard error and only on a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from domain.values import ProgressCallback


@contextmanager
def progress(
    description: str, *, whole_bytes: int | None = None, last_step: str | None = None
) -> Iterator[ProgressCallback]:
    """Shows a progress bar with the time that remains.

    `whole_bytes`: the size of the work; the bar then shows megabytes and their speed. `last_step`: the name of a step
    without a measure, which follows when all work is done."""
    measures: list[ProgressColumn] = (
        [DownloadColumn(), TransferSpeedColumn()] if whole_bytes else [MofNCompleteColumn()]
    )
    measured = [_Measured(column) for column in (*measures, TimeRemainingColumn())]
    columns = (TextColumn("{task.description}"), BarColumn(), *measured, TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(description, total=None)

        def show(done: int, total: int) -> None:
            if whole_bytes:
                done, total = whole_bytes * done // (total or 1), whole_bytes
            bar.update(task, completed=done, total=total)
            if last_step is not None and done >= total and len(bar.tasks) == 1:
                bar.add_task(last_step, total=None)

        yield show


class _Measured(ProgressColumn):
    """A column that is empty while the end of the work is not known."""

    def __init__(self, column: ProgressColumn) -> None:
        super().__init__()
        self._column = column

    def render(self, task: Task) -> RenderableType:
        return Text("") if task.total is None else self._column.render(task)
