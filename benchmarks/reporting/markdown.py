"""Print the whole output of benchmarks as Markdown, from the JSON files that they have written.

Each benchmark has one table with all cases, and a list of its missed goals. A batch has its CPU time by stage, too.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from statistics import median

from benchmarks.reporting import report
from benchmarks.reporting.comparison import Compared
from benchmarks.reporting.report import Report, short

ENGINES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}

Place = tuple[str, int | None, str]
"""Identifies a row of a table: case, size, and baseline."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="Files that --json has written.")


def show(options: argparse.Namespace) -> None:
    print("\n".join(lines(options.files)))


def lines(files: Sequence[Path]) -> Iterator[str]:
    by_benchmark: dict[str, list[Report]] = defaultdict(list)
    for found in chain.from_iterable(map(report.read, files)):
        by_benchmark[found.benchmark].append(found)
    for name, reports in by_benchmark.items():
        yield from (f"### {name}", "")
        for one in reports:
            settings = ", ".join(f"{setting} {value}" for setting, value in one.settings.items())
            yield f"- {ENGINES[one.engine]}, {one.date:%Y-%m-%d}, {one.cores} cores: {settings}"
        yield from ("", *_table(reports), "")
        for one in reports:
            if one.stages:
                yield from (*_stages(one), "")


def _table(reports: Sequence[Report]) -> Iterator[str]:
    engines = [one.engine for one in reports]
    rows: dict[Place, dict[str, Compared]] = defaultdict(dict)
    for one in reports:
        for compared in one.compared:
            rows[compared.case, compared.size, compared.baseline][one.engine] = compared
    yield f"| case | size | baseline |{''.join(f' {ENGINES[engine]} | ratio | goal |' for engine in engines)}"
    yield f"| --- | --- | --- |{' --- | --- | --- |' * len(engines)}"
    for (case, size, baseline), by_engine in rows.items():
        figures = "".join(_figures(by_engine.get(engine)) for engine in engines)
        yield f"| {case} | {'' if size is None else f'{size:,}'} | {baseline} |{figures}"


def _figures(compared: Compared | None) -> str:
    """Returns the medians of the service and of the baseline, the ratio with its range, and the goal."""
    if compared is None:
        return " | | |"
    ratios, goal = compared.ratios, compared.goal
    mark = "" if not goal else f"{goal}" if not compared.is_reached else f"{goal}: met"
    spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
    ours, theirs = short(median(compared.ours)), short(median(compared.theirs))
    return f" {ours} / {theirs} {compared.unit} | {compared.ratio:.2f}{spread} | {mark} |"


def _stages(one: Report) -> Iterator[str]:
    stages: Mapping[str, Mapping[str, float]] = one.stages
    yield f"| CPU microseconds per offer, {ENGINES[one.engine]} |{''.join(f' {case} |' for case in stages)}"
    yield f"| --- |{' --- |' * len(stages)}"
    for stage in dict.fromkeys(chain.from_iterable(stages.values())):
        yield f"| {stage} |{''.join(f' {times.get(stage, 0):.1f} |' for times in stages.values())}"
