"""Reads the file from a multipart body (RFC 7578), which must have exactly one part: a file."""

from http import HTTPStatus

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.http.problems import Problem

MAX_BYTES_AROUND_FILE = 64 * 1024
"""Limit for all bytes of the body outside the file: boundaries, part headers, preamble and epilogue."""


class FilePart:
    """Parses a multipart body that arrives in chunks, and returns the bytes of its file."""

    def __init__(self, content_type: str) -> None:
        """Raises Problem if the content type has no boundary, or one that is too long."""
        self._name: str | None = None
        self._parts = 0
        self._ended = False
        self._header = (bytearray(), bytearray())
        self._data = bytearray()
        self._around = 0
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise _not_multipart("its Content-Type has no boundary")
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
                    "on_end": self._end,
                },
            )
        except FormParserError:
            raise _not_multipart("its boundary is too long") from None

    def feed(self, chunk: bytes) -> bytes:
        """Returns the bytes of the file that this chunk contains. Raises Problem."""
        data = bytearray()
        # The parser reads everything outside the file byte by byte, so the amount is limited.
        for start in range(0, len(chunk), MAX_BYTES_AROUND_FILE):
            piece = chunk[start : start + MAX_BYTES_AROUND_FILE]
            try:
                self._parser.write(piece)
            except FormParserError:
                raise _not_multipart("its syntax does not conform to RFC 7578") from None
            self._around += len(piece) - len(self._data)
            if self._around > MAX_BYTES_AROUND_FILE:
                detail = f"The body has more than {MAX_BYTES_AROUND_FILE} bytes outside the file."
                raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content-too-large", detail)
            data += self._data
            self._data.clear()
        return bytes(data)

    def end(self) -> str:
        """Ends the body, and returns the file name. Raises Problem if the body is incomplete."""
        if not self._ended:
            raise _not_multipart("it is incomplete")
        if self._parts != 1 or self._name is None:
            raise _not_multipart("it must have exactly one part: a file with a filename")
        return self._name

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise _not_multipart("it must have exactly one part: a file with a filename")

    def _end_header(self) -> None:
        name, value = (bytes(part) for part in self._header)
        for part in self._header:
            part.clear()
        if name.lower() == b"content-disposition":
            filename = parse_options_header(value)[1].get(b"filename")
            try:
                self._name = None if filename is None else filename.decode()
            except UnicodeDecodeError:
                raise _not_multipart("its filename is not UTF-8") from None

    def _end(self) -> None:
        self._ended = True


def _not_multipart(reason: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "not-multipart", f"The body is not a valid multipart form: {reason}.")
