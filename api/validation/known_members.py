"""The members that a model knows, and the unknown members that look like misspelt ones."""

import re
import sys
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import islice
from typing import Annotated, Any, NamedTuple, get_args

from msgspec import Struct, field
from pydantic import AfterValidator, BaseModel, ValidationInfo

from api.validation.field_errors import MAX_FIELD_ERRORS, InvalidField, Place

MAX_UNKNOWN_EXAMINED = 20
"""Unknown members of one item that are compared with the known ones. Each takes up to 0.1 ms."""
MIN_NAME, MAX_NAME = 4, 40
MAX_TYPOS = 2
_ONE_TYPO_LENGTH = 5
"""In names up to this length, only one typing error counts: two make another word of them."""


class KnownMembers(Struct, frozen=True):
    """The members of an object that a model knows, with those of its parts. All members inside UNKNOWN are unknown."""

    names: frozenset[str] = frozenset()
    parts: dict[str, "KnownMembers"] = field(default_factory=dict)
    """Members that are objects, or lists of objects."""
    integers: frozenset[str] = frozenset()

    def member(self, name: str) -> "KnownMembers | None":
        """Returns UNKNOWN for an unknown member, and None for a known one that has no parts."""
        return self.parts.get(name) if name in self.names else UNKNOWN


UNKNOWN = KnownMembers()


@cache
def known_members(model: type[BaseModel]) -> KnownMembers:
    types = {name: set(_types(member.annotation)) for name, member in model.model_fields.items()}
    parts = {
        name: known_members(kind)
        for name, kinds in types.items()
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    }
    return KnownMembers(frozenset(types), parts, frozenset(name for name, kinds in types.items() if int in kinds))


def _types(annotation: Any) -> Iterator[Any]:
    """Yields a type, and the types inside a list, a union or an annotated type."""
    yield annotation if isinstance(annotation, type) else None
    for inner in get_args(annotation):
        yield from _types(inner)


def _note(name: str, info: ValidationInfo) -> str:
    if info.context is not None:
        info.context.append(name)
    return name


NotedMembers = dict[Annotated[str, AfterValidator(_note)], Any]
"""Type of the unknown members of a model. Validation adds their names to its context, if that is a list.

Nearly no item has unknown members, so this costs nothing."""


def misspelt_members(sent: Any, known: KnownMembers, place: Place = ()) -> list[InvalidField]:
    """Returns up to MAX_FIELD_ERRORS messages for unknown members of an item that look like misspelt known ones."""
    examined = islice(_unknown_members(sent, known, place), MAX_UNKNOWN_EXAMINED)
    found = ((at, name, _nearest(name, of.names)) for at, name, of in examined)
    hints = (InvalidField((*at, name), f"unknown; did you mean {meant}?") for at, name, meant in found if meant)
    return list(islice(hints, MAX_FIELD_ERRORS))


def _unknown_members(value: Any, known: KnownMembers, place: Place) -> Iterator[tuple[Place, str, KnownMembers]]:
    """Yields the unknown members: the place of the object, the name, and the members that are known there."""
    if isinstance(value, list):
        for index, element in enumerate(value):
            yield from _unknown_members(element, known, (*place, index))
    elif isinstance(value, dict):
        yield from ((place, name, known) for name in value if name not in known.names)
        for name, part in known.parts.items():
            yield from _unknown_members(value.get(name), part, (*place, name))


# Likeness of names


@lru_cache(maxsize=4096)  # the items of a batch mostly have the same members
def _nearest(name: str, names: frozenset[str]) -> str | None:
    """Returns the known name of which this one is probably a misspelling."""
    if not _may_be_misspelt(name):
        return None
    sent = _folded(name)
    letters = set(sent)
    likely = [
        (typos, known.name)
        for known in _spellings(names)
        if abs(len(sent) - len(known.folded)) <= known.max_typos
        and len(letters ^ known.letters) <= 2 * known.max_typos
        and (typos := _typos(sent, known)) <= known.max_typos
    ]
    return min(likely)[1] if likely else None


class _Spelling(NamedTuple):
    """A known name, and what the comparison with it needs."""

    name: str
    folded: str
    letters: frozenset[str]
    max_typos: int


@cache
def _spellings(names: frozenset[str]) -> list[_Spelling]:
    return [_Spelling(name, _folded(name), frozenset(_folded(name)), _max_typos(len(name))) for name in names]


def _max_typos(length: int) -> int:
    if length < MIN_NAME:
        return 0
    return 1 if length <= _ONE_TYPO_LENGTH else MAX_TYPOS


# Digits and other scripts do not come from typing errors: headline2 is another member.
_may_be_misspelt = re.compile(rf"[A-Za-z_ .-]{{{MIN_NAME},{MAX_NAME}}}").fullmatch


def _folded(name: str) -> str:
    """Returns the letters only: daily_cap and DailyCap are spellings of dailyCap."""
    return re.sub("[_ .-]", "", name).lower()


def _typos(sent: str, known: _Spelling) -> int:
    """Returns the number of typing errors. A name with a word more, such as headlineEn, has none of them."""
    longer_by = len(sent) - len(known.folded)
    if longer_by > 1 and (sent.startswith(known.folded) or sent.endswith(known.folded)):
        return sys.maxsize
    return _distance(sent, known.folded)


def _distance(one: str, other: str) -> int:
    """Returns the edit distance of two short texts; swapped neighbours count as one edit (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            edits = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and b == one[i - 2]:
                edits = min(edits, earlier[j - 2] + 1)
            row.append(edits)
    return row[-1]
