"""Detects complete files: no process has the file open for writing, and it has not changed for a quiet period.

A client can pause an upload, close the file, and resume later. Such a file is quiet, but its JSON is truncated.

On Linux, a read lease detects writers. Other systems, and some file systems, cannot detect them; a longer period
applies there.
"""

import errno
import fcntl
import logging
import os
import signal
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from api.parsing.truncated_json import is_truncated

TEMPORARY_SUFFIXES = (".tmp", ".part", ".partial", ".filepart", ".crdownload", "~")
CHANGED = (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ESTALE)
"""Errors of opening a file that was removed or replaced since the scan."""

logger = logging.getLogger("offer_ledger")


class Fingerprint(NamedTuple):
    """Attributes of a file; at least one of them changes when its content changes."""

    device: int
    inode: int
    size: int
    modified_ns: int


class _Observation(NamedTuple):
    fingerprint: Fingerprint
    since: float


class _Writers(Enum):
    """The writers of a file: other processes that have it open for writing."""

    ABSENT = auto()
    PRESENT = auto()
    UNKNOWN = auto()


class CompletenessChecker:
    """Compares repeated scans of a folder: only a file that two scans found unchanged can be complete."""

    def __init__(self, quiet_seconds: float, fallback_quiet_seconds: float, max_bytes: int) -> None:
        """The quiet periods: with detection of writers, and where writers can't be detected.

        `max_bytes`: the size up to which files are read to find out whether they are truncated."""
        self._max_bytes = max_bytes
        self._truncated: dict[Fingerprint, bool] = {}
        self._quiet_seconds = quiet_seconds
        self._fallback_quiet_seconds = fallback_quiet_seconds
        self._scanned_at = 0.0
        self._observations: dict[Path, _Observation] = {}
        self._unreadable: set[Path] = set()

    def scan(self, folders: Iterable[Path]) -> list[Path]:
        """Returns the regular files of the folders, without those with temporary names."""
        started_at = time.monotonic()
        present = {path: fingerprint(path) for folder in folders for path in _final_names(folder)}
        # Files that one scan finds first become complete at the same scan, so that the caller can sort them.
        finished_at = time.monotonic()
        observations = {}
        for path, now in present.items():
            if now:
                before = self._observations.get(path)
                observations[path] = before if before and before.fingerprint == now else _Observation(now, finished_at)
        self._scanned_at = started_at
        self._observations = observations
        self._unreadable &= observations.keys()
        fingerprints = {observation.fingerprint for observation in observations.values()}
        self._truncated = {seen: result for seen, result in self._truncated.items() if seen in fingerprints}
        return list(observations)

    def record_move(self, path: Path, to: Path) -> None:
        """Keeps the observation of a file that was moved, as long as its fingerprint stays the same."""
        self._observations[to] = self._observations.pop(path)

    def is_complete(self, path: Path) -> bool:
        """The file must be in the result of the last scan."""
        observation = self._observations[path]
        quiet_seconds = self._scanned_at - observation.since
        if quiet_seconds < self._quiet_seconds:
            return False
        opened = self._open(path)
        if opened is None:
            return False
        try:
            writers = _writers(opened)
            is_unchanged = _fingerprint(os.fstat(opened)) == observation.fingerprint
        finally:
            os.close(opened)
        if not is_unchanged or writers is _Writers.PRESENT:
            return False
        return writers is _Writers.ABSENT or quiet_seconds >= self._fallback_quiet_seconds

    def is_truncated(self, path: Path) -> bool:
        """Returns whether the file is empty, or JSON without its end. It must be in the result of the last scan."""
        now = self._observations[path].fingerprint
        if now not in self._truncated:
            if now.size > self._max_bytes:
                return False
            opened = self._open(path)
            if opened is None:
                return True
            with os.fdopen(opened, "rb") as file:
                self._truncated[now] = is_truncated(file.read(self._max_bytes))
        return self._truncated[now]

    def has_changed_within(self, path: Path, seconds: float) -> bool:
        """The file must be in the result of the last scan. A new file counts as changed."""
        return self._scanned_at - self._observations[path].since < seconds

    def _open(self, path: Path) -> int | None:
        """Opens a file that is no symbolic link. Never waits for the other end of a pipe, or for the end of a lease."""
        try:
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except BlockingIOError:
            return None
        except PermissionError:
            if path not in self._unreadable:
                self._unreadable.add(path)
                logger.warning("%a can't be read; it stays in the folder until its permissions allow it", str(path))
            return None
        except OSError as error:
            if error.errno in CHANGED:
                return None
            raise


def fingerprint(path: Path) -> Fingerprint | None:
    """Returns None if the file does not exist or is not a regular file."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return _fingerprint(status) if stat.S_ISREG(status.st_mode) else None


def can_detect_writers(folder: Path) -> bool:
    """Returns True if leases work on this file system. Some grant none, some grant them also for open files."""
    probe = folder / ".probe"
    probe.unlink(missing_ok=True)
    with probe.open("xb") as writer, probe.open("rb") as reader:
        while_open = _writers(reader.fileno())
        writer.close()
        afterwards = _writers(reader.fileno())
    probe.unlink()
    return (while_open, afterwards) == (_Writers.PRESENT, _Writers.ABSENT)


def _final_names(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and not entry.name.lower().endswith(TEMPORARY_SUFFIXES):
                yield folder / entry.name


def _fingerprint(status: os.stat_result) -> Fingerprint:
    return Fingerprint(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _writers(opened: int) -> _Writers:
    """Requests a read lease, which Linux grants only if no process has the file open for writing.

    The process needs to own the file or to have CAP_LEASE."""
    if sys.platform != "linux":
        return _Writers.UNKNOWN
    try:
        # A process that opens the file for writing during the lease waits, and the kernel signals this process. The
        # default signal, SIGIO, would terminate it. SIGURG is ignored by default.
        fcntl.fcntl(opened, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(opened, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(opened, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return _Writers.PRESENT
    except OSError:
        return _Writers.UNKNOWN
    return _Writers.ABSENT
