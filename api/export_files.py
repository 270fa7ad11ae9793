"""How does an export become a file? Whole, or not at all."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

STANDARD_OUTPUT = "-"
UNFINISHED = ".part"


class ThereAlready(Exception):  # noqa: N818 - it says what is the case
    """What was exported before is not overwritten."""


def write(pieces: Iterable[bytes], out: str) -> None:
    """To a file that is not there yet, or to standard output. Raises ThereAlready, OSError."""
    if out == STANDARD_OUTPUT:
        sys.stdout.buffer.writelines(pieces)
        return
    with whole_file(Path(out)) as path, path.open("wb") as file:
        file.writelines(pieces)
        sync(file)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write what has the name of the path at the end, and nothing if it fails. Raises ThereAlready."""
    if path.exists():
        raise ThereAlready(path)
    unfinished = path.with_name(path.name + UNFINISHED)
    unfinished.unlink(missing_ok=True)
    try:
        yield unfinished
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)


def sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def counted(some: Iterable[Sequence[Struct]], counts: list[int]) -> Iterator[Sequence[Struct]]:
    """The same rows; how many they were is added to `counts`."""
    for rows in some:
        counts.append(len(rows))
        yield rows
