"""Field errors as callers see them: a place in the caller's own terms and a message, but never the value sent."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from pydantic import ValidationError

from api.validation.field_types import (
    AMOUNT_PATTERN,
    CURRENCY_PATTERN,
    LAST_FOUR_PATTERN,
    LIST_FORM,
    OBJECT_FORM,
    URL_PATTERN,
    UUID_PATTERN,
)

MESSAGES = {
    "missing": "required",
    "extra_forbidden": "unknown",
    "string_type": "must be a string",
    "string_unicode": "must not contain a lone surrogate",
    "string_too_short": "must have at least {min_length} character(s)",
    "string_too_long": "must have at most {max_length} characters",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "too_short": "must have at least {min_length} element(s)",
    "too_long": "must have at most {max_length} element(s)",
}
MAX_FIELD_ERRORS = 10
"""More errors would not help the caller, and a small request could cause a large reply."""
MAX_NAME_LENGTH = 64

PATTERNS = {
    URL_PATTERN: "must be an absolute http or https URL",
    UUID_PATTERN: "must be a UUID",
    AMOUNT_PATTERN: "must be a decimal string: up to 15 digits and 4 decimals, no sign, exponent or leading zeros",
    CURRENCY_PATTERN: "must be a currency code of three capital letters (ISO 4217)",
    LAST_FOUR_PATTERN: "must be four digits",
}


def shortened(name: str) -> str:
    """Cuts a name that the sender chose to MAX_NAME_LENGTH characters."""
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 3]}..."


Place = tuple[str | int, ...]
"""The names and indexes that lead to a value of a request."""


class InvalidField(NamedTuple):
    """A place in a request, and a message that says what is wrong there."""

    place: Place
    message: str

    @property
    def path(self) -> str:
        """The place in readable form: offerData[0].dailyCap."""
        return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in self.place).removeprefix(".")

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer (RFC 6901): /offerData/0/dailyCap."""
        return "".join("/" + str(p).replace("~", "~0").replace("/", "~1") for p in self.place)

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def field_errors(error: ValidationError) -> list[InvalidField]:
    return from_pydantic(error.errors(include_url=False, include_input=False))


def from_pydantic(errors: Iterable[Any]) -> list[InvalidField]:
    """Converts the output of `ValidationError.errors()`. Returns up to MAX_FIELD_ERRORS + 1 errors."""
    return list(islice(_convert(errors), MAX_FIELD_ERRORS + 1))


def _convert(errors: Iterable[Any]) -> Iterator[InvalidField]:
    for error in errors:
        yield InvalidField(_place(error["loc"]), _message(error["type"], error.get("ctx", {}), error["msg"]))


def _place(location: Sequence[str | int]) -> Place:
    parts = (part for part in location if part not in {LIST_FORM, OBJECT_FORM})
    return tuple(shortened(part) if isinstance(part, str) else part for part in parts)


def _message(kind: str, context: dict[str, Any], default: str) -> str:
    if kind == "string_too_short" and context["min_length"] == 1:
        return "must not be empty"
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(context["pattern"], default)
    return MESSAGES[kind].format(**context).replace("'", "") if kind in MESSAGES else default
