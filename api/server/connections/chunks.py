"""The framing of a chunked body: where the message may end, and how much of what arrives is neither body nor framing."""

import re

_END = b"\r\n\r\n"
_SIZE = re.compile(rb"0*([0-9A-Fa-f]{0,16})")
FRAMING_BYTES = 20
"""The framing of a chunk: up to 16 digits of its size, and two line ends. Further bytes count as an extension."""


class ChunkFraming:
    """Belongs to one body. A chunked body always ends with an empty line, so the parser gets it in pieces that end with
    one. Thus it never gets a byte of the next request.

    An empty line within the data of a chunk ends no piece. Otherwise data of empty lines would cost a piece for each."""

    __slots__ = ("_body", "_chunks", "_data_left", "_extra", "_has_moved", "_is_last", "_line", "_parts")

    def __init__(self) -> None:
        self._line = b""
        """The end of what has arrived, as far as it may belong to a chunk's line or to the end of the message."""
        self._data_left = 0
        """The bytes of the present chunk that are still to come, with the line end after them."""
        self._is_last = False
        """The size of the last chunk has arrived, or a line that is no size: the parser rejects that."""
        self._parts: list[bytes] = []
        self._body = self._chunks = self._extra = 0
        self._has_moved = False

    def end_of_piece(self, data: bytes, start: int) -> int:
        """Returns the place after the message's last empty line, or the end of the data."""
        while start < len(data) and not self._is_last:
            if self._data_left:
                skipped = min(self._data_left, len(data) - start)
                self._data_left -= skipped
                start += skipped
            else:
                start = self._read_size(data, start)
        return self._end_of_trailers(data, start) if self._is_last else len(data)

    def _read_size(self, data: bytes, start: int) -> int:
        """Reads the line with a chunk's size. Returns the place after it, or the end of the data."""
        end = data.find(b"\n", start) + 1 or len(data)
        line = self._line + data[start:end]
        if not line.endswith(b"\n"):
            # Only the size counts. An extension can be long, and so can the zeros before a size.
            self._line = line.lstrip(b"0")[:FRAMING_BYTES]
            return end
        size = _SIZE.match(line)
        length = int(size[1] or b"0", 16) if size else 0
        self._is_last, self._line = not length, b"" if length else b"\r\n"
        self._data_left = length + len(b"\r\n") if length else 0
        return end

    def _end_of_trailers(self, data: bytes, start: int) -> int:
        """Returns the place after the next empty line, or the end of the data. The empty line may have begun before."""
        found = (self._line + data[start : start + len(_END) - 1]).find(_END)
        if found >= 0:
            return start + found + len(_END) - len(self._line)
        self._line = (self._line + data[start:])[1 - len(_END) :]
        found = data.find(_END, start)
        return len(data) if found < 0 else found + len(_END)

    def add_body(self, data: bytes) -> None:
        self._parts.append(data)
        self._body += len(data)
        self._has_moved = True

    def take_body(self) -> bytes:
        """Returns what has been added since the last call. Adding each small part to a large body takes long."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data

    def add_chunk(self) -> None:
        self._chunks += 1
        self._has_moved = True

    def extra_after(self, piece: bytes) -> int:
        """Returns the bytes so far that are neither data nor framing, with a piece that the parser has just read."""
        return max(0, self._extra + len(piece) - self._body - FRAMING_BYTES * self._chunks)

    def count(self, piece: bytes) -> None:
        """Counts a piece that the parser has read."""
        self._extra = self.extra_after(piece)
        self._body = self._chunks = 0

    def has_moved(self) -> bool:
        """Returns True if data or the size of a chunk has been complete since the last call."""
        moved, self._has_moved = self._has_moved, False
        return moved
