"""How does what we do compare with what stands beside it? Both take turns; every pair gives a ratio, their median counts.

Whatever else the machine does hits both of a pair alike, and a pair that it hit unevenly doesn't move the median.
"""

from collections.abc import Callable, Sequence
from statistics import median

import msgspec

PAIRS = 5
"""At least."""


class Compared(msgspec.Struct, frozen=True, omit_defaults=True):
    """What all pairs of one case have come to; written to the JSON as it is."""

    case: str
    unit: str
    """Of what was measured: s, ms, per s, MB."""
    heartbeat_write: str
    """What stands there: a floor or a rival, by its name."""
    ours: list[float]
    theirs: list[float]
    at_most: float | None = None
    """The goal of a ratio that is better if it is less, of ours to theirs."""
    at_least: float | None = None
    """The goal of one that is better if it is more: of what is done per second."""
    size: int | None = None
    """Offers, events or connections, where a curve is drawn over them: all that have a case and its rival in common."""

    @property
    def ratios(self) -> list[float]:
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    @property
    def is_reached(self) -> bool:
        return (self.at_most is None or self.ratio <= self.at_most) and (
            self.at_least is None or self.ratio >= self.at_least
        )

    @property
    def goal(self) -> str:
        """In words; nothing if there is none."""
        told = [f"at {name} {goal:g}" for name, goal in (("most", self.at_most), ("least", self.at_least)) if goal]
        return ", ".join(told) + ("" if self.is_reached else ": missed")


def in_turn(
    ours: Callable[[], float], theirs: Callable[[], float], pairs: int = PAIRS
) -> tuple[list[float], list[float]]:
    """What both give, pair by pair; who begins changes with every pair, so that neither always finds the machine warm."""
    found: tuple[list[float], list[float]] = ([], [])
    sides: Sequence[tuple[list[float], Callable[[], float]]] = ((found[0], ours), (found[1], theirs))
    for number in range(pairs):
        for into, measure in sides if number % 2 == 0 else reversed(sides):
            into.append(measure())
    return found
