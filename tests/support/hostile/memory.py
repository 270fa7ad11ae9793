"""The memory of a server: what the process and its children hold themselves, without files that they share."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SAMPLE_SECONDS = 0.05


def own_mebibytes(pid: int) -> float:
    """Returns the MiB of the process and its descendants; 0 for a process that has ended."""
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        kilobytes = re.search(r"RssAnon:\s+(\d+) kB", status)
        return (int(kilobytes[1]) / 1024 if kilobytes else 0.0) + sum(own_mebibytes(int(child)) for child in children)
    return 0.0


class Peak:
    """The largest sample."""

    mebibytes = 0.0


@contextmanager
def watch_peak(pid: int) -> Iterator[Peak]:
    """Samples the memory of a server until the block ends."""
    peak, stop = Peak(), threading.Event()

    def sample() -> None:
        while not stop.is_set():
            peak.mebibytes = max(peak.mebibytes, own_mebibytes(pid))
            stop.wait(SAMPLE_SECONDS)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()
