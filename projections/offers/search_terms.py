"""Which names does an offer have, for those who seek it?"""

from typing import Any

import msgspec
from msgspec import Struct


def searched_names(content: msgspec.Raw) -> str:
    """Its names, one a line, in the form in which they are compared."""
    found = _names(content)
    names = (found.name, found.headline, found.offer_name)
    return "\n".join(name for name in names if isinstance(name, str)).casefold()


class _Names(Struct, rename="camel", gc=False):
    name: Any = None
    headline: Any = None
    offer_name: Any = None


_names = msgspec.json.Decoder(_Names).decode
