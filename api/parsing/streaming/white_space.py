"""The bound of the white space between two tokens of a body.

A few kilobytes of compressed white space become as many megabytes as a body may have, and mean nothing."""

from http import HTTPStatus

from api.bounds.settings import setting_variable
from api.http.problems import Problem

_WHITE_SPACE = b" \t\n\r"
_PIECE_BYTES = 64 * 1024


class WhiteSpaceBound:
    """Examines a JSON body that arrives in pieces, without parsing it. White space inside a string does not count."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        # White space beyond the bound then touches an edge of a piece. So only the edges of a piece are examined.
        self._piece_bytes = min(max_bytes, _PIECE_BYTES)
        self._pending = 0
        self._in_string = self._is_escaped = False

    def check(self, sent: bytes) -> None:
        """Raises Problem 400 if there is too much white space between two tokens."""
        for at in range(0, len(sent), self._piece_bytes):
            self._check_piece(sent[at : at + self._piece_bytes])

    def _check_piece(self, piece: bytes) -> None:
        if not self._in_string and piece[0] in _WHITE_SPACE:
            rest = piece.lstrip(_WHITE_SPACE)
            self._pending += len(piece) - len(rest)
            if self._pending > self._max_bytes:
                detail = (
                    f"The body has more than {self._max_bytes} bytes of white space between two tokens"
                    f" ({setting_variable('max_white_space_bytes')})."
                )
                raise Problem(HTTPStatus.BAD_REQUEST, "not-json", detail, headers={"Connection": "close"})
            piece = rest
        if piece:
            self._pass_strings(piece)
            is_between = not self._in_string and piece[-1] in _WHITE_SPACE
            self._pending = len(piece) - len(piece.rstrip(_WHITE_SPACE)) if is_between else 0

    def _pass_strings(self, piece: bytes) -> None:
        """Finds whether the piece ends inside a string."""
        if self._is_escaped:
            piece = piece[1:]
        self._is_escaped = (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 1 if piece.endswith(b"\\") else False
        if b"\\" in piece:
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        self._in_string ^= piece.count(b'"') % 2 == 1
