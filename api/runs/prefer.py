"""How long does a caller want to wait? (RFC 7240: Prefer.)"""

import re
from collections.abc import Iterable

from msgspec import Struct

# A comma in quotes separates nothing; quotes that are never closed hold all the rest, so that no header takes long.
_MEMBERS = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*(?:"|\\?$))+')


class WaitPreference(Struct, frozen=True):
    """For how many seconds, and what of the caller's wishes that heeds (Preference-Applied)."""

    seconds: float
    applied: str | None = None


def parse_wait_preference(headers: Iterable[str], limit: float) -> WaitPreference:
    """`limit`: how long anybody is kept waiting. What can't be understood or granted is no preference at all; of a
    preference given twice, the first one counts."""
    preferences: dict[str, str] = {}
    for member in _MEMBERS.findall(",".join(headers)):
        name, _, value = member.partition(";")[0].partition("=")
        preferences.setdefault(name.strip().lower(), re.sub(r'\A"(.*)"\Z', r"\1", value.strip()))
    wait = preferences.get("wait", "")
    if re.fullmatch("[0-9]{1,9}", wait) and int(wait) <= limit:
        return WaitPreference(int(wait), f"wait={int(wait)}")
    if "respond-async" in preferences:
        return WaitPreference(0, "respond-async")
    return WaitPreference(limit)
