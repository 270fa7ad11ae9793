"""Where do the points and bars of a chart lie? Drawn by the server, in the numbers of its own small canvas."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

WIDTH, HEIGHT = 1000, 100
CHART_MARGIN = 4
BAR, GAP = 18, 6


class Axis(Struct, frozen=True):
    """Of time, from left to right."""

    first: datetime
    last: datetime

    def x(self, moment: datetime) -> float:
        span = (self.last - self.first).total_seconds() or 1.0
        share = (min(max(moment, self.first), self.last) - self.first).total_seconds() / span
        return round(share * WIDTH, 1)


class ChartLine(Struct, frozen=True):
    name: str
    points: str
    """As a polyline has them."""


class CountsChart(Struct, frozen=True):
    """How many there were of each kind, over time. `most`: at the top of the canvas."""

    axis: Axis
    most: int
    lines: list[ChartLine]
    width: int = WIDTH
    height: int = HEIGHT


class Bar(Struct, frozen=True):
    kind: str
    x: float
    y: int
    width: float
    height: int
    told: str
    """What it stands for, in words."""


class BarsChart(Struct, frozen=True):
    axis: Axis
    bars: list[Bar]
    height: int


def counts_chart(moments: Sequence[datetime], counts: Sequence[Mapping[str, int]]) -> CountsChart:
    """A step for each moment: a number holds until it changes."""
    axis = Axis(moments[0], moments[-1])
    most = max((number for some in counts for number in some.values()), default=0)
    scale = (HEIGHT - 2 * CHART_MARGIN) / (most or 1)

    def points(name: str) -> str:
        heights = [round(HEIGHT - CHART_MARGIN - some[name] * scale, 1) for some in counts]
        before = [heights[0], *heights]
        return " ".join(
            f"{axis.x(moment)},{was} {axis.x(moment)},{now}"
            for moment, was, now in zip(moments, before, heights, strict=False)
        )

    return CountsChart(axis, most, [ChartLine(name, points(name)) for name in counts[0]] if counts else [])


def bars_chart(axis: Axis, spans: Sequence[tuple[str, datetime, datetime, str]]) -> BarsChart:
    """A bar below the other for each span: its kind, from when, until when, and what it is."""
    bars = []
    for number, (kind, first, last, told) in enumerate(spans):
        x = axis.x(first)
        bars.append(Bar(kind, x, number * (BAR + GAP), max(2.0, round(axis.x(last) - x, 1)), BAR, told))
    return BarsChart(axis, bars, max(1, len(spans)) * (BAR + GAP))


def shares(counts: Mapping[str, int]) -> list[Bar]:
    """One bar of the canvas's width, divided as the counts are."""
    total = sum(counts.values())
    bars, x = [], 0.0
    for kind, count in counts.items():
        if count:
            width = round(count / total * WIDTH, 1)
            bars.append(Bar(kind, round(x, 1), 0, width, BAR, f"{count:,} {kind}"))
            x += width
    return bars
