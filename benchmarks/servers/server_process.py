"""A server in its own process, its memory as seen by the operating system, and the latency of its clients."""

import os
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
    """Runs `offer-ledger serve` on a free port. `command` replaces `offer-ledger`."""

    def __init__(self, environment: dict[str, str], log: Path, command: Sequence[str | Path] = (SCRIPT,)) -> None:
        self._log = log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*command, "serve", "--port", "0"], env=environment, stderr=stderr, stdout=stderr
            )
        while not (address := re.search(r"running on (http://[\d.]+:\d+)", log.read_text())):
            if self.process.poll() is not None:
                raise RuntimeError(f"The server did not start: {log.read_text()}")
            time.sleep(0.05)
        self.url = address[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.terminate()
        self.process.wait()

    def memory(self, field: str) -> float:
        """Returns MiB of the server and its worker processes.

        `field`: VmRSS for the present memory, VmHWM for the peak since the last reset."""
        return sum(memory(pid, field) for pid in self._pids())

    def cpu_seconds(self) -> float:
        """Returns the CPU time of the server and its worker processes so far."""
        return sum(cpu_seconds(pid) for pid in self._pids())

    def reset_peak(self) -> None:
        for pid in self._pids():
            reset_peak(pid)

    def _pids(self) -> list[int]:
        pid = self.process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def memory(pid: int, field: str) -> float:
    """Returns MiB of one process, from a field of /proc/PID/status."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = re.search(rf"{field}:\s+(\d+) kB", status)
    return int(kilobytes[1]) / 1024 if kilobytes else 0.0


def reset_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def cpu_seconds(pid: int) -> float:
    """Returns the CPU time of one process, from the fields utime and stime of /proc/PID/stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Latency:
    """The latencies of a client, in milliseconds."""

    def __init__(self, milliseconds: Sequence[float] = ()) -> None:
        self.milliseconds = list(milliseconds)

    def __str__(self) -> str:
        return f"p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms, maximum {self.maximum:.1f} ms"

    @property
    def p50(self) -> float:
        return self._percentiles()[49]

    @property
    def p99(self) -> float:
        return self._percentiles()[98]

    @property
    def maximum(self) -> float:
        return max(self.milliseconds, default=0.0)

    def _percentiles(self) -> list[float]:
        few = len(self.milliseconds) < 2
        return [self.maximum] * 99 if few else quantiles(self.milliseconds, n=100, method="inclusive")
