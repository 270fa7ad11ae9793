"""What do figures look like? Draws ratios beside their goals, and time as it grows, from the JSON that benchmarks have written.

NAME-ratios.svg has what has a goal: the median of each ratio, its spread, and shaded, where it is to be. NAME-growth.svg has what
was measured in several sizes, and dashed, what stands beside it: who keeps to the dotted line is linear.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
"""Units of what may grow."""
COLUMNS = 3
PANEL = (3.6, 2.7)
ROW = 0.42
"""Inches, as those of a panel are: width and height."""
FEW_TICKS = 30
"""Where an axis spans more than so many times its least, powers of ten are enough."""

Told = Mapping[str, Compared]
"""By the database."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="what --json has written")
    parser.add_argument("--to", type=Path, required=True, metavar="DIRECTORY", help="where the drawings go")


def draw(options: argparse.Namespace) -> None:
    options.to.mkdir(parents=True, exist_ok=True)
    for name, reports in _by_benchmark(options.files).items():
        for kind, figure in (("ratios", ratios(name, reports)), ("growth", growth(name, reports))):
            if figure:
                drawing = options.to / f"{name}-{kind}.svg"
                figure.savefig(drawing, facecolor="white", bbox_inches="tight", metadata={"Date": None})
                print(drawing)


def _by_benchmark(files: Sequence[Path]) -> dict[str, list[Report]]:
    found: dict[str, list[Report]] = defaultdict(list)
    for one in (one for file in files for one in report.read(file)):
        found[one.benchmark].append(one)
    return found


# Ratios


def ratios(name: str, reports: Sequence[Report]) -> Figure | None:
    """None if nothing has a goal."""
    rows: dict[str, dict[str, Compared]] = defaultdict(dict)
    for engine, one in _compared(reports):
        if one.goal:
            size = "" if one.size is None else f" ({one.size:,})"
            rows[f"{one.case}{size}\nbeside {one.heartbeat_write}"][engine] = one
    if not rows:
        return None
    figure = Figure(figsize=(8, 1.2 + ROW * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    _put_in_range(axes, [one for told in rows.values() for one in told.values()])
    for place, told in enumerate(rows.values()):
        _draw_row(axes, place, told)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("ratio to what stands beside it; shaded: the goal")
    _finish(axes, f"{name}: ratios")
    _tell_colours(figure, reports)
    return figure


def _put_in_range(axes: Axes, all_of_them: Sequence[Compared]) -> None:
    ends = [end for one in all_of_them for end in (*one.ratios, one.at_most, one.at_least) if end is not None]
    axes.set_xlim(min(ends) / 1.4, max(ends) * 1.4)


def _draw_row(axes: Axes, place: int, told: Told) -> None:
    least, most = axes.get_xlim()
    goal = next(iter(told.values()))
    left, right = goal.at_least or least, goal.at_most or most
    axes.barh(place, right - left, left=left, height=0.8, color=GOAL)
    for engine, one in told.items():
        height = place + 0.2 * (list(COLOURS).index(engine) - 0.5) * 2 * (len(told) > 1)
        axes.plot([min(one.ratios), max(one.ratios)], [height] * 2, color=COLOURS[engine], linewidth=1.2, alpha=0.6)
        axes.plot(one.ratio, height, "o", color=COLOURS[engine], markersize=5)


# Growth


def growth(name: str, reports: Sequence[Report]) -> Figure | None:
    """None if nothing was measured in several sizes."""
    curves: dict[tuple[str, str], dict[str, list[Compared]]] = defaultdict(lambda: defaultdict(list))
    for engine, one in _compared(reports):
        if one.size is not None and one.unit in TIMES:
            curves[one.case, one.heartbeat_write][engine].append(one)
    panels = {case: told for case, told in curves.items() if any(len(sizes) > 1 for sizes in told.values())}
    if not panels:
        return None
    columns = min(COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * lines), layout="constrained")
    for place, ((case, beside), told) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(lines, columns, place)
        _draw_panel(axes, told)
        _finish(axes, f"{case}\ndashed: {beside}")
    figure.suptitle(f"{name}: time as it grows; dotted: as steep as linear", fontsize=10)
    _tell_colours(figure, reports)
    return figure


def _draw_panel(axes: Axes, told: Mapping[str, Sequence[Compared]]) -> None:
    for engine, unordered in told.items():
        some = sorted(unordered, key=lambda one: one.size or 0)
        sizes = [one.size or 0 for one in some]
        ours, theirs = (
            [median(side) for side in sides] for sides in zip(*((o.ours, o.theirs) for o in some), strict=True)
        )
        axes.loglog(sizes, ours, "o-", color=COLOURS[engine], markersize=4, linewidth=1.5)
        axes.loglog(sizes, theirs, "--", color=COLOURS[engine], linewidth=1, alpha=0.7)
        axes.loglog([sizes[0], sizes[-1]], [ours[0], ours[0] * sizes[-1] / sizes[0]], ":", color=GREY, linewidth=1)
    axes.set_ylabel(some[0].unit, fontsize=8)
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
    return ((told.engine, one) for told in reports for one in told.compared)


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def _tell_colours(figure: Figure, reports: Sequence[Report]) -> None:
    """Above all that is drawn."""
    engines = list(dict.fromkeys(one.engine for one in reports))
    lines = [Line2D([], [], color=COLOURS[engine], marker="o", markersize=4) for engine in engines]
    figure.legend(lines, engines, fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(lines))
