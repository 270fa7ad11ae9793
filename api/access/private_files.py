"""Files that only their owner may read, whatever the umask is. They appear when they are complete, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from domain.store.sqlite.files import PRIVATE_MODE, store_durably

UNFINISHED_SUFFIX = ".part"


class OutputExists(Exception):
    """The output exists already. No existing file is overwritten."""


def private_opener(path: str, flags: int) -> int:
    """Opens a file for `open`; a new file gets mode 600."""
    return os.open(path, flags, PRIVATE_MODE)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Returns the path of a temporary file in the same folder, which gets the name `path` at the end.

    If the block fails, the temporary file is deleted. Raises OutputExists, OSError."""
    if path.exists():
        raise OutputExists(path)
    temporary = path.absolute().parent / f".{path.name}.{token_hex(4)}{UNFINISHED_SUFFIX}"
    # The file is created inside the block, because a signal may arrive at any time.
    try:
        temporary.touch(PRIVATE_MODE, exist_ok=False)
        yield temporary
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
    store_durably(path.absolute().parent)


def flush_to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
