"""Draw the figures of JSON files that benchmarks have written.

NAME-ratios.svg shows each ratio that has a goal: its median, its spread over all pairs, and the goal as a shaded
area. NAME-growth.svg shows times that were measured in several sizes: the service as a solid line, its baseline as a
dashed line, and linear growth as a dotted line.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator, StrMethodFormatter

from benchmarks.reporting import report
from benchmarks.reporting.comparison import Compared
from benchmarks.reporting.report import Report

COLOURS = {"sqlite": "#1f6fb2", "postgresql": "#c8581a"}
GOAL, GREY = "#dcefdc", "#8a8a8a"
TIMES = ("s", "ms")
"""The units of figures that the growth plot shows."""
COLUMNS = 3
PANEL = (3.6, 2.7)
ROW = 0.42
"""The height of a row in inches. `PANEL` has width and height in inches."""
FEW_TICKS = 30
"""An axis with a larger ratio of maximum to minimum gets ticks at powers of ten only."""

ByEngine = Mapping[str, Compared]
"""Results of a case by database."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="Files that --json has written.")
    parser.add_argument("--to", type=Path, required=True, metavar="DIRECTORY", help="Folder for the drawings.")


def draw(options: argparse.Namespace) -> None:
    options.to.mkdir(parents=True, exist_ok=True)
    for name, reports in _by_benchmark(options.files).items():
        for kind, figure in (("ratios", ratios(name, reports)), ("growth", growth(name, reports))):
            if figure:
                drawing = options.to / f"{name}-{kind}.svg"
                figure.savefig(drawing, facecolor="white", bbox_inches="tight", metadata={"Date": None})
                print(drawing)


def _by_benchmark(files: Sequence[Path]) -> dict[str, list[Report]]:
    reports: dict[str, list[Report]] = defaultdict(list)
    for found in chain.from_iterable(map(report.read, files)):
        reports[found.benchmark].append(found)
    return reports


# Ratios


def ratios(name: str, reports: Sequence[Report]) -> Figure | None:
    """Returns None if no result has a goal."""
    rows: dict[str, dict[str, Compared]] = defaultdict(dict)
    for engine, one in _compared(reports):
        if one.goal:
            size = "" if one.size is None else f" ({one.size:,})"
            rows[f"{one.case}{size}\nbaseline: {one.baseline}"][engine] = one
    if not rows:
        return None
    figure = Figure(figsize=(8, 1.2 + ROW * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    _put_in_range(axes, [one for by_engine in rows.values() for one in by_engine.values()])
    for place, by_engine in enumerate(rows.values()):
        _draw_row(axes, place, by_engine)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("ratio to the baseline; shaded: goal")
    _finish(axes, f"{name}: ratios")
    _add_legend(figure, reports)
    return figure


def _put_in_range(axes: Axes, results: Sequence[Compared]) -> None:
    ends = [end for one in results for end in (*one.ratios, one.at_most, one.at_least) if end is not None]
    axes.set_xlim(min(ends) / 1.4, max(ends) * 1.4)


def _draw_row(axes: Axes, place: int, by_engine: ByEngine) -> None:
    least, most = axes.get_xlim()
    goal = next(iter(by_engine.values()))
    left, right = goal.at_least or least, goal.at_most or most
    axes.barh(place, right - left, left=left, height=0.8, color=GOAL)
    for engine, one in by_engine.items():
        height = place + 0.2 * (list(COLOURS).index(engine) - 0.5) * 2 * (len(by_engine) > 1)
        axes.plot([min(one.ratios), max(one.ratios)], [height] * 2, color=COLOURS[engine], linewidth=1.2, alpha=0.6)
        axes.plot(one.ratio, height, "o", color=COLOURS[engine], markersize=5)


# Growth


def growth(name: str, reports: Sequence[Report]) -> Figure | None:
    """Returns None if no case was measured in several sizes."""
    curves: dict[tuple[str, str], dict[str, list[Compared]]] = defaultdict(lambda: defaultdict(list))
    for engine, one in _compared(reports):
        if one.size is not None and one.unit in TIMES:
            curves[one.case, one.baseline][engine].append(one)
    panels = {
        case: by_engine for case, by_engine in curves.items() if any(len(sizes) > 1 for sizes in by_engine.values())
    }
    if not panels:
        return None
    columns = min(COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * lines), layout="constrained")
    for place, ((case, baseline), by_engine) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(lines, columns, place)
        _draw_panel(axes, by_engine)
        _finish(axes, f"{case}\ndashed: {baseline}")
    figure.suptitle(f"{name}: growth of time; dotted: linear growth", fontsize=10)
    _add_legend(figure, reports)
    return figure


def _draw_panel(axes: Axes, by_engine: Mapping[str, Sequence[Compared]]) -> None:
    for engine, unordered in by_engine.items():
        results = sorted(unordered, key=lambda one: one.size or 0)
        sizes = [one.size or 0 for one in results]
        ours, theirs = (
            [median(side) for side in sides] for sides in zip(*((o.ours, o.theirs) for o in results), strict=True)
        )
        axes.loglog(sizes, ours, "o-", color=COLOURS[engine], markersize=4, linewidth=1.5)
        axes.loglog(sizes, theirs, "--", color=COLOURS[engine], linewidth=1, alpha=0.7)
        axes.loglog([sizes[0], sizes[-1]], [ours[0], ours[0] * sizes[-1] / sizes[0]], ":", color=GREY, linewidth=1)
    axes.set_ylabel(results[0].unit, fontsize=8)
    least, most = axes.get_ylim()
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.yaxis.set_major_locator(LogLocator(subs=(1,) if most > FEW_TICKS * least else (1, 2, 5)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:,.7g}"))
        axis.set_minor_locator(NullLocator())
    axes.tick_params(labelsize=8)
    axes.grid(color="#e4e4e4", linewidth=0.6)


# Both


def _compared(reports: Sequence[Report]) -> Iterator[tuple[str, Compared]]:
    return ((one.engine, result) for one in reports for result in one.compared)


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def _add_legend(figure: Figure, reports: Sequence[Report]) -> None:
    """Adds the legend above the drawing."""
    engines = list(dict.fromkeys(one.engine for one in reports))
    lines = [Line2D([], [], color=COLOURS[engine], marker="o", markersize=4) for engine in engines]
    figure.legend(lines, engines, fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(lines))
