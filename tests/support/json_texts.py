"""Strategies for JSON texts: usual and unusual spellings, and invalid ones."""

import json
from typing import Any

from hypothesis import strategies as st

SPACE = st.sampled_from(["", "", "", " ", "\n  ", "\t", " \r\n"])
ODD_STRINGS = [
    r'"\ud800"',
    r'"\udc00x"',
    r'"\udc00\ud800"',
    r'"\ud83d\ude00"',
    r'"\u0000"',
    r'"\\u0000"',
    r'"\":"',
    r'"\\\":1"',
    r'"a :b"',
    r'"},{\"externalId\":"',
    r'"[\"offers\":["',
    r'"]}"',
    r'"\/\b\f\n\r\t"',
    '"\x7f\u2028😀é"',
    '""',
]
ODD_NUMBERS = [
    "0",
    "-0",
    "-0.0",
    "0.0",
    "10.0",
    "1.50",
    "5e-324",
    "1e-400",
    "1e2",
    "1E+2",
    "1e16",
    "1e400",
    "-1e400",
    "9007199254740991",
    "9007199254740992",
    "-9007199254740992",
    "9007199254740991.0",
    "9007199254740993.0",
    "123456789012345678901234567890",
    "18446744073709551616",
    "0.1",
    "0.30000000000000004",
    "123456.789e-3",
]
ODD_NAMES = [
    '"a"',
    r'"\u0061"',
    '"b"',
    '"offers"',
    r'"\u006fffers"',
    '"externalId"',
    r'"\":"',
    '":"',
    '""',
    r'"\ud800"',
    r'"\u0000"',
    '"é😀"',
]
NOT_JSON = [
    "NaN",
    "Infinity",
    "-Infinity",
    "01",
    "1.",
    ".5",
    "+1",
    "1e",
    "-",
    "tru",
    "'a'",
    '"\x01"',
    r'"\x41"',
    r'"\u12"',
]

STRINGS = st.text(max_size=8).map(json.dumps) | st.sampled_from(ODD_STRINGS)
NUMBERS = (
    st.integers().map(str) | st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.sampled_from(ODD_NUMBERS)
)
NAMES = st.sampled_from(ODD_NAMES) | STRINGS
SCALARS = st.sampled_from(["null", "true", "false"]) | NUMBERS | STRINGS


def lists(elements: st.SearchStrategy[str], **bounds: Any) -> st.SearchStrategy[str]:
    return st.tuples(st.lists(elements, **bounds), SPACE).map(
        lambda drawn: f"[{drawn[1]}{f'{drawn[1]},{drawn[1]}'.join(drawn[0])}{drawn[1]}]"
    )


def member(name: str, space: str, value: str) -> str:
    return f"{name}{space}:{space}{value}"


def objects(
    values: st.SearchStrategy[str], names: st.SearchStrategy[str] = NAMES, **bounds: Any
) -> st.SearchStrategy[str]:
    """Generates objects, also with duplicate names."""
    return lists(st.builds(member, names, SPACE, values), **bounds).map(lambda text: f"{{{text[1:-1]}}}")


TEXTS: st.SearchStrategy[str] = st.recursive(
    SCALARS, lambda inner: lists(inner, max_size=4) | objects(inner, max_size=4), max_leaves=12
)
"""Texts that are valid JSON, including values that the ledger does not accept."""
