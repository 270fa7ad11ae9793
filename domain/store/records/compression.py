"""Compresses large records with Zstandard."""

import sys

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
