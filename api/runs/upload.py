"""Receives the body of a run's request in bounded memory, whatever its size before and after decompression."""

import hashlib
from uuid import UUID, uuid4

from api.parsing.content_coding import decoded_body_too_large, decoder_for
from api.runs.acceptance import UploadedBody
from domain.ledgers.run_ledger import RunLedger
from domain.store.records.compression import compress
from domain.store.records.run_bodies import CHUNK_BYTES

SMALL_UPLOAD_BYTES = 1024 * 1024
"""Bodies up to this size stay in memory until they are accepted, and are executed by a thread of the server."""


class Upload:
    """Decodes a body as it arrives, and stores it in chunks for a run that is not accepted yet."""

    def __init__(self, runs: RunLedger, coding: str, max_bytes: int) -> None:
        self.run_id: UUID = uuid4()
        self.size = 0
        self._encoded_size = 0
        self._runs = runs
        self._max_bytes = max_bytes
        self._decoder = decoder_for(coding)
        self._sha256 = hashlib.sha256()
        self._buffer = bytearray()
        self._stored_chunks = 0

    def write(self, encoded: bytes) -> None:
        """Raises Problem 413 for a body that is too large, and 400 for one that can't be decoded."""
        self._encoded_size += len(encoded)
        if self._encoded_size > self._max_bytes:
            raise decoded_body_too_large(self._max_bytes)
        for piece in self._decoder.decode(encoded):
            self.size += len(piece)
            if self.size > self._max_bytes:
                raise decoded_body_too_large(self._max_bytes)
            self._sha256.update(piece)
            self._buffer += piece
            while len(self._buffer) >= CHUNK_BYTES:
                self._store(CHUNK_BYTES)

    def end(self) -> None:
        """Raises Problem 400 if a compressed body is incomplete."""
        self._decoder.end()
        if self._buffer and not self.is_small:
            self._store(len(self._buffer))

    @property
    def is_small(self) -> bool:
        return self.size <= SMALL_UPLOAD_BYTES

    @property
    def uploaded_body(self) -> UploadedBody:
        """The complete body; valid after `end`."""
        packed = [compress(bytes(self._buffer))] if self._buffer else []
        return UploadedBody(self.run_id, self._sha256.hexdigest(), self.size, self._stored_chunks, packed)

    @property
    def is_stored(self) -> bool:
        """The ledger has chunks of this body."""
        return self._stored_chunks > 0

    def discard(self) -> None:
        """Deletes the stored chunks, unless they belong to an accepted run."""
        self._runs.drop_body(self.run_id)

    def _store(self, size: int) -> None:
        self._runs.store_body(self.run_id, self._stored_chunks, [compress(bytes(self._buffer[:size]))])
        self._stored_chunks += 1
        del self._buffer[:size]
