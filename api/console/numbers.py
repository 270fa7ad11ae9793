"""Which whole number is given, in an address or in a form?"""

from collections.abc import Mapping

from api.problems import validation_error
from api.schemas.messages import Complaint
from api.schemas.query import MAX_DIGITS


def read_number(given: Mapping[str, str], name: str, least: int = 0, most: int | None = None) -> int | None:
    """The one of that name, if it says something. Raises Problem 422 for what is no whole number between the two."""
    text = given.get(name, "").strip()
    if not text:
        return None
    is_one = text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
    if not is_one or int(text) < least or (most is not None and int(text) > most):
        bounds = f"from {least} to {most}" if most is not None else f"from {least} on"
        raise validation_error([Complaint((name,), f"must be a whole number {bounds}")])
    return int(text)
