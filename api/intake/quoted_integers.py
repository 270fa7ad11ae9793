"""Integers that a partner has put in quotes, as the batch document's own samples do. Only the custom channel accepts them."""

import re
from typing import Any

from api.parsing.strict_json import MAX_NUMBER
from api.validation.field_errors import InvalidField, Place
from api.validation.known_members import KnownMembers

QUOTED = "a quoted integer, kept as sent; an integer is expected"


def unquote_integers(value: Any, known: KnownMembers, place: Place, remarks: list[InvalidField]) -> Any:
    """Returns a value with plain integers in place of the quoted ones in its integer members.

    Adds a remark for each of them."""
    if isinstance(value, list):
        return [unquote_integers(element, known, (*place, index), remarks) for index, element in enumerate(value)]
    if not isinstance(value, dict):
        return value
    unquoted = dict(value)
    for name, member in value.items():
        if name in known.parts:
            unquoted[name] = unquote_integers(member, known.parts[name], (*place, name), remarks)
        elif name in known.integers and isinstance(member, str) and (number := _integer_in(member)) is not None:
            unquoted[name] = number
            remarks.append(InvalidField((*place, name), QUOTED))
    return unquoted


def _integer_in(text: str) -> int | None:
    """Returns the integer that a text spells as in JSON, if it is within ±(2^53-1)."""
    number = int(text) if _INTEGER.fullmatch(text) else None
    return number if number is not None and abs(number) <= MAX_NUMBER else None


_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,15})")
