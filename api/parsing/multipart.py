"""Which file does a multipart body hold? (RFC 7578; exactly one part, and that is a file.)"""

from http import HTTPStatus

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.http.problems import Problem

SPARE_BYTES = 64 * 1024
"""What may stand around the file at most."""


class FilePart:
    """Takes the body as it comes, and gives what belongs to the file."""

    def __init__(self, content_type: str) -> None:
        """Raises Problem if the content type names no boundary."""
        self._name: str | None = None
        self._parts = 0
        self._ended = False
        self._header = (bytearray(), bytearray())
        self._data = bytearray()
        self._around = 0
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise _not_in_order("its Content-Type names no boundary")
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
            raise _not_in_order("its boundary is too long") from None

    def feed(self, chunk: bytes) -> bytes:
        """What of the file has come by now, beyond what was given before. Raises Problem."""
        data = bytearray()
        # What is not the file is read byte by byte: there must not be much of it.
        for start in range(0, len(chunk), SPARE_BYTES):
            piece = chunk[start : start + SPARE_BYTES]
            try:
                self._parser.write(piece)
            except FormParserError:
                raise _not_in_order("it breaks the rules of RFC 7578") from None
            self._around += len(piece) - len(self._data)
            if self._around > SPARE_BYTES:
                detail = f"The body has more than {SPARE_BYTES} bytes beside its file."
                raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content-too-large", detail)
            data += self._data
            self._data.clear()
        return bytes(data)

    def end(self) -> str:
        """The file's name, when the body has ended. Raises Problem."""
        if not self._ended:
            raise _not_in_order("it ends too soon")
        if self._parts != 1 or self._name is None:
            raise _not_in_order("it must have exactly one part, a file with its filename")
        return self._name

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise _not_in_order("it must have exactly one part, a file with its filename")

    def _end_header(self) -> None:
        name, value = (bytes(part) for part in self._header)
        for part in self._header:
            part.clear()
        if name.lower() == b"content-disposition":
            told = parse_options_header(value)[1].get(b"filename")
            try:
                self._name = None if told is None else told.decode()
            except UnicodeDecodeError:
                raise _not_in_order("its filename is not UTF-8") from None

    def _end(self) -> None:
        self._ended = True


def _not_in_order(why: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "not-multipart", f"The body is not a multipart form in order: {why}.")
