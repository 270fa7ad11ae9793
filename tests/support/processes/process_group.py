"""Starts a process in its own process group, so that a test can end it together with all its children."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


def start(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[Any]:
    """Starts a process. The caller ends it with `kill_group`."""
    return subprocess.Popen(command, start_new_session=True, **options)


def kill_group(process: subprocess.Popen[Any]) -> None:
    """Sends SIGKILL to the process and its children, and waits for the process."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def running(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Starts a process, and kills its group when the block ends."""
    with start(command, **options) as process:
        try:
            yield process
        finally:
            kill_group(process)
