"""How long does an answer take? Asked over and over in a turn, for something else every time."""

import argparse
import time
from collections.abc import Callable
from itertools import count
from statistics import median

MOST_ASKED = 40
"""In a turn, if there is the time for them."""

Ask = Callable[[int], int]
"""Answers how many items were found; turn after turn something else is asked for, where there is something else."""


def add_seconds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=0.4, help="for a question's turn (0.4)")


class Turns:
    """Those of a question; two that stand beside each other ask for the same. Raises RuntimeError if it finds nothing."""

    def __init__(self, ask: Ask, seconds: float) -> None:
        self.found = ask(1)
        if not self.found:
            raise RuntimeError(f"nothing is found by {ask}")
        self._ask, self._seconds, self._numbers = ask, seconds, count()

    def milliseconds(self) -> float:
        began = now = time.perf_counter()
        taken: list[float] = []
        while not taken or (now < began + self._seconds and len(taken) < MOST_ASKED):
            self._ask(next(self._numbers))
            before, now = now, time.perf_counter()
            taken.append((now - before) * 1000)
        return median(taken)
