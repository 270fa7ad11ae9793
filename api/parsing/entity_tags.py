"""Entity tags, and the lists of them in `If-Match` and `If-None-Match` (RFC 9110, sections 8.8.3 and 13.1)."""

import re
from collections.abc import Iterable

from msgspec import Struct

IF_MATCH, IF_NONE_MATCH = "If-Match", "If-None-Match"


class EntityTags(Struct, frozen=True):
    """The tags of a header: the text between the quotes of each. `is_any` is True for `*`."""

    strong: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    is_any: bool = False


def parse_entity_tags(lines: Iterable[str]) -> EntityTags | None:
    """Returns the tags in the lines of one header; None if they are not `*` or a list of tags.

    As in every list of RFC 9110, section 5.6.1, elements may be empty."""
    text = ",".join(lines).strip(" \t,")
    if text == "*":
        return EntityTags(is_any=True)
    if not _is_list(text):
        return None
    tags = _tags(text)
    return EntityTags(
        tuple(opaque for weak, opaque in tags if not weak), tuple(opaque for weak, opaque in tags if weak)
    )


def is_not_modified(lines: Iterable[str], etag: str) -> bool:
    """Returns whether `If-None-Match` has the tag, which must be a quoted strong one. Ignores an invalid header.

    The comparison is weak: a cache or a proxy may have made the tag weak."""
    sent = parse_entity_tags(lines)
    return sent is not None and (sent.is_any or etag[1:-1] in {*sent.strong, *sent.weak})


_TAG = r'(W/)?"([!#-~\x80-\xff]*)"'
_tags = re.compile(_TAG).findall
ENTITY_TAGS_PATTERN = rf"^[ \t,]*(\*|{_TAG}([ \t]*,[ \t,]*{_TAG})*)[ \t,]*$"
"""The form of a header with entity tags, for OpenAPI."""
# No two parts can match the same character, so the time is linear in the length of the text.
_is_list = re.compile(rf"{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*").fullmatch
