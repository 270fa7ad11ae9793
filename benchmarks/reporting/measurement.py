"""Rates and latencies of repeated requests."""

from benchmarks.servers.server_process import Latency

RATE, P50, P99 = "per s", "p50", "p99"
UNITS = {RATE: "per s", P50: "ms", P99: "ms"}


class Measured:
    """The values of each figure, one for each round."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {figure: [] for figure in UNITS}

    def add(self, count: int, seconds: float, latency: Latency) -> None:
        for figure, value in ((RATE, count / seconds), (P50, latency.p50), (P99, latency.p99)):
            self.values[figure].append(value)


def case_name(name: str, figure: str) -> str:
    """Returns the name of a case in the report."""
    return name if figure == RATE else f"{name}: {figure}"
