"""Figures that the operating system reports about a process."""

import os
import re
from contextlib import suppress
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_CPU_FIELDS = slice(11, 13)
"""utime and stime, counted from the field after the name (proc(5))."""


def cpu_seconds(pid: int) -> float | None:
    """Returns the CPU time of a process; None if the system does not report it, or if the process has ended."""
    with suppress(OSError):
        # The name is in parentheses, and may have spaces and parentheses itself.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[_CPU_FIELDS])) / _TICKS_PER_SECOND
    return None


def memory_bytes(pid: int) -> int | None:
    """Returns the memory that a process holds itself; None if the system does not report it, or if the process has ended."""
    with suppress(OSError):
        kilobytes = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return int(kilobytes[1]) * 1024 if kilobytes else None
    return None
