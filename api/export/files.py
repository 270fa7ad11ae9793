"""Writes export files atomically: a file appears when it is complete, or not at all."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from msgspec import Struct

STANDARD_OUTPUT = "-"
UNFINISHED_SUFFIX = ".part"


class OutputExists(Exception):
    """The output exists already. Exports do not overwrite files."""


class NotContiguous(Exception):
    """The new events do not start where the exported ones end, so some would be missing or duplicate."""


class ExportRange(Struct, frozen=True):
    """The events of an export: those after position `after` up to `until`. `partner` is None for all partners."""

    after: int
    until: int
    partner: str | None


def write_export(pieces: Iterable[bytes], out: str) -> None:
    """Writes to a new file, or to standard output for `-`. Raises OutputExists, OSError."""
    if out == STANDARD_OUTPUT:
        sys.stdout.buffer.writelines(pieces)
        return
    with atomic_file(Path(out)) as path, path.open("wb") as file:
        file.writelines(pieces)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Returns the path of a temporary file in the same folder, which gets the name `path` at the end.

    If the block fails, the temporary file is deleted. Raises OutputExists, OSError."""
    if path.exists():
        raise OutputExists(path)
    temporary = path.absolute().parent / f".{path.name}.{token_hex(4)}{UNFINISHED_SUFFIX}"
    # The file is created inside the block, because a signal may arrive at any time.
    try:
        temporary.touch(0o600, exist_ok=False)
        yield temporary
        temporary.chmod(_default_mode())
        with temporary.open("rb+") as file:
            flush_to_disk(file)
        _publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _publish(temporary: Path, path: Path) -> None:
    """Uses a hard link, because a rename would replace a file that was created in the meantime."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise OutputExists(path) from None
    except OSError:  # the file system has no hard links
        temporary.rename(path)
    with suppress(OSError):
        folder = os.open(path.absolute().parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _default_mode() -> int:
    """Returns the mode of a new file by the umask. Temporary files are readable only by their owner."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def flush_to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
