"""The names of an offer that the text search reads."""

import msgspec
from msgspec import Struct

from domain.ledgers.ledger import Entry


def names_of(entry: Entry, content: msgspec.Raw) -> str:
    """Returns the searched names of an entry with a content. Several projections need them."""
    if entry.names is None:
        entry.names = searched_names(content)
    return entry.names


def searched_names(content: msgspec.Raw) -> str:
    """Returns the names in an offer's content, one per line, case-folded."""
    try:
        usual = _decode_usual(content)
    except msgspec.ValidationError:
        return _unusual_names(content)
    return "\n".join([name for name in (usual.name, usual.headline, usual.offer_name) if name is not None]).casefold()


def _unusual_names(content: msgspec.Raw) -> str:
    members = _decode_names(content)
    names = (members.name, members.headline, members.offer_name)
    # Other values than strings may be large, so they are not decoded.
    texts = (msgspec.json.decode(name, type=str) for name in names if bytes(memoryview(name)[:1]) == b'"')
    return "\n".join(texts).casefold()


class _UsualNames(Struct, rename="camel", gc=False):
    name: str | None = None
    headline: str | None = None
    offer_name: str | None = None


_ABSENT = msgspec.Raw(b"null")


class _Names(Struct, rename="camel", gc=False):
    name: msgspec.Raw = _ABSENT
    headline: msgspec.Raw = _ABSENT
    offer_name: msgspec.Raw = _ABSENT


_decode_usual = msgspec.json.Decoder(_UsualNames).decode
_decode_names = msgspec.json.Decoder(_Names).decode
