"""In which of the forms that a call has does its caller want the answer? (RFC 9110, 12.5.1.)"""

from collections.abc import Sequence

ANY = "*/*"


def preferred(accept: Sequence[str], forms: Sequence[str]) -> str:
    """One of the media types, the first by default: also for a caller who wants none of them, and will find out.

    `accept`: the values of the header."""
    wanted = [_range(member) for member in ",".join(accept).split(",") if member.strip()]
    best, best_quality = forms[0], 0.0
    for form in forms:
        matching = [(len(told.rstrip("*")), quality) for told, quality in wanted if _covers(told, form)]
        # The most special range counts.
        quality = max(matching)[1] if matching else 0.0
        if quality > best_quality:
            best, best_quality = form, quality
    return best


def _range(member: str) -> tuple[str, float]:
    """The media range, and how much it is wanted."""
    media_range, *parameters = (part.strip().lower() for part in member.split(";"))
    weights = [value for name, _, value in (parameter.partition("=") for parameter in parameters) if name == "q"]
    try:
        return media_range, min(max(float(weights[0]), 0.0), 1.0) if weights else 1.0
    except ValueError:
        return media_range, 0.0


def _covers(media_range: str, form: str) -> bool:
    return media_range in {ANY, form} or (media_range.endswith("/*") and form.startswith(media_range[:-1]))
