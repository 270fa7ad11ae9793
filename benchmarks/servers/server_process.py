"""A real server in a process of its own, watched from outside, and its memory; how long callers wait."""

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from types import TracebackType
from typing import Self

SCRIPT = Path(sys.executable).with_name("offer-ledger")
MIB = 1024 * 1024


class Server:
    """`offer-ledger serve` on a port that the system picks; `command` is another `offer-ledger`."""

    def __init__(self, environment: dict[str, str], log: Path, command: Sequence[str | Path] = (SCRIPT,)) -> None:
        self._log = log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*command, "serve", "--port", "0"], env=environment, stderr=stderr, stdout=stderr
            )
        while not (told := re.search(r"running on (http://[\d.]+:\d+)", log.read_text())):
            if self.process.poll() is not None:
                raise RuntimeError(f"The server has ended: {log.read_text()}")
            time.sleep(0.05)
        self.url = told[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.terminate()
        self.process.wait()

    def memory(self, what: str) -> float:
        """MiB of the server and its helpers; `what`: VmRSS for now, VmHWM for the most since it was forgotten."""
        return sum(memory(pid, what) for pid in self._pids())

    def forget_peak(self) -> None:
        for pid in self._pids():
            forget_peak(pid)

    def _pids(self) -> list[int]:
        pid = self.process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def memory(pid: int, what: str) -> float:
    """MiB of one process."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Latency:
    """How long a caller waited, in milliseconds."""

    def __init__(self, milliseconds: Sequence[float] = ()) -> None:
        self.milliseconds = list(milliseconds)

    def __str__(self) -> str:
        return f"p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms, most {self.most:.1f} ms"

    @property
    def p50(self) -> float:
        return self._percentiles()[49]

    @property
    def p99(self) -> float:
        return self._percentiles()[98]

    @property
    def most(self) -> float:
        return max(self.milliseconds, default=0.0)

    def _percentiles(self) -> list[float]:
        few = len(self.milliseconds) < 2  # noqa: PLR2004
        return [self.most] * 99 if few else quantiles(self.milliseconds, n=100, method="inclusive")
