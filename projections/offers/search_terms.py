"""The names of an offer that the text search reads."""

from typing import Any

import msgspec
from msgspec import Struct


def searched_names(content: msgspec.Raw) -> str:
    """Returns the names in an offer's content, one per line, case-folded."""
    members = _decode_names(content)
    names = (members.name, members.headline, members.offer_name)
    return "\n".join(name for name in names if isinstance(name, str)).casefold()


class _Names(Struct, rename="camel", gc=False):
    name: Any = None
    headline: Any = None
    offer_name: Any = None


_decode_names = msgspec.json.Decoder(_Names).decode
