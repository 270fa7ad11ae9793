"""Data that waits on disk, within an allowance."""

import os
import stat
from pathlib import Path

import pytest

from api.bounds.allowances import Allowance, AllowanceExceeded
from api.bounds.waiting_file import TooManyFiles, WaitingDisk, WaitingFile
from domain.ledgers.ledger import StorageError


@pytest.fixture
def disk(tmp_path: Path) -> WaitingDisk:
    return WaitingDisk(Allowance(per_holder=10, total=15), Allowance(per_holder=1, total=2), tmp_path)


def test_data_is_read_as_it_was_appended(disk: WaitingDisk) -> None:
    file = WaitingFile(disk, "tidepool")
    file.append(b"one")
    assert file.read(0, 2) == b"on"
    file.append(b"other")
    assert (file.read(0, 3), file.read(3, 5), file.size) == (b"one", b"other", 8)
    file.close()


def test_file_has_no_name_and_belongs_to_its_owner(disk: WaitingDisk, tmp_path: Path) -> None:
    file = WaitingFile(disk, "tidepool")
    file.append(b"one")
    assert list(tmp_path.iterdir()) == []
    assert file._file is not None
    assert stat.S_IMODE(os.fstat(file._file.fileno()).st_mode) == 0o600
    file.close()


def test_data_beyond_the_allowance_is_removed(disk: WaitingDisk) -> None:
    file = WaitingFile(disk, "tidepool")
    file.append(b"one")
    with pytest.raises(AllowanceExceeded):
        file.append(b"too large")
    assert disk.size.held == 0
    with pytest.raises(StorageError):
        file.append(b"1")


def test_closed_file_gives_its_bytes_back_once(disk: WaitingDisk) -> None:
    file = WaitingFile(disk, "tidepool")
    file.append(b"one")
    file.close()
    file.close()
    assert (disk.size.held, file.size) == (0, 0)


def test_disk_that_fails_is_a_storage_error(disk: WaitingDisk) -> None:
    disk.folder = Path("/missing")
    file = WaitingFile(disk, "tidepool")
    with pytest.raises(StorageError):
        file.append(b"one")
    file.close()
    assert disk.size.held == 0


def test_files_are_bounded_because_each_takes_a_descriptor(disk: WaitingDisk) -> None:
    first, second = WaitingFile(disk, "tidepool"), WaitingFile(disk, "tidepool")
    first.append(b"one")
    with pytest.raises(TooManyFiles):
        second.append(b"other")
    first.close()
    assert disk.files.held == 0
