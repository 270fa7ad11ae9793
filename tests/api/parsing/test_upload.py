"""A body is stored as sent, in chunks of one size, for any sequence of blocks."""

import pytest

from api.bounds.allowances import Allowance
from api.bounds.waiting_file import WaitingDisk, WaitingFile
from api.runs import upload
from api.runs.upload import Upload
from api.service import Service

BLOCKS = [b"abc", b"", b"d" * 25, b"ef"]


@pytest.mark.parametrize("size", [1, 7, 30, 1_000])
def test_upload_stores_chunks_of_one_size(service: Service, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "CHUNK_BYTES", size)
    monkeypatch.setattr(upload, "SMALL_UPLOAD_BYTES", 0)
    file = WaitingFile(WaitingDisk(Allowance(1_000_000, 1_000_000), Allowance(1, 1), None), "tidepool")
    upload_of_blocks = Upload(service.runs, "identity", service.settings, file)
    for block in BLOCKS:
        upload_of_blocks.write(block)
    upload_of_blocks.end()
    upload_of_blocks.store()
    upload_of_blocks.close_file()
    chunks = list(service.runs.body(upload_of_blocks.run_id))
    assert b"".join(chunks) == b"".join(BLOCKS)
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert 0 < len(chunks[-1]) <= size
    assert upload_of_blocks.uploaded_body.stored_chunks == len(chunks)
