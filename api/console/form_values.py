"""What is given, in an address or in a form: which number, which text, which of a few words?"""

from collections.abc import Iterable, Mapping

from api.http.problems import validation_error
from api.http.query_params import MAX_DIGITS
from api.validation.field_errors import InvalidField
from domain.values import MAX_ID_LENGTH


def read_number(given: Mapping[str, str], name: str, least: int = 0, most: int | None = None) -> int | None:
    """The one of that name, if it says something. Raises Problem 422 for what is no whole number between the two."""
    text = given.get(name, "").strip()
    if not text:
        return None
    is_one = text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
    if not is_one or int(text) < least or (most is not None and int(text) > most):
        bounds = f"from {least} to {most}" if most is not None else f"from {least} on"
        raise _refused(name, f"must be a whole number {bounds}")
    return int(text)


def read_id(given: Mapping[str, str], name: str) -> str | None:
    """As it was given, spaces and all: ids are compared exactly. Raises Problem 422."""
    text = given.get(name, "")
    if len(text) > MAX_ID_LENGTH:
        raise _refused(name, f"must have at most {MAX_ID_LENGTH} characters")
    if "\0" in text:
        raise _refused(name, "must not contain the character U+0000")
    return text or None


def read_choice(given: Mapping[str, str], name: str, words: Iterable[str]) -> str | None:
    """Raises Problem 422 for what is none of these."""
    text = given.get(name, "").strip()
    if text and text not in words:
        raise _refused(name, f"must be one of {', '.join(words)}")
    return text or None


def _refused(name: str, why: str) -> Exception:
    return validation_error([InvalidField((name,), why)])
