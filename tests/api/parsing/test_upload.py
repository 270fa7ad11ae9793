"""However a body comes, it is stored in chunks of one size, and as it was sent."""

import pytest

from api.runs import upload
from api.runs.upload import Upload
from api.service import Service

BLOCKS = [b"abc", b"", b"d" * 25, b"ef"]


@pytest.mark.parametrize("size", [1, 7, 30, 1_000])
def test_any_blocks_are_stored_in_chunks_of_one_size(
    service: Service, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "CHUNK_BYTES", size)
    monkeypatch.setattr(upload, "SMALL_UPLOAD_BYTES", 0)
    arriving = Upload(service.runs, "identity", 1_000)
    for block in BLOCKS:
        arriving.write(block)
    arriving.end()
    chunks = list(service.runs.body(arriving.run_id))
    assert b"".join(chunks) == b"".join(BLOCKS)
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert 0 < len(chunks[-1]) <= size
    assert arriving.arrival.stored_chunks == len(chunks)
