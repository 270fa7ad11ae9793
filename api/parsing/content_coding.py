"""Decoders of request bodies: identity, gzip (RFC 1952) and zstd (RFC 8878), with bounded output."""

import zlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Protocol

from api.bounds.settings import setting_variable
from api.http.problems import Problem
from domain.store.records.compression import WINDOW_LOG_MAX, ZstdDecompressor, ZstdError

PIECE_BYTES = 1024 * 1024
ZSTD_WINDOW_LOG = 23
"""8 MiB: the largest window that RFC 9659 allows for the content coding zstd."""
CODINGS = ("gzip", "zstd")
MAX_PARTS = 10_000


def decoded_body_too_large(max_bytes: int) -> Problem:
    detail = f"The body is larger than {max_bytes} bytes ({setting_variable('max_body_bytes')})."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content-too-large", detail, headers={"Connection": "close"})


# Content codings


class Decoder(Protocol):
    """Decodes a body that arrives in pieces. Both methods raise Problem 400 if the body is not in this coding."""

    def decode(self, sent: bytes) -> Iterator[bytes]: ...

    def end(self) -> None: ...


class _Identity:
    def decode(self, sent: bytes) -> Iterator[bytes]:
        yield sent

    def end(self) -> None:
        pass


class _PartCounter:
    """Limits the number of gzip members or zstd frames of a body, because each one costs time."""

    def __init__(self) -> None:
        self._left = MAX_PARTS

    def count(self, coding: str) -> None:
        self._left -= 1
        if self._left < 0:
            raise _not_decodable(coding)


class _Gzip:
    """A sequence of gzip members, as RFC 1952 allows."""

    def __init__(self) -> None:
        self._member = self._new()
        self._parts = _PartCounter()

    def decode(self, sent: bytes) -> Iterator[bytes]:
        while sent:
            if self._member.eof:
                self._member = self._new()
                self._parts.count("gzip")
            try:
                piece = self._member.decompress(sent, PIECE_BYTES)
            except zlib.error:
                raise _not_decodable("gzip") from None
            yield piece
            sent = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

    def end(self) -> None:
        if not self._member.eof:
            raise _not_decodable("gzip")

    def _new(self) -> "zlib._Decompress":
        return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)


class _Zstd:
    """A sequence of zstd frames, as RFC 8878 allows."""

    def __init__(self) -> None:
        self._frame = self._new()
        self._parts = _PartCounter()

    def decode(self, sent: bytes) -> Iterator[bytes]:
        while sent or not (self._frame.eof or self._frame.needs_input):
            if self._frame.eof:
                self._frame = self._new()
                self._parts.count("zstd")
            try:
                piece = self._frame.decompress(sent, PIECE_BYTES)
            except ZstdError:
                raise _not_decodable("zstd") from None
            yield piece
            sent = self._frame.unused_data if self._frame.eof else b""

    def end(self) -> None:
        if not self._frame.eof:
            raise _not_decodable("zstd")

    def _new(self) -> ZstdDecompressor:
        return ZstdDecompressor(options={WINDOW_LOG_MAX: ZSTD_WINDOW_LOG})


def decoder_for(coding: str) -> Decoder:
    match coding:
        case "gzip":
            return _Gzip()
        case "zstd":
            return _Zstd()
        case _:
            return _Identity()


def _not_decodable(coding: str) -> Problem:
    return Problem(
        HTTPStatus.BAD_REQUEST,
        "not-decodable",
        f"The body is not valid {coding} data, although its Content-Encoding says so.",
    )
