"""Makes msgspec types from the JSON schema of pydantic models, so that no rule is written twice.

The types may refuse more than the models, never less. A schema with a keyword that this module does not know fails when the
types are made, not when an item arrives.
"""

import types
from enum import Enum, auto
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from pydantic import BaseModel

from api.parsing.strict_json import MAX_NUMBER
from api.validation.field_types import URL_PATTERN

PLAIN_PATTERNS = {URL_PATTERN: r"\Ahttps?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:[/?#][!-~]*)?\Z"}
"""Stricter patterns by the pattern of the model. Every regular expression engine reads a stricter pattern alike."""
_DESCRIPTIVE = {"title", "description", "default", "examples"}
_OBJECT_KEYWORDS = {*_DESCRIPTIVE, "type", "properties", "required", "additionalProperties", "$defs"}


class Purpose(Enum):
    """The purpose of a type: to check all rules, or to write the canonical form of a value that is valid.

    The canonical form has the members in the order of their names, without those that are null."""

    VALIDATION = auto()
    CANONICAL_FORM = auto()


def list_of(model: type[BaseModel], purpose: Purpose) -> Any:
    """Returns the type of a list of structs with the known members of a model. They refuse unknown members.

    Raises ValueError for an unknown keyword of the schema."""
    schema = model.model_json_schema()
    return types.GenericAlias(list, (_TypeMaker(schema, purpose).struct(schema),))


class _TypeMaker:
    def __init__(self, schema: dict[str, Any], purpose: Purpose) -> None:
        self._definitions: dict[str, Any] = schema.get("$defs", {})
        self._checks = purpose is Purpose.VALIDATION
        self._structs: dict[str, Any] = {}

    def struct(self, schema: dict[str, Any]) -> Any:
        title = schema["title"]
        _require_known(schema, _OBJECT_KEYWORDS)
        if title not in self._structs:
            fields = [
                self._field(name, member, is_required=name in schema["required"])
                for name, member in sorted(schema["properties"].items())
            ]
            self._structs[title] = msgspec.defstruct(
                title, fields, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False
            )
        return self._structs[title]

    def _field(self, name: str, schema: dict[str, Any], *, is_required: bool) -> tuple[Any, ...]:
        kind, is_nullable = self._type(schema)
        if not self._checks:
            return (name, kind | None, None) if is_nullable else (name, kind)
        if is_nullable:
            kind |= None
        return (name, kind) if is_required else (name, kind | UnsetType, UNSET)

    def _type(self, schema: dict[str, Any]) -> tuple[Any, bool]:
        """Returns the type without null, and whether null is allowed too."""
        options = schema.get("anyOf", schema.get("oneOf", [schema]))
        first, *others = [self._type_of_one(option) for option in options if option.get("type") != "null"]
        for other in others:
            first |= other
        return first, len(others) + 1 < len(options)

    def _type_of_one(self, schema: dict[str, Any]) -> Any:
        rules = {name: rule for name, rule in schema.items() if name not in _DESCRIPTIVE}
        if reference := rules.pop("$ref", None):
            kind = self.struct(self._definitions[reference.rpartition("/")[2]])
        else:
            kind = self._scalar_or_list(rules.pop("type"), rules)
        _require_known(rules, set())
        return kind

    def _scalar_or_list(self, name: str, rules: dict[str, Any]) -> Any:
        """Takes the keywords that it knows out of `rules`."""
        match name:
            case "string":
                lengths = {"min_length": rules.pop("minLength", None), "max_length": rules.pop("maxLength", None)}
                pattern = rules.pop("pattern", None)
                return self._annotated(str, **lengths, pattern=PLAIN_PATTERNS[pattern] if pattern else None)
            case "integer" | "number":
                bounds = {"ge": rules.pop("minimum", -MAX_NUMBER), "le": MAX_NUMBER}
                integer, real = self._annotated(int, **bounds), self._annotated(float, **bounds)
                return integer if name == "integer" else integer | real
            case "boolean":
                return bool
            case "array":
                element, _ = self._type(rules.pop("items"))
                bounds = {"min_length": rules.pop("minItems", None), "max_length": rules.pop("maxItems", None)}
                return self._annotated(types.GenericAlias(list, (element,)), **bounds)
            case _:
                raise ValueError(f"No type is known for the schema type {name}")

    def _annotated(self, kind: Any, **bounds: Any) -> Any:
        given = {name: bound for name, bound in bounds.items() if bound is not None}
        return Annotated[kind, Meta(**given)] if given and self._checks else kind


def _require_known(schema: dict[str, Any], keywords: set[str]) -> None:
    if unknown := schema.keys() - keywords:
        raise ValueError(f"No type is known for the keywords {sorted(unknown)}")
