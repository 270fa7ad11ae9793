"""Is a file complete? Nobody has it open for writing, and it has been as it is for some time."""

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

TEMPORARY_SUFFIXES = (".tmp", ".part", ".partial", ".filepart", ".crdownload", "~")
CHANGED = (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ESTALE)
"""How opening a file fails that was removed, or replaced by something else, since it was looked at."""

logger = logging.getLogger("offer_ledger")


class Fingerprint(NamedTuple):
    """What changes with a file's content."""

    device: int
    inode: int
    size: int
    modified_ns: int


class _Observation(NamedTuple):
    fingerprint: Fingerprint
    since: float


class _Writers(Enum):
    """Who has a file open for writing."""

    NOBODY = auto()
    SOMEBODY = auto()
    UNTOLD = auto()


class CompletenessChecker:
    """Looks at files again and again: only one that is the same at two looks can be complete."""

    def __init__(self, quiet_seconds: float, unseen_quiet_seconds: float) -> None:
        """How long a file must have been as it is; and if the system does not tell who has it open for writing."""
        self._quiet_seconds = quiet_seconds
        self._unseen_quiet_seconds = unseen_quiet_seconds
        self._looked_at = 0.0
        self._sightings: dict[Path, _Observation] = {}
        self._unreadable: set[Path] = set()

    def scan(self, folders: Iterable[Path]) -> list[Path]:
        """The regular files that lie there and have their final names."""
        began = time.monotonic()
        found = {path: fingerprint(path) for folder in folders for path in _named_as_files(folder)}
        # Files that are first seen at one look get complete at one look, so that the caller can tell their order.
        ended = time.monotonic()
        seen = {}
        for path, now in found.items():
            if now:
                before = self._sightings.get(path)
                seen[path] = before if before and before.fingerprint == now else _Observation(now, ended)
        self._looked_at = began
        self._sightings = seen
        self._unreadable &= seen.keys()
        return list(seen)

    def moved(self, path: Path, to: Path) -> None:
        """A file that is moved is looked at as the one that it was, if it is."""
        self._sightings[to] = self._sightings.pop(path)

    def is_complete(self, path: Path) -> bool:
        """Of a file that was seen at the last look."""
        sighting = self._sightings[path]
        quiet_seconds = self._looked_at - sighting.since
        if quiet_seconds < self._quiet_seconds:
            return False
        opened = self._open(path)
        if opened is None:
            return False
        try:
            writers = _writers(opened)
            is_as_seen = _fingerprint(os.fstat(opened)) == sighting.fingerprint
        finally:
            os.close(opened)
        if not is_as_seen or writers is _Writers.SOMEBODY:
            return False
        return writers is _Writers.NOBODY or quiet_seconds >= self._unseen_quiet_seconds

    def has_changed_within(self, path: Path, seconds: float) -> bool:
        """Of a file that was seen at the last look; also of one that was not there before."""
        return self._looked_at - self._sightings[path].since < seconds

    def _open(self, path: Path) -> int | None:
        """Never through a link, and never waiting for the other end of a pipe, or for someone who has a lease."""
        try:
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except BlockingIOError:
            return None
        except PermissionError:
            if path not in self._unreadable:
                self._unreadable.add(path)
                logger.warning("%a can't be read, so it stays where it is until it can", str(path))
            return None
        except OSError as error:
            if error.errno in CHANGED:
                return None
            raise


def fingerprint(path: Path) -> Fingerprint | None:
    """None if it is not there (any more), or no regular file."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return _fingerprint(found) if stat.S_ISREG(found.st_mode) else None


def tells_writers(folder: Path) -> bool:
    """Whether leases are worth anything on this file system: some give none, some whatever is open."""
    probe = folder / ".probe"
    probe.unlink(missing_ok=True)
    with probe.open("xb") as writer, probe.open("rb") as reader:
        while_open = _writers(reader.fileno())
        writer.close()
        afterwards = _writers(reader.fileno())
    probe.unlink()
    return (while_open, afterwards) == (_Writers.SOMEBODY, _Writers.NOBODY)


def _named_as_files(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and not entry.name.lower().endswith(TEMPORARY_SUFFIXES):
                yield folder / entry.name


def _fingerprint(found: os.stat_result) -> Fingerprint:
    return Fingerprint(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _writers(opened: int) -> _Writers:
    """A read lease is given for a file that nobody has open for writing, to its owner and to who has CAP_LEASE."""
    if sys.platform != "linux":
        return _Writers.UNTOLD
    try:
        # Who opens the file to write in the instant of the lease has to wait for its end, which the kernel signals to
        # us: by SIGIO, which kills, unless told otherwise. SIGURG is ignored unless somebody handles it.
        fcntl.fcntl(opened, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(opened, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(opened, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return _Writers.SOMEBODY
    except OSError:
        return _Writers.UNTOLD
    return _Writers.NOBODY
