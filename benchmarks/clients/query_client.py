"""Measures queries in rounds: a round repeats a query with different arguments and gives the median latency."""

import argparse
import time
from collections.abc import Callable
from itertools import count
from statistics import median

MAX_QUERIES = 40
"""The most queries in a round, if the time allows as many."""

Query = Callable[[int], int]
"""Executes a query and returns the number of items. The argument selects another object in each round."""


def add_seconds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=0.4, help="Seconds for each round of a query. Default: 0.4.")


class QueryRounds:
    """The rounds of a query. Two queries that are compared use the same arguments in the same order.

    Raises RuntimeError if the query finds nothing."""

    def __init__(self, query: Query, seconds: float) -> None:
        self.found = query(1)
        if not self.found:
            raise RuntimeError(f"the query finds nothing: {query}")
        self._query, self._seconds, self._numbers = query, seconds, count()

    def milliseconds(self) -> float:
        """Runs one round and returns the median latency."""
        started = now = time.perf_counter()
        latencies: list[float] = []
        while not latencies or (now < started + self._seconds and len(latencies) < MAX_QUERIES):
            self._query(next(self._numbers))
            before, now = now, time.perf_counter()
            latencies.append((now - before) * 1000)
        return median(latencies)
