"""Parses the `Prefer` header (RFC 7240): how long a client waits for a run."""

import re
from collections.abc import Iterable
from itertools import islice

from msgspec import Struct

# A comma in quotes is no separator. An open quote takes the rest of the header, so that parsing time stays linear.
_MEMBERS = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*(?:"|\\?$))+')


MAX_PREFERENCES = 100
"""Further preferences are ignored: a long header would keep the event loop busy."""


class WaitPreference(Struct, frozen=True):
    """The seconds to wait. `applied`: the preference that the service honours, for `Preference-Applied`."""

    seconds: float
    applied: str | None = None


def parse_wait_preference(headers: Iterable[str], limit: float) -> WaitPreference:
    """`limit`: the longest wait in seconds, and the default. Unknown, invalid or longer preferences are ignored; the
    first of repeated ones counts."""
    preferences: dict[str, str] = {}
    for found in islice(_MEMBERS.finditer(",".join(headers)), MAX_PREFERENCES):
        member = found[0]
        name, _, value = member.partition(";")[0].partition("=")
        preferences.setdefault(name.strip().lower(), re.sub(r'\A"(.*)"\Z', r"\1", value.strip()))
    wait = preferences.get("wait", "")
    if re.fullmatch("[0-9]{1,9}", wait) and int(wait) <= limit:
        return WaitPreference(int(wait), f"wait={int(wait)}")
    if "respond-async" in preferences:
        return WaitPreference(0, "respond-async")
    return WaitPreference(limit)
