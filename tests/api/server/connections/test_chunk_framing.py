"""The framing of a chunked body tells where the message ends, whatever its chunks contain."""

import pytest

from api.server.connections.chunks import ChunkFraming

NEXT = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
EMPTY_LINES = b"\r\n" * 8
MESSAGES = {
    "empty lines in a chunk": b"10\r\n" + EMPTY_LINES + b"\r\n0\r\n\r\n",
    "a message in a chunk": b"8\r\nx\r\n0\r\n\r\n\r\n0\r\n\r\n",
    "two chunks": b"A\r\n0123456789\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n",
    "zeros": b"0" * 40 + b"10\r\n" + EMPTY_LINES + b"\r\n" + b"0" * 40 + b"\r\n\r\n",
    "extensions": b"10;a=1;b=2\r\n" + EMPTY_LINES + b"\r\n0;c\r\n\r\n",
    "trailers": b"10\r\n" + EMPTY_LINES + b"\r\n0\r\nA: 0\r\nB:\r\n\r\n",
    "no chunk": b"0\r\n\r\n",
}


def pieces(message: bytes, step: int) -> list[bytes]:
    """Returns the pieces up to the end of the message, when `step` bytes arrive at a time."""
    framing, sent, found, start = ChunkFraming(), message + NEXT, list[bytes](), 0
    while start < len(message):
        end = framing.end_of_piece(sent[: start - start % step + step], start)
        found.append(sent[start:end])
        start = end
    return found


@pytest.mark.parametrize("name", MESSAGES)
def test_piece_ends_where_the_message_does(name: str) -> None:
    for step in range(1, 12):
        assert b"".join(pieces(MESSAGES[name], step)) == MESSAGES[name]


def test_empty_lines_in_chunks_end_no_piece() -> None:
    for name, message in MESSAGES.items():
        assert pieces(message, len(message)) == [message], name


def test_line_without_a_size_is_left_to_the_parser() -> None:
    assert ChunkFraming().end_of_piece(b"x\r\n\r\n\r\n" + NEXT, 0) == len(b"x\r\n\r\n")
