"""Names of offers files: their form, and the rules for the date and the partner in them."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import date, timedelta

from msgspec import Struct

from domain.refusals import FileDatedAhead, FileOfAnotherPartner, FileSuperseded

MAX_DAYS_AHEAD = 2
"""A file is dated at most this number of days after the current UTC day."""


class FileName(Struct, frozen=True):
    """The parts of a file name of the form `<Partner>OffersCCYYMMDD.json`."""

    partner: str
    dated: date


def parse_file_name(name: str) -> FileName | None:
    """Returns the parts of a file name, or None if the name does not have the form of `FileName`."""
    match = _NAME.fullmatch(name)
    try:
        return FileName(match["partner"], date.fromisoformat(match["dated"])) if match else None
    except ValueError:
        return None


# Python represents a file name that is not UTF-8 with lone surrogates. Such a name could not be stored.
_NAME = re.compile(r"(?P<partner>[^/\\\0-\x1f\x7f\ud800-\udfff]{1,100})Offers(?P<dated>[0-9]{8})\.json")


def begins_with_partner(name: str, partner: str) -> bool:
    """Returns whether the prefix of a file name is the partner's name.

    Only letters and digits are compared, without case: `HarborDining` is the name of the partner `harbor-dining`."""
    return _letters(_prefix(name)) == _letters(partner)


def require_own_prefix(name: str, partner: str, partners: Iterable[str]) -> None:
    """Raises FileOfAnotherPartner if the file name begins with the name of another one of the registered partners."""
    if not begins_with_partner(name, partner) and _letters(_prefix(name)) in map(_letters, partners):
        raise FileOfAnotherPartner


def latest_file_date(today: date) -> date:
    """Returns the latest date that a file may have. `today`: the UTC day of the clock."""
    return today + timedelta(days=MAX_DAYS_AHEAD)


def require_file_date(dated: date, today: date) -> None:
    """Raises FileDatedAhead if the file is dated too far ahead. Such a file would supersede all files of earlier days."""
    if dated > latest_file_date(today):
        raise FileDatedAhead(MAX_DAYS_AHEAD)


def require_file_order(dated: date, newest: date | None) -> None:
    """Raises FileSuperseded if the file is older than `newest`, the date of the newest processed file."""
    if newest and dated < newest:
        raise FileSuperseded(dated, newest)


def _prefix(name: str) -> str:
    return name.rpartition("Offers")[0]


def _letters(name: str) -> str:
    """Returns only the letters and digits: a partner's name may have signs that file names leave out."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name))).casefold()
