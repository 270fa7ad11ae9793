"""Which file of a drop folder is next, and where does it go? Complete files are taken one at a time, and whenever the
process dies, none is lost, moved unprocessed, or done without its report."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from api.channels.file_completeness import CompletenessChecker, fingerprint, tells_writers

QUIET_SECONDS = 2.0
"""For how long a file must have been as it is, when nobody has it open for writing."""
UNSEEN_QUIET_SECONDS = 30.0
"""The same where the system does not tell who has it open."""
HELD_BACK_SECONDS = 60.0
"""For how long a file that is not complete and does not change keeps those that come after it waiting."""
TAKEN_FOLDER = ".taken"
DONE_FOLDER = "done"
REFUSED_FOLDER = "refused"
REPORT_SUFFIX = ".report.json"
LONGEST_SUFFIX = 16
"""What stands behind the last dot of a name and is longer is no suffix."""

Order = Callable[[str], Any]
"""Gives the sort key of a file's name."""


class FolderInUse(Exception):
    """Two watchers would take each other's files."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"{directory}: is watched by another process already.")


class TakenFileChanged(Exception):
    """What lies there is not what was processed."""

    def __init__(self, taken: Path) -> None:
        super().__init__(f"{taken}: was changed or removed while it was processed; it will be looked at again.")


@contextmanager
def open_folder(
    directory: Path,
    order: Order,
    *,
    quiet_seconds: float = QUIET_SECONDS,
    unseen_quiet_seconds: float = UNSEEN_QUIET_SECONDS,
) -> Iterator["DropFolder"]:
    """The folder, as long as nobody else has it. It should lie on a disk of this machine: of who writes from another one
    only the system there knows.

    Raises FolderInUse, or OSError for a directory that can't be used."""
    for name in (DONE_FOLDER, REFUSED_FOLDER, TAKEN_FOLDER):
        (directory / name).mkdir(exist_ok=True)
        if (directory / name).stat().st_dev != directory.stat().st_dev:
            # Files are renamed into it, which would fail when the first one has been processed.
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(directory / name))
    lock = os.open(directory / TAKEN_FOLDER / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(directory) from None
        if not tells_writers(directory / TAKEN_FOLDER):
            quiet_seconds = unseen_quiet_seconds
        yield DropFolder(directory, order, CompletenessChecker(quiet_seconds, unseen_quiet_seconds))
    finally:
        os.close(lock)


class DropFolder:
    """A directory that others put files into."""

    def __init__(self, directory: Path, order: Order, looks: CompletenessChecker) -> None:
        self._directory = directory
        self._taken = directory / TAKEN_FOLDER
        self._order = order
        self._looks = looks
        self._answered: Path | None = None

    def next(self) -> Path | None:
        """The file to process next: the one that is taken already, or else the first complete one. None if there is
        none so far; every call is a look at the folder, and it takes two to see that a file stays as it is."""
        self._answered = self._find()
        return self._answered

    def finish(self, taken: Path, report: bytes, *, done: bool) -> Path:
        """Puts the file that next() has answered where it stays, with its report beside it; answers that place.

        Raises TakenFileChanged if it is not what was processed: then it stays taken."""
        if taken != self._answered or not self._looks.is_complete(taken):
            raise TakenFileChanged(taken)
        folder = self._directory / (DONE_FOLDER if done else REFUSED_FOLDER)
        place = _place_for(taken, folder)
        # The report comes first: who dies before the file is moved processes it again, and finds the same place.
        _write(_report_of(place), report)
        taken.replace(place)
        # A link to the very file that it takes the place of is not moved by that.
        taken.unlink(missing_ok=True)
        _sync(folder)
        _sync(self._taken)
        return place

    def _find(self) -> Path | None:
        paths = sorted(
            self._looks.scan([self._taken, self._directory]),
            key=lambda path: (self._order(path.name), os.fsencode(path.name)),
        )
        for path in paths:
            if path.parent == self._taken:
                return path if self._looks.is_complete(path) else None
        for path in paths:
            if not self._looks.is_complete(path):
                if self._looks.has_changed_within(path, HELD_BACK_SECONDS):
                    # What comes after it in order waits for it, but not for one that nobody goes on with.
                    return None
            elif taken := self._take(path):
                # It may have been opened or replaced in between. Then it is looked at where it lies now.
                return taken if self._looks.is_complete(taken) else None
        return None

    def _take(self, path: Path) -> Path | None:
        """Overwrites no file: there was none at this look, and only who has the lock puts one there."""
        taken = self._taken / path.name
        try:
            path.rename(taken)
        except FileNotFoundError:
            return None
        self._looks.moved(path, taken)
        return taken


def _place_for(taken: Path, folder: Path) -> Path:
    """The first of NAME, NAME-2, NAME-3 ... that is free or has the same content."""
    longest = os.pathconf(folder, "PC_NAME_MAX")
    places = (folder / _numbered(taken.name, number, longest) for number in count(1))
    return next(place for place in places if _can_lie_at(place, taken))


def _numbered(name: str, number: int, longest: int) -> str:
    """The name with a number, and so short that its report has a name too."""
    suffix = Path(name).suffix
    if len(os.fsencode(suffix)) > LONGEST_SUFFIX:
        suffix = ""
    tail = suffix if number == 1 else f"-{number}{suffix}"
    stem = os.fsencode(name.removesuffix(suffix))
    return os.fsdecode(stem[: longest - len(os.fsencode(tail + REPORT_SUFFIX))]) + tail


def _can_lie_at(place: Path, taken: Path) -> bool:
    report = _report_of(place)
    if os.path.lexists(report) and (fingerprint(report) is None or os.path.lexists(_report_of(report))):
        # What is called like its report has a report itself: it is no report, but was dropped with this name.
        return False
    return not os.path.lexists(place) or _has_content_of(taken, place)


def _has_content_of(taken: Path, place: Path) -> bool:
    here, there = fingerprint(taken), fingerprint(place)
    return here is not None and there is not None and here.size == there.size and _digest(taken) == _digest(place)


def _digest(path: Path) -> bytes:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


def _report_of(place: Path) -> Path:
    return place.with_name(place.name + REPORT_SUFFIX)


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing, and for good."""
    unfinished = path.with_name(".report.tmp")
    unfinished.unlink(missing_ok=True)
    with unfinished.open("xb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    unfinished.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
