"""The framing of a chunked body: where the message may end, and how much of what arrives is neither body nor framing."""

_END = b"\r\n\r\n"
FRAMING_BYTES = 20
"""What a chunk may have around its data: up to 16 digits, and two line ends. More counts as an extension."""


class ChunkFraming:
    """Belongs to one body. A chunked body always ends with an empty line, so the parser gets it in pieces that end with
    one. Thus it never gets a byte of the next request."""

    __slots__ = ("_body", "_chunks", "_extra", "_has_moved", "_tail")

    def __init__(self) -> None:
        self._tail = b""
        self._body = self._chunks = self._extra = 0
        self._has_moved = False

    def end_of_piece(self, data: bytes, start: int) -> int:
        """Returns the place after the next empty line, or the end of the data. The empty line may have begun before."""
        if self._tail:
            found = (self._tail + data[start : start + 3]).find(_END)
            if found >= 0:
                return start + found + len(_END) - len(self._tail)
        found = data.find(_END, start)
        return len(data) if found < 0 else found + len(_END)

    def add_body(self, size: int) -> None:
        self._body += size
        self._has_moved = True

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
        self._tail = (self._tail + piece[-3:])[-3:]

    def has_moved(self) -> bool:
        """Returns True if data or the size of a chunk has been complete since the last call."""
        moved, self._has_moved = self._has_moved, False
        return moved
