"""How many are done per second, and how long does one of them take?"""

from benchmarks.servers.server_process import Latency

RATE, P50, P99 = "per s", "p50", "p99"
UNITS = {RATE: "per s", P50: "ms", P99: "ms"}


class Measured:
    """What rounds have come to, by figure and round."""

    def __init__(self) -> None:
        self.of: dict[str, list[float]] = {figure: [] for figure in UNITS}

    def add(self, count: int, seconds: float, latency: Latency) -> None:
        for figure, found in ((RATE, count / seconds), (P50, latency.p50), (P99, latency.p99)):
            self.of[figure].append(found)


def case_of(name: str, figure: str) -> str:
    """What a figure of something is called in tables."""
    return name if figure == RATE else f"{name}: {figure}"
