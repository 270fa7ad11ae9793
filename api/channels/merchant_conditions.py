"""Reads the preconditions of a PUT or DELETE: the headers `If-Match` and `If-None-Match`.

Only the version in a tag counts, the part before the first dot. The rest changes with activations too, and those must not
fail a partner's request.
"""

import re
from collections.abc import Iterable

from fastapi import Request

from api.http.problems import validation_error
from api.parsing.entity_tags import ENTITY_TAGS_PATTERN, IF_MATCH, IF_NONE_MATCH, EntityTags, parse_entity_tags
from api.validation.field_errors import InvalidField
from domain.single_requests.precondition import Precondition, Versions

NOT_ENTITY_TAGS = "must be * or a list of entity tags in quotes"

CONDITIONAL_HEADERS = [
    {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", "pattern": ENTITY_TAGS_PATTERN},
    }
    for name, description in {
        IF_MATCH: "Entity tags, or `*`: the request is refused if the offer has none of their versions.",
        IF_NONE_MATCH: "Entity tags, or `*`: the request is refused if the offer has one of their versions.",
    }.items()
]
"""The headers as parameters in OpenAPI."""

_HEADERS = {name.lower().encode(): name for name in (IF_MATCH, IF_NONE_MATCH)}


def precondition_of(request: Request) -> Precondition | None:
    """Returns the condition that the headers set; None without them. Raises Problem if one of them is invalid."""
    lines = [(_HEADERS[name], value) for name, value in request.scope["headers"] if name in _HEADERS]
    if not lines:
        return None
    sent = {
        header: parse_entity_tags(value.decode("latin-1") for name, value in lines if name == header)
        for header in dict(lines)
    }
    if invalid := [header for header, tags in sent.items() if tags is None]:
        raise validation_error([InvalidField(("header", header), NOT_ENTITY_TAGS) for header in invalid])
    match, none_match = sent.get(IF_MATCH), sent.get(IF_NONE_MATCH)
    return Precondition(
        # RFC 9110 compares If-Match strongly: a weak tag never matches. It compares If-None-Match weakly.
        one_of=_versions(match, match.strong) if match else None,
        none_of=_versions(none_match, none_match.strong + none_match.weak) if none_match else None,
    )


def _versions(tags: EntityTags, opaque: Iterable[str]) -> Versions:
    return Versions(frozenset(int(found[1]) for tag in opaque if (found := _version(tag))), is_all=tags.is_any)


# A tag of any other form is not one of this service, so it matches no version.
_version = re.compile(r"([1-9][0-9]{0,17})(?:\..*)?").fullmatch
