"""Reads numbers, ids and choices from query strings and forms. Raises a 422 problem for invalid values."""

from collections.abc import Iterable, Mapping

from api.http.problems import validation_error
from api.http.query_params import MAX_DIGITS
from api.validation.field_errors import InvalidField
from domain.values import MAX_ID_LENGTH, MAX_REASON_LENGTH


def read_number(fields: Mapping[str, str], name: str, least: int = 0, most: int | None = None) -> int | None:
    """Parses a whole number from `least` to `most`; an empty or missing field is None. Raises Problem 422."""
    text = fields.get(name, "").strip()
    if not text:
        return None
    is_number = text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
    if not is_number or int(text) < least or (most is not None and int(text) > most):
        bounds = f" from {least} to {most}" if most is not None else f", {least} or more"
        raise _invalid(name, f"must be a whole number{bounds}")
    return int(text)


def read_id(fields: Mapping[str, str], name: str) -> str | None:
    """Returns the text verbatim, with its spaces: ids are compared exactly. Raises Problem 422."""
    text = fields.get(name, "")
    if len(text) > MAX_ID_LENGTH:
        raise _invalid(name, f"must have at most {MAX_ID_LENGTH} characters")
    if "\0" in text:
        raise _invalid(name, "must not contain the character U+0000")
    return text or None


def read_reason(fields: Mapping[str, str]) -> str | None:
    """Returns the field `reason`, which says why an operator acts; None if it is empty or missing. Raises Problem 422."""
    text = fields.get("reason", "").strip()
    if len(text) > MAX_REASON_LENGTH:
        raise _invalid("reason", f"must have at most {MAX_REASON_LENGTH} characters")
    if "\0" in text:
        raise _invalid("reason", "must not contain the character U+0000")
    return text or None


def read_choice(fields: Mapping[str, str], name: str, words: Iterable[str]) -> str | None:
    """Returns one of `words`; an empty or missing field is None. Raises Problem 422 for any other value."""
    text = fields.get(name, "").strip()
    if text and text not in words:
        raise _invalid(name, f"must be one of {', '.join(words)}")
    return text or None


def _invalid(name: str, message: str) -> Exception:
    return validation_error([InvalidField((name,), message)])
