"""Data that waits on disk, within an allowance."""

import os
import stat
from pathlib import Path

import pytest

from api.bounds.allowances import Allowance, AllowanceExceeded
from api.bounds.waiting_file import WaitingFile
from domain.ledgers.ledger import StorageError


@pytest.fixture
def disk() -> Allowance:
    return Allowance(per_holder=10, total=15)


def test_data_is_read_as_it_was_appended(disk: Allowance, tmp_path: Path) -> None:
    file = WaitingFile(disk, "tidepool", tmp_path)
    file.append(b"one")
    file.append(b"other")
    assert (file.read(0, 3), file.read(3, 5), file.size) == (b"one", b"other", 8)
    file.close()


def test_file_has_no_name_and_belongs_to_its_owner(disk: Allowance, tmp_path: Path) -> None:
    file = WaitingFile(disk, "tidepool", tmp_path)
    file.append(b"one")
    assert list(tmp_path.iterdir()) == []
    assert file._file is not None
    assert stat.S_IMODE(os.fstat(file._file.fileno()).st_mode) == 0o600
    file.close()


def test_data_beyond_the_allowance_is_removed(disk: Allowance, tmp_path: Path) -> None:
    file = WaitingFile(disk, "tidepool", tmp_path)
    file.append(b"one")
    with pytest.raises(AllowanceExceeded):
        file.append(b"too large")
    assert disk.held == 0
    with pytest.raises(StorageError):
        file.append(b"1")


def test_closed_file_gives_its_bytes_back_once(disk: Allowance, tmp_path: Path) -> None:
    file = WaitingFile(disk, "tidepool", tmp_path)
    file.append(b"one")
    file.close()
    file.close()
    assert (disk.held, file.size) == (0, 0)


def test_disk_that_fails_is_a_storage_error(disk: Allowance, tmp_path: Path) -> None:
    file = WaitingFile(disk, "tidepool", tmp_path / "missing")
    with pytest.raises(StorageError):
        file.append(b"one")
    file.close()
    assert disk.held == 0
