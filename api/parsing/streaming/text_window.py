"""A text that is read piece by piece, so that memory never holds all of it."""

import codecs
import re
from collections.abc import Iterable, Iterator

from api.parsing.strict_json import NotJson

_PIECE_BYTES = 256 * 1024


class TextWindow:
    """The part of a UTF-8 text that is being read. `at` is the index in `text` of the character that is read next."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self.text, self.at = "", 0
        self.is_complete = False
        """The window contains the end of the text."""
        self._pieces = _pieces(blocks)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._decoded_bytes = 0
        self._lines = self._column = 0
        """Line ends before the window, and characters between the last of them and the window."""

    @property
    def character(self) -> str:
        """The character that is read next; empty at the end of the window."""
        return self.text[self.at : self.at + 1]

    def grow(self, size: int) -> None:
        """Drops what precedes `at`. Reads on until the window has at least `size` characters, if the text has so many.

        Raises NotJson if the text is not UTF-8."""
        self._drop()
        parts, length = [self.text], len(self.text)
        while length < size and not self.is_complete:
            parts.append(self._next())
            length += len(parts[-1])
        self.text = "".join(parts)

    def skip_space(self) -> None:
        """Moves `at` to the next character that is not white space, or to the end of the text."""
        while True:
            self.at = _space(self.text, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self.text) or self.is_complete:
                return
            self.grow(1)

    def error(self, message: str, at: int) -> NotJson:
        """Returns an error that names the place of an index in the window."""
        line_ends = self.text.count("\n", 0, at)
        column = at - self.text.rfind("\n", 0, at) if line_ends else self._column + at + 1
        return NotJson(f"{message.removesuffix(' at')} at line {self._lines + line_ends + 1}, column {column}")

    def _drop(self) -> None:
        line_ends = self.text.count("\n", 0, self.at)
        self._lines += line_ends
        self._column = self.at - self.text.rfind("\n", 0, self.at) - 1 if line_ends else self._column + self.at
        self.text, self.at = self.text[self.at :], 0

    def _next(self) -> str:
        piece = next(self._pieces, b"")
        self.is_complete = not piece
        waiting = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            raise NotJson(f"Not UTF-8 at byte {self._decoded_bytes - waiting + error.start}") from None
        self._decoded_bytes += len(piece)
        return text


_space = re.compile(r"[ \t\n\r]*").match


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        for at in range(0, len(block), _PIECE_BYTES):
            yield block[at : at + _PIECE_BYTES]
