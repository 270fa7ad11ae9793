"""Comparison of the service with a baseline: both are measured in turns, and each pair of measurements gives a ratio.

Other load on the machine affects both sides of a pair alike. The result is the median of the ratios, so a pair that
was affected unevenly has no weight.
"""

from collections.abc import Callable, Sequence
from statistics import median

import msgspec

PAIRS = 5
"""The default number of pairs."""
PAIRS_HELP = f"Number of pairs: each measures the service and its baseline once. Default: {PAIRS}."


class Compared(msgspec.Struct, frozen=True, omit_defaults=True):
    """The figures of all pairs of one case. This is also the form of the JSON file."""

    case: str
    unit: str
    """The unit of the figures, such as s, ms, per s or MiB."""
    baseline: str = msgspec.field(name="beside")
    """The name of the baseline, which is a floor, a rival, or the service in another situation."""
    ours: list[float]
    theirs: list[float]
    at_most: float | None = None
    """The goal of a ratio that should be small, such as that of times or memory."""
    at_least: float | None = None
    """The goal of a ratio that should be large: that of rates."""
    limit: float | None = None
    """The goal of our own figure, in its unit: its median should be at most this."""
    size: int | None = None
    """The number of offers, events or connections. A plot draws one curve over the sizes of a case and a baseline."""

    @property
    def ratios(self) -> list[float]:
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    @property
    def is_reached(self) -> bool:
        return (
            (self.at_most is None or self.ratio <= self.at_most)
            and (self.at_least is None or self.ratio >= self.at_least)
            and (self.limit is None or median(self.ours) <= self.limit)
        )

    @property
    def has_goal(self) -> bool:
        return any(goal is not None for goal in (self.at_most, self.at_least, self.limit))

    @property
    def goal(self) -> str:
        """The goal as text; empty if there is none."""
        goals = [f"at {name} {goal:g}" for name, goal in (("most", self.at_most), ("least", self.at_least)) if goal]
        if self.limit is not None:
            goals.append(f"at most {self.limit:g} {self.unit}")
        return ", ".join(goals) + ("" if self.is_reached else ": missed")


def measure_in_turns(
    ours: Callable[[], float], theirs: Callable[[], float], pairs: int = PAIRS
) -> tuple[list[float], list[float]]:
    """Returns the figures of both sides, pair by pair.

    The first side changes with each pair, so that caches warmed by one side do not always help the other."""
    figures: tuple[list[float], list[float]] = ([], [])
    sides: Sequence[tuple[list[float], Callable[[], float]]] = ((figures[0], ours), (figures[1], theirs))
    for number in range(pairs):
        for side_figures, measure in sides if number % 2 == 0 else reversed(sides):
            side_figures.append(measure())
    return figures
