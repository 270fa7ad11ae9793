"""Finds how deeply a JSON text is nested, and blanks what is nested too deeply.

The parsers are recursive, so each version of Python gives up at another depth. Counting the brackets gives the same
reply to the same body everywhere."""

import re
from itertools import pairwise

MAX_NESTING = 64

_OPENING, _CLOSING = 1, 2
_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*"|([\[{])|([\]}])', re.DOTALL)
"""A whole string matches without a group, so that brackets inside strings do not count."""


def may_be_too_deep(text: str, start: int, end: int) -> bool:
    """Returns False if the part has too few brackets to exceed MAX_NESTING. This is quick, and nearly always enough."""
    return text.count("[", start, end) + text.count("{", start, end) > MAX_NESTING


def shallow_value(text: str, start: int, limit: int) -> tuple[str, int] | None:
    """Returns the object or array at an index, blanked like `blank_too_deep`, and where it ends.

    That is the end of the text if its closing bracket is missing. None means that it continues beyond `limit`."""
    too_deep, end = _find_too_deep(text, start, limit)
    if end is None and limit < len(text):
        return None
    end = len(text) if end is None else end
    return _blanked(text[start:end], [(one - start, other - start) for one, other in too_deep]), end


def blank_too_deep(text: str, start: int = 0) -> str:
    """Replaces the contents of the containers just below MAX_NESTING levels by spaces, in the value at an index.

    Line ends stay, so that every index, line and column stays true."""
    if not may_be_too_deep(text, start, len(text)):
        return text
    too_deep, _ = _find_too_deep(text, start, len(text))
    return _blanked(text, too_deep)


def _blanked(text: str, too_deep: list[tuple[int, int]]) -> str:
    edges = [0, *(edge for part in too_deep for edge in part), len(text)]
    pieces = [text[one:other] for one, other in pairwise(edges)]
    pieces[1::2] = map(_spaces, pieces[1::2])
    return "".join(pieces)


def _spaces(text: str) -> str:
    """Replaces all characters but line ends. A regular expression would hold the interpreter for 0.2 s a MiB."""
    return "\n".join(" " * len(line) for line in text.split("\n"))


def _find_too_deep(text: str, start: int, end: int) -> tuple[list[tuple[int, int]], int | None]:
    """Scans the value that starts at an index.

    Returns the contents of the containers just below MAX_NESTING levels, as pairs of indexes, and where the value ends.
    None means that its closing bracket is missing, or that it lies at `end` or after it."""
    too_deep: list[tuple[int, int]] = []
    depth = opened = 0
    for bracket in _BRACKET.finditer(text, start, end):
        if bracket.lastindex == _OPENING:
            depth += 1
            if depth == MAX_NESTING + 1:
                opened = bracket.end()
        elif bracket.lastindex == _CLOSING:
            if depth == MAX_NESTING + 1:
                too_deep.append((opened, bracket.start()))
            depth -= 1
            if depth <= 0:
                return too_deep, bracket.end()
    if depth > MAX_NESTING:
        too_deep.append((opened, min(end, len(text))))
    return too_deep, None
