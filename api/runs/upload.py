"""How does the body of a run's request arrive? Bounded in memory however large it is, and before that however small it looks."""

import hashlib
import zlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Protocol
from uuid import UUID, uuid4

from api.http.problems import Problem
from api.runs.acceptance import Arrival
from domain.ledgers.run_ledger import RunLedger
from domain.store.records.compression import WINDOW_LOG_MAX, ZstdDecompressor, ZstdError, pack
from domain.store.records.run_bodies import CHUNK_BYTES

SMALL_BYTES = 1024 * 1024
"""What is not larger is kept in memory until it is accepted, and carried out by the server's own threads."""
PIECE_BYTES = 1024 * 1024
ZSTD_WINDOW_LOG = 23
"""8 MiB, what RFC 9659 allows for the content coding zstd."""
CODINGS = ("gzip", "zstd")
MAX_PARTS = 10_000


class Upload:
    """Takes a body as it comes, decoded, for a run that is not accepted yet."""

    def __init__(self, runs: RunLedger, coding: str, max_bytes: int) -> None:
        self.run_id: UUID = uuid4()
        self.size = 0
        self._sent = 0
        self._runs = runs
        self._max_bytes = max_bytes
        self._pieces = _decoder(coding)
        self._sha256 = hashlib.sha256()
        self._buffer = bytearray()
        self._stored_chunks = 0

    def write(self, sent: bytes) -> None:
        """Raises Problem 413 for a body that is too large, 400 for one that can't be decoded."""
        self._sent += len(sent)
        if self._sent > self._max_bytes:
            raise too_large(self._max_bytes)
        for piece in self._pieces.decode(sent):
            self.size += len(piece)
            if self.size > self._max_bytes:
                raise too_large(self._max_bytes)
            self._sha256.update(piece)
            self._buffer += piece
            while len(self._buffer) >= CHUNK_BYTES:
                self._store(CHUNK_BYTES)

    def end(self) -> None:
        """Raises Problem 400 for a coded body that ends too soon."""
        self._pieces.end()
        if self._buffer and not self.is_small:
            self._store(len(self._buffer))

    @property
    def is_small(self) -> bool:
        return self.size <= SMALL_BYTES

    @property
    def arrival(self) -> Arrival:
        """What has arrived, when it has ended."""
        packed = [pack(bytes(self._buffer))] if self._buffer else []
        return Arrival(self.run_id, self._sha256.hexdigest(), self.size, self._stored_chunks, packed)

    @property
    def is_stored(self) -> bool:
        """Whether something of it lies in the ledger."""
        return self._stored_chunks > 0

    def discard(self) -> None:
        """Removes what has been stored, unless it has become a run."""
        self._runs.drop_body(self.run_id)

    def _store(self, size: int) -> None:
        self._runs.store_body(self.run_id, self._stored_chunks, [pack(bytes(self._buffer[:size]))])
        self._stored_chunks += 1
        del self._buffer[:size]


def too_large(max_bytes: int) -> Problem:
    detail = f"The body is larger than {max_bytes} bytes."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content-too-large", detail, headers={"Connection": "close"})


# Content codings


class _Decoder(Protocol):
    def decode(self, sent: bytes) -> Iterator[bytes]: ...

    def end(self) -> None: ...


class _Identity:
    def decode(self, sent: bytes) -> Iterator[bytes]:
        yield sent

    def end(self) -> None:
        pass


class _Parts:
    """A coded body may come in parts, but each one costs: nobody needs as many as these."""

    def __init__(self) -> None:
        self._left = MAX_PARTS

    def count(self, coding: str) -> None:
        self._left -= 1
        if self._left < 0:
            raise _not_coded(coding)


class _Gzip:
    """Members one after the other, as RFC 1952 allows."""

    def __init__(self) -> None:
        self._member = self._new()
        self._parts = _Parts()

    def decode(self, sent: bytes) -> Iterator[bytes]:
        while sent:
            if self._member.eof:
                self._member = self._new()
                self._parts.count("gzip")
            try:
                piece = self._member.decompress(sent, PIECE_BYTES)
            except zlib.error:
                raise _not_coded("gzip") from None
            yield piece
            sent = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

    def end(self) -> None:
        if not self._member.eof:
            raise _not_coded("gzip")

    def _new(self) -> "zlib._Decompress":
        return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)


class _Zstd:
    """Frames one after the other, as RFC 8878 allows."""

    def __init__(self) -> None:
        self._frame = self._new()
        self._parts = _Parts()

    def decode(self, sent: bytes) -> Iterator[bytes]:
        while sent or not (self._frame.eof or self._frame.needs_input):
            if self._frame.eof:
                self._frame = self._new()
                self._parts.count("zstd")
            try:
                piece = self._frame.decompress(sent, PIECE_BYTES)
            except ZstdError:
                raise _not_coded("zstd") from None
            yield piece
            sent = self._frame.unused_data if self._frame.eof else b""

    def end(self) -> None:
        if not self._frame.eof:
            raise _not_coded("zstd")

    def _new(self) -> ZstdDecompressor:
        return ZstdDecompressor(options={WINDOW_LOG_MAX: ZSTD_WINDOW_LOG})


def _decoder(coding: str) -> _Decoder:
    match coding:
        case "gzip":
            return _Gzip()
        case "zstd":
            return _Zstd()
        case _:
            return _Identity()


def _not_coded(coding: str) -> Problem:
    return Problem(
        HTTPStatus.BAD_REQUEST, "not-decodable", f"The body is not what its Content-Encoding says: {coding}."
    )
