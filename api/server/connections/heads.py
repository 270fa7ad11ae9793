"""The head of a request: where it ends, what it asks for, and what the parser reads of it."""

import re
from typing import Any
from urllib.parse import unquote

from msgspec import Struct

END_OF_HEAD = re.compile(rb"\n\r?\n")
"""The parser rejects a head whose lines end with a bare LF. So the search must find the end of such a head, too."""
FIRST_BYTES = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP/(1\.[01])\r\n")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_PARSED_LINE = b"POST / HTTP/1.1\r\n"
_HOST, _UPGRADE, _LENGTH, _CODING = b"host", b"upgrade", b"content-length", b"transfer-encoding"

Fields = list[tuple[bytes, bytes]]


class InvalidHttp(Exception):
    """The request is not valid HTTP."""


class RequestHead(Struct, frozen=True):
    """The request line, and the lines that the parser reads.

    The parser gets the same request line for every request: it knows few methods and few forms of targets, and the
    service answers unknown ones itself. The header fields define how the body is framed, so the parser reads them.

    `left_out`: fields that the parser does not read, but the application does. The service accepts no upgrade, and the
    parser would take what follows one as another protocol. With `Transfer-Encoding`, the parser would reject
    `Content-Length`; the application answers that with its own problem."""

    method: str
    target: bytes
    version: str
    parsed: bytes
    left_out: Fields

    def describe(self, scope: Any, root_path: str) -> None:
        """Writes method, version and target into the ASGI scope."""
        path, _, query = self.target.partition(b"?")
        text = path.decode("ascii")
        scope["method"], scope["http_version"] = self.method, self.version
        scope["path"] = root_path + (unquote(text) if "%" in text else text)
        scope["raw_path"], scope["query_string"] = root_path.encode() + path, query


def read_head(head: bytes) -> RequestHead:
    """Takes the whole head, with the empty line at its end. Raises InvalidHttp."""
    line = _REQUEST_LINE.match(head)
    if line is None:
        raise InvalidHttp
    fields = head[line.end() :]
    left_out: Fields = []
    names = b"\r\n" + fields.lower()
    if b"\r\nupgrade" in names or b"\r\ntransfer-encoding" in names:
        fields, left_out = _leave_out(fields)
    return RequestHead(line[1].decode(), line[2], line[3].decode(), _PARSED_LINE + fields, left_out)


def body_length(fields: Fields, version: str) -> int | None:
    """Returns the length of the body, and None for a chunked body.

    Checks what the parser does not check: raises InvalidHttp."""
    hosts, length, codings = 0, b"0", []
    for name, value in fields:
        if name == _HOST:
            hosts += 1
        elif name == _LENGTH:
            length = value
        elif name == _CODING:
            codings.append(value.lower())
    if hosts > 1 or (version == "1.1" and not hosts) or codings not in ([], [b"chunked"]):
        raise InvalidHttp
    return None if codings else int(length)


def _leave_out(fields: bytes) -> tuple[bytes, Fields]:
    lines = [line.partition(b":") for line in fields.split(b"\r\n")]
    names = [name.lower() for name, _, _ in lines]
    unread = {_UPGRADE, _LENGTH} if _CODING in names else {_UPGRADE}
    kept = [line for name, line in zip(names, lines, strict=True) if name not in unread]
    left_out = [(name, line[2].strip(b" \t")) for name, line in zip(names, lines, strict=True) if name in unread]
    if any(not line[1] or _CONTROL.search(line[2]) for name, line in zip(names, lines, strict=True) if name in unread):
        raise InvalidHttp
    return b"\r\n".join(map(b"".join, kept)), left_out
