"""Data of one caller that waits on disk until it is complete."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import IO

from api.bounds.allowances import Allowance, AllowanceExceeded
from domain.ledgers.ledger import StorageError


class TooManyFiles(AllowanceExceeded):
    """As many bodies wait on disk as may."""


class WaitingDisk:
    """The bounds of all waiting files: bytes on disk, and descriptors.

    `folder`: None for the system's folder of temporary files."""

    def __init__(self, size: Allowance, files: Allowance, folder: Path | None) -> None:
        self.size, self.files, self.folder = size, files, folder

    def take_file(self, holder: str) -> None:
        """Raises TooManyFiles."""
        try:
            self.files.take(holder)
        except AllowanceExceeded as error:
            raise TooManyFiles(is_total=error.is_total) from None


class WaitingFile:
    """A file without a name, which only its owner may read. It ends with the process, however that ends.

    Any thread may read or close it, also while another thread writes to it."""

    def __init__(self, disk: WaitingDisk, holder: str) -> None:
        self._disk, self._holder = disk, holder
        self._has_place = False
        self._file: IO[bytes] | None = None
        self._lock = Lock()
        self._is_closed = False
        self.size = 0

    def append(self, data: bytes) -> None:
        """Raises AllowanceExceeded and then removes the data. Raises StorageError if the disk is full."""
        with self._lock:
            self._require_open()
            try:
                if not self._has_place:
                    self._disk.take_file(self._holder)
                    self._has_place = True
                self._disk.size.take(self._holder, len(data))
            except AllowanceExceeded:
                self._remove()
                raise
            self.size += len(data)
            try:
                if self._file is None:
                    self._file = TemporaryFile(dir=self._disk.folder)  # noqa: SIM115 - `close` closes it
                self._file.write(data)
                self._file.flush()
            except OSError as error:
                raise StorageError(f"Waiting data can't be written: {error.strerror}") from error

    def read(self, start: int, size: int) -> bytes:
        """Leaves the place at which `append` writes. Raises StorageError if the disk fails."""
        with self._lock:
            self._require_open()
            if self._file is None:
                return b""
            try:
                return os.pread(self._file.fileno(), size, start)
            except OSError as error:
                raise StorageError(f"Waiting data can't be read: {error.strerror}") from error

    def close(self) -> None:
        """Removes the data. Further calls do nothing."""
        with self._lock:
            self._remove()

    def _remove(self) -> None:
        self._is_closed = True
        if self._file is not None:
            with suppress(OSError):  # the buffer of a full disk
                self._file.close()
            self._file = None
        if self.size:
            self._disk.size.give_back(self._holder, self.size)
            self.size = 0
        if self._has_place:
            self._disk.files.give_back(self._holder)
            self._has_place = False

    def _require_open(self) -> None:
        # The request has been cancelled, and its thread still works.
        if self._is_closed:
            raise StorageError("Waiting data has been removed")
