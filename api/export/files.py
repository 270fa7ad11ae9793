"""How does an export become a file? Whole, or not at all."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO

from msgspec import Struct

STANDARD_OUTPUT = "-"
UNFINISHED_SUFFIX = ".part"


class OutputExists(Exception):  # noqa: N818 - it says what is the case
    """What was exported before is not overwritten."""


class NotContiguous(Exception):  # noqa: N818 - the same
    """Between what was exported and what shall be added, something would be missing or be told twice."""


class ExportRange(Struct, frozen=True):
    """Of which events an export tells: those after a position, until another one; of a partner, or of all."""

    after: int
    until: int
    partner: str | None


def write(pieces: Iterable[bytes], out: str) -> None:
    """To a file that is not there yet, or to standard output. Raises ThereAlready, OSError."""
    if out == STANDARD_OUTPUT:
        sys.stdout.buffer.writelines(pieces)
        return
    with whole_file(Path(out)) as path, path.open("wb") as file:
        file.writelines(pieces)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write what has the name of the path at the end, and nothing if it fails. Raises ThereAlready, OSError."""
    if path.exists():
        raise OutputExists(path)
    descriptor, name = mkstemp(UNFINISHED_SUFFIX, f".{path.name}.", path.absolute().parent)
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        unfinished.chmod(_usual_mode())
        with unfinished.open("rb+") as file:
            sync(file)
        _name(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _name(unfinished: Path, path: Path) -> None:
    """Unlike a renaming, a link never takes the place of what came there meanwhile."""
    try:
        path.hardlink_to(unfinished)
    except FileExistsError:
        raise OutputExists(path) from None
    except OSError:  # not every file system has links
        unfinished.rename(path)
    with suppress(OSError):
        folder = os.open(path.absolute().parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _usual_mode() -> int:
    """Of a new file; the temporary one is for its owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
