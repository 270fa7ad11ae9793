"""Changes of texts: parts of SQL, and the beginning of any other text."""

import re
from collections.abc import Iterator
from typing import NamedTuple

SQL = re.compile(
    r"\b(?:SELECT|FROM|WHERE|JOIN|AND|OR|NOT|EXISTS|ORDER BY|CASE|LIMIT|INDEX)\b|\bIS (?:NOT )?NULL\b"
    r"|\w\.\w+ [<>=]|<>|[<>]=? \(?\?"
)
"""Finds texts that are SQL."""
RULES = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"<=", "<"),
        (r">=", ">"),
        (r"(?<!<)>(?!=)", ">="),
        (r"<(?![=>])", "<="),
        (r"<>", "="),
        (r"(?<= )=(?= )", "<>"),
        (r"\bAND\b", "OR"),
        (r"\bOR\b", "AND"),
        (r"\bNOT (?=EXISTS|is_)", ""),
        (r"(?<!NOT )\bEXISTS\b", "NOT EXISTS"),
        (r"\bIS NOT NULL\b", "IS NULL"),
        (r"\bIS NULL\b", "IS NOT NULL"),
        (r"\bDESC\b", "ASC"),
        (r"\bORDER BY (?:[\w.]+, )*[\w.]+(?![\w.,]| DESC)", r"\g<0> DESC"),
        (r"\bORDER BY [\w.]+, ", "ORDER BY "),
        (r"\bmin\(", "max("),
        (r"\bmax\(", "min("),
        (r"\bDISTINCT ", ""),
        (r"\bTHEN 1 ELSE 0\b", "THEN 0 ELSE 1"),
        (r"\bLIMIT 1\b", "LIMIT 0"),
        (r"\bUNION ALL\b", "UNION"),
        (r"(?<=> )0\b", "1"),
        (r"(?<=- )1\b", "2"),
        (r"\bLEFT JOIN\b", "JOIN"),
    )
)
CONTEXT = 24
"""Characters on each side of a changed part that its description shows."""


class TextChange(NamedTuple):
    """A changed text. `line` counts the lines before the changed part."""

    kind: str
    text: str
    description: str
    line: int


def text_changes(text: str) -> Iterator[TextChange]:
    """Yields the changes of a text. Texts without letters or digits have none."""
    if SQL.search(text):
        yield from _sql_changes(text)
    elif re.search(r"\w", text):
        yield TextChange("text", f"XX{text}", f"{text!r} -> 'XX...'", 0)


def _sql_changes(text: str) -> Iterator[TextChange]:
    for pattern, new in RULES:
        for hit in pattern.finditer(text):
            before, after = text[: hit.start()], text[hit.end() :]
            changed = hit.expand(new)
            described = f"{before[-CONTEXT:]}[{hit[0]} -> {changed}]{after[:CONTEXT]}"
            yield TextChange("sql", before + changed + after, " ".join(described.split()), before.count("\n"))
