"""When do two offers say the same, and where do they differ?

Same content = same canonical JSON. A member that is null is the same as an absent one, an empty `offerEvents`
the same as none, and neither key order nor the spelling of a number makes a difference.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

Content = dict[str, Any]
"""An offer's JSON object. Integral numbers are `int`; the others are finite `float`s."""


class FieldChange(NamedTuple):
    """One place where two JSON documents differ; `field` is a JSON pointer (RFC 6901), None stands for absent."""

    field: str
    before: Any
    after: Any


def digest(content: Content) -> str:
    """SHA-256, as hex, of the canonical form: equal exactly when the contents are the same."""
    return hashlib.sha256(canonical(content)).hexdigest()


def canonical(content: Content) -> bytes:
    """One spelling per meaning. It need not be RFC 8785 to the letter, only agree with it on what is equal."""
    text = json.dumps(normal_form(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def normal_form(content: Content) -> Content:
    """The content without what says nothing: null members everywhere, and an empty list of events."""
    kept = _without_nulls(content)
    if kept.get("offerEvents") == []:
        del kept["offerEvents"]
    return kept  # type: ignore[no-any-return]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(element) for element in value]
    return value


def changed_fields(before: Content | None, after: Content | None, at: str = "") -> list[FieldChange]:
    """Every place where two documents differ, as deep as both have the same shape, in the order of their members.

    `at` is the JSON pointer of the documents themselves; one that is not there at all differs as a whole.
    """
    if before is None or after is None:
        return [] if before is after else [FieldChange(at, before, after)]
    return list(_differences(normal_form(before), normal_form(after), at))


def _differences(before: Any, after: Any, at: str) -> Iterator[FieldChange]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before | after:
            yield from _differences(before.get(name), after.get(name), f"{at}/{_escaped(name)}")
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            yield from _differences(_element(before, index), _element(after, index), f"{at}/{index}")
    elif not _same_scalar(before, after):
        yield FieldChange(at, before, after)


def _same_scalar(before: Any, after: Any) -> bool:
    # In Python True == 1; in JSON they are different values.
    return bool(before == after) and isinstance(before, bool) == isinstance(after, bool)


def _element(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else None


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
