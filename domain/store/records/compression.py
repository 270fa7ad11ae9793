"""Compresses large records with Zstandard."""

import sys
from collections.abc import Iterator

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_FASTEST = 1

ZstdDecompressor = zstd.ZstdDecompressor
ZstdError = zstd.ZstdError
WINDOW_LOG_MAX = zstd.DecompressionParameter.window_log_max


def compress(plain: bytes) -> bytes:
    return zstd.compress(plain, _FASTEST)


def decompress(compressed: bytes) -> bytes:
    return zstd.decompress(compressed)


def decompress_pieces(compressed: bytes, max_bytes: int) -> Iterator[bytes]:
    """Yields the plain bytes in pieces of up to `max_bytes`; none is empty."""
    decompressor = ZstdDecompressor()
    piece = decompressor.decompress(compressed, max_bytes)
    while piece or not decompressor.eof:
        if piece:
            yield piece
        piece = b"" if decompressor.eof else decompressor.decompress(b"", max_bytes)
