"""The names of an offer that the text search reads."""

import msgspec
from msgspec import Struct


def searched_names(content: msgspec.Raw) -> str:
    """Returns the names in an offer's content, one per line, case-folded."""
    members = _decode_names(content)
    names = (members.name, members.headline, members.offer_name)
    # Other values than strings may be large, so they are not decoded.
    texts = (msgspec.json.decode(name, type=str) for name in names if bytes(memoryview(name)[:1]) == b'"')
    return "\n".join(texts).casefold()


_ABSENT = msgspec.Raw(b"null")


class _Names(Struct, rename="camel", gc=False):
    name: msgspec.Raw = _ABSENT
    headline: msgspec.Raw = _ABSENT
    offer_name: msgspec.Raw = _ABSENT


_decode_names = msgspec.json.Decoder(_Names).decode
