"""A drop folder: complete files are taken one at a time, and moved with a report after they are processed.

If the process dies at any time, no file is lost, moved unprocessed, or left without its report.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from api.access.private_files import private_opener
from api.channels.file_completeness import CompletenessChecker, can_detect_writers, fingerprint

QUIET_SECONDS = 2.0
"""A file is complete if it has not changed for this time and no process has it open for writing."""
FALLBACK_QUIET_SECONDS = 30.0
"""The quiet time where the system cannot detect writers."""
MAX_HOLD_SECONDS = 60.0
"""An incomplete file delays the files of later days until it has been unchanged for this time.

A file whose JSON is truncated is incomplete for this time: its upload may be resumed."""
TAKEN_FOLDER = ".taken"
DONE_FOLDER = "done"
REFUSED_FOLDER = "refused"
REPORT_SUFFIX = ".report.json"
MAX_SUFFIX_BYTES = 16
"""A longer text after the last dot of a name is not a suffix."""

NOTE = ".note"
PRIVATE_MODE, READ_AND_WRITE = 0o600, 0o666
"""A report has the ids and messages of its file. So it gets the file's mode: no user who can't read the file can read it."""

DayOf = Callable[[str], Any]
"""Returns the day of a file name. Files are taken by day. A file whose name has no day, None, comes last."""


class FolderInUse(Exception):
    """Another process watches the folder. Two watchers would take each other's files."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"{directory}: is already watched by another process.")


class TakenFileChanged(Exception):
    """The taken file is not the one that was processed."""

    def __init__(self, taken: Path) -> None:
        super().__init__(
            f"{taken}: was changed or removed while it was processed; it will be checked and processed again."
        )


@contextmanager
def open_folder(
    directory: Path,
    day_of: DayOf,
    max_bytes: int,
    *,
    quiet_seconds: float = QUIET_SECONDS,
    fallback_quiet_seconds: float = FALLBACK_QUIET_SECONDS,
) -> Iterator["DropFolder"]:
    """Opens a folder exclusively. It should be on a local disk: on a network file system, writers on other hosts can't
    be detected. `max_bytes`: a larger file is taken without a look at its content.

    Raises FolderInUse, or OSError for a directory that can't be used."""
    for name in (DONE_FOLDER, REFUSED_FOLDER, TAKEN_FOLDER):
        (directory / name).mkdir(exist_ok=True)
        if (directory / name).stat().st_dev != directory.stat().st_dev:
            # Files are moved there by rename, which cannot cross file systems. Fail now, not after the first file.
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(directory / name))
    lock = os.open(directory / TAKEN_FOLDER / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(directory) from None
        if not can_detect_writers(directory / TAKEN_FOLDER):
            quiet_seconds = fallback_quiet_seconds
        yield DropFolder(directory, day_of, CompletenessChecker(quiet_seconds, fallback_quiet_seconds, max_bytes))
    finally:
        os.close(lock)


class DropFolder:
    """A directory into which other processes put files."""

    def __init__(self, directory: Path, day_of: DayOf, checker: CompletenessChecker) -> None:
        self._directory = directory
        self._taken = directory / TAKEN_FOLDER
        self._note = self._taken / NOTE
        self._day_of = day_of
        self._checker = checker
        self._current: Path | None = None

    def next(self) -> Path | None:
        """Returns the file to process: the one that is already taken, or else the first complete one.

        Returns None if no file is complete yet. Each call is a scan, and only a second scan shows an unchanged file."""
        self._current = self._find()
        return self._current

    def write_note(self, text: str) -> None:
        """Stores a note about the taken file, so that it survives the end of the process."""
        _write(self._note, text.encode(), PRIVATE_MODE)

    def read_note(self) -> str | None:
        """Returns the note about the taken file, if there is one."""
        try:
            return self._note.read_text()
        except FileNotFoundError:
            return None

    def finish(self, taken: Path, report: bytes, *, done: bool) -> Path:
        """Moves the file that `next` returned to its final place, with its report beside it, and returns that place.

        Raises TakenFileChanged if the file changed while it was processed. The file then stays taken."""
        if taken != self._current or not self._checker.is_complete(taken):
            raise TakenFileChanged(taken)
        folder = self._directory / (DONE_FOLDER if done else REFUSED_FOLDER)
        place = _place_for(taken, folder, report)
        # The report comes first. If the process dies before the move, the next one processes the file and finds the
        # same place.
        _write(_report_of(place), report, PRIVATE_MODE | taken.stat().st_mode & READ_AND_WRITE)
        taken.replace(place)
        # `replace` does nothing if both names are links to the same file.
        taken.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        _sync(folder)
        _sync(self._taken)
        return place

    def _find(self) -> Path | None:
        paths = sorted(self._checker.scan([self._taken, self._directory]), key=self._place_in_line)
        for path in paths:
            if path.parent == self._taken:
                return path if self._checker.is_complete(path) else None
        awaited_day = None
        for path in paths:
            day = self._day_of(path.name)
            if awaited_day is not None and day is not None and day > awaited_day:
                # Files of later days wait for an upload that is still in progress, but not for an abandoned one.
                continue
            may_continue = self._checker.has_changed_within(path, MAX_HOLD_SECONDS)
            if not self._checker.is_complete(path) or (may_continue and self._checker.is_truncated(path)):
                if may_continue and awaited_day is None:
                    awaited_day = day
            elif taken := self._take(path):
                # It may have been opened or replaced before the move. Then later scans check it in its new place.
                return taken if self._checker.is_complete(taken) else None
        return None

    def _place_in_line(self, path: Path) -> tuple[bool, Any, bytes]:
        day = self._day_of(path.name)
        return day is None, day, os.fsencode(path.name)

    def _take(self, path: Path) -> Path | None:
        """Moves a file to the taken folder. The move overwrites no file: this scan saw no taken file, and no other
        process takes files."""
        taken = self._taken / path.name
        if self._note.exists():  # of an earlier file
            self._note.unlink()
            _sync(self._taken)
        try:
            path.rename(taken)
        except FileNotFoundError:
            return None
        self._checker.record_move(path, taken)
        return taken


def _place_for(taken: Path, folder: Path, report: bytes) -> Path:
    """Returns the first of NAME, NAME-2, NAME-3 ... that is free, or has the same content and report."""
    max_bytes = os.pathconf(folder, "PC_NAME_MAX")
    places = (folder / _numbered(taken.name, number, max_bytes) for number in count(1))
    return next(place for place in places if _is_usable(place, taken, report))


def _numbered(name: str, number: int, max_bytes: int) -> str:
    """Returns the name with a number, shortened so that the name of its report fits into `max_bytes`."""
    suffix = Path(name).suffix
    if len(os.fsencode(suffix)) > MAX_SUFFIX_BYTES:
        suffix = ""
    tail = suffix if number == 1 else f"-{number}{suffix}"
    stem = os.fsencode(name.removesuffix(suffix))
    return os.fsdecode(stem[: max_bytes - len(os.fsencode(tail + REPORT_SUFFIX))]) + tail


def _is_usable(place: Path, taken: Path, report: bytes) -> bool:
    report_place = _report_of(place)
    if os.path.lexists(report_place):
        found = fingerprint(report_place)
        # If the file with the name of the report has a report itself, it is no report, but a dropped file.
        if not found or found.size != len(report) or os.path.lexists(_report_of(report_place)):
            return False
        if report_place.read_bytes() != report:
            return False
    return not os.path.lexists(place) or _have_same_content(taken, place)


def _have_same_content(first: Path, second: Path) -> bool:
    one, other = fingerprint(first), fingerprint(second)
    return one is not None and other is not None and one.size == other.size and digest_of(first) == digest_of(second)


def digest_of(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _report_of(place: Path) -> Path:
    return place.with_name(place.name + REPORT_SUFFIX)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Writes a file atomically and durably. It has the mode before it has the content."""
    unfinished = path.with_name(".report.tmp")
    unfinished.unlink(missing_ok=True)
    with open(unfinished, "xb", opener=private_opener) as opened:
        os.fchmod(opened.fileno(), mode)
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
