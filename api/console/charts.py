"""Computes the points and bars of the charts, which the server renders as SVG.

All coordinates are in the units of a canvas, WIDTH wide and, for line charts, HEIGHT high.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

WIDTH, HEIGHT = 1000, 100
CHART_MARGIN = 4
BAR, GAP = 18, 6


class Axis(Struct, frozen=True):
    """A time axis from left to right."""

    first: datetime
    last: datetime

    def x(self, time: datetime) -> float:
        """Returns the coordinate of a time; a time outside the axis gets the coordinate of its nearer end."""
        span = (self.last - self.first).total_seconds() or 1.0
        share = (min(max(time, self.first), self.last) - self.first).total_seconds() / span
        return round(share * WIDTH, 1)


class ChartLine(Struct, frozen=True):
    name: str
    points: str
    """The value of the attribute `points` of an SVG polyline."""


class CountsChart(Struct, frozen=True):
    """Step lines, one for each status. `maximum` is the count at the top of the canvas."""

    axis: Axis
    maximum: int
    lines: list[ChartLine]
    width: int = WIDTH
    height: int = HEIGHT


class Bar(Struct, frozen=True):
    kind: str
    x: float
    y: int
    width: float
    height: int
    label: str
    """The text of its tooltip."""


class BarsChart(Struct, frozen=True):
    axis: Axis
    bars: list[Bar]
    height: int


def counts_chart(times: Sequence[datetime], counts: Sequence[Mapping[str, int]]) -> CountsChart:
    """Returns step lines of the counts at these times: each count holds until the next time."""
    axis = Axis(times[0], times[-1])
    maximum = max((number for by_name in counts for number in by_name.values()), default=0)
    scale = (HEIGHT - 2 * CHART_MARGIN) / (maximum or 1)

    def points(name: str) -> str:
        heights = [round(HEIGHT - CHART_MARGIN - by_name[name] * scale, 1) for by_name in counts]
        previous = [heights[0], *heights]
        return " ".join(
            f"{axis.x(time)},{before} {axis.x(time)},{after}"
            for time, before, after in zip(times, previous, heights, strict=False)
        )

    return CountsChart(axis, maximum, [ChartLine(name, points(name)) for name in counts[0]] if counts else [])


def bars_chart(axis: Axis, spans: Sequence[tuple[str, datetime, datetime, str]]) -> BarsChart:
    """Returns one bar below the other for each span (kind, start, end, label)."""
    bars = []
    for number, (kind, first, last, label) in enumerate(spans):
        x = axis.x(first)
        bars.append(Bar(kind, x, number * (BAR + GAP), max(2.0, round(axis.x(last) - x, 1)), BAR, label))
    return BarsChart(axis, bars, max(1, len(spans)) * (BAR + GAP))


def shares(counts: Mapping[str, int]) -> list[Bar]:
    """Returns a stacked bar as wide as the canvas, with a part for each count above zero."""
    total = sum(counts.values())
    bars, x = [], 0.0
    for kind, count in counts.items():
        if count:
            width = round(count / total * WIDTH, 1)
            bars.append(Bar(kind, round(x, 1), 0, width, BAR, f"{count:,} {kind}"))
            x += width
    return bars
