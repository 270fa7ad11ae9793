"""Receives the body of a run's request in bounded memory, whatever its size before and after decompression."""

import hashlib
from itertools import pairwise
from threading import Lock
from uuid import UUID, uuid4

from api.bounds.settings import BoundSettings
from api.bounds.waiting_file import WaitingFile
from api.dependencies.waiting_bodies import SMALL_UPLOAD_BYTES
from api.parsing.content_coding import decoded_body_too_large, decoder_for
from api.parsing.streaming.white_space import WhiteSpaceBound
from api.runs.acceptance import UploadedBody
from domain.ledgers.ledger import StorageError
from domain.ledgers.run_ledger import RunLedger
from domain.store.records.compression import compress
from domain.store.records.run_bodies import CHUNK_BYTES

BYTES_PER_TRANSACTION = 4 * 1024 * 1024
"""Other writers of a ledger on SQLite wait while so much is stored."""


class Upload:
    """Decodes a body as it arrives, and keeps it in compressed chunks.

    A body over SMALL_UPLOAD_BYTES waits in a file. When it is complete, `store` copies it to the ledger, so the ledger never
    has parts of a body that is still arriving."""

    def __init__(self, runs: RunLedger, coding: str, bounds: BoundSettings, file: WaitingFile) -> None:
        self.run_id: UUID = uuid4()
        self.size = self.encoded_size = 0
        self._runs = runs
        self._max_bytes = bounds.max_body_bytes
        self._white_space = WhiteSpaceBound(bounds.max_white_space_bytes)
        self._decoder = decoder_for(coding)
        self._sha256 = hashlib.sha256()
        self._buffer = bytearray()
        self._file = file
        self._offsets = [0]
        """The offset of each chunk in the file. The last number is the end of the last chunk."""
        self._stored_chunks = 0
        self._lock = Lock()
        self._is_discarded = False

    def write(self, encoded: bytes) -> None:
        """Raises Problem 413 for a body that is too large, and 400 for one that can't be decoded or has too much white space.

        Raises AllowanceExceeded and StorageError if the file can't take the body."""
        self.encoded_size += len(encoded)
        if self.encoded_size > self._max_bytes:
            raise decoded_body_too_large(self._max_bytes)
        for piece in self._decoder.decode(encoded):
            self.size += len(piece)
            if self.size > self._max_bytes:
                raise decoded_body_too_large(self._max_bytes)
            self._white_space.check(piece)
            self._sha256.update(piece)
            self._buffer += piece
            while len(self._buffer) > CHUNK_BYTES:
                self._move_to_file(CHUNK_BYTES)

    def end(self) -> None:
        """Raises Problem 400 if a compressed body is incomplete."""
        self._decoder.end()
        if self._buffer and not self.is_small:
            self._move_to_file(len(self._buffer))

    def write_last(self, encoded: bytes) -> None:
        """Raises what `write` and `end` raise."""
        self.write(encoded)
        self.end()

    def store(self) -> None:
        """Stores a body that waits in the file in the ledger; valid after `end`.

        Raises StorageError if the body is discarded meanwhile."""
        packed = list[bytes]()
        for chunk in range(self.waiting_chunks):
            packed += self.waiting(chunk, chunk + 1)
            if sum(map(len, packed)) >= BYTES_PER_TRANSACTION:
                self._store(packed)
                packed = []
        self._store(packed)

    def close_file(self) -> None:
        self._file.close()

    @property
    def waiting_chunks(self) -> int:
        """The number of chunks that the file has so far."""
        return len(self._offsets) - 1

    def waiting(self, first: int, end: int) -> list[bytes]:
        """Returns compressed chunks from the file, also while the body still arrives; without the chunk `end`.

        Raises StorageError if the body is discarded meanwhile."""
        offsets = self._offsets[first : end + 1]
        text = memoryview(self._file.read(offsets[0], offsets[-1] - offsets[0]))
        return [bytes(text[start - offsets[0] : end - offsets[0]]) for start, end in pairwise(offsets)]

    @property
    def is_small(self) -> bool:
        return self.size <= SMALL_UPLOAD_BYTES

    @property
    def uploaded_body(self) -> UploadedBody:
        """The complete body; valid after `end`, and after `store` if it is not small."""
        packed = [compress(bytes(self._buffer))] if self._buffer else []
        return UploadedBody(self.run_id, self._sha256.hexdigest(), self.size, self._stored_chunks, packed)

    @property
    def is_kept(self) -> bool:
        """The file or the ledger has chunks of this body."""
        return self._file.size > 0 or self._stored_chunks > 0

    def discard(self) -> None:
        """Removes the chunks from the file, and from the ledger unless they belong to an accepted run.

        Any thread may call it, also while another one stores the body."""
        with self._lock:
            self._is_discarded = True
            self._file.close()
            if self._stored_chunks:
                self._runs.drop_body(self.run_id)

    def _move_to_file(self, size: int) -> None:
        packed = compress(bytes(self._buffer[:size]))
        self._file.append(packed)
        self._offsets.append(self._offsets[-1] + len(packed))
        del self._buffer[:size]

    def _store(self, packed: list[bytes]) -> None:
        with self._lock:
            if self._is_discarded:
                raise StorageError("The body has been discarded")
            if packed:
                first, self._stored_chunks = self._stored_chunks, self._stored_chunks + len(packed)
                self._runs.store_body(self.run_id, first, packed)
