"""Lines of text for people, and sentences for errors."""

import sys
from typing import NoReturn


def exit_with_error(*sentences: str, exit_code: int = 1) -> NoReturn:
    for sentence in sentences:
        print(as_text(sentence), file=sys.stderr)
    sys.exit(exit_code)


def print_line(line: str) -> None:
    print(as_text(line))


def print_notice(line: str) -> None:
    """Prints a line to standard error: standard output has only the result."""
    print(as_text(line), file=sys.stderr, flush=True)


def as_text(text: str) -> str:
    """Escapes characters that are not printable, so that foreign text cannot control the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
