"""Is a body of the kind that a call takes?"""

from collections.abc import Collection, Sequence
from http import HTTPStatus

from fastapi import Request

from api.http.problems import Problem
from api.http.replies import JSON

IDENTITY = "identity"
NDJSON = "application/x-ndjson"
FORM = "application/x-www-form-urlencoded"
LINES = {NDJSON, "application/ndjson", "application/jsonl"}


def require_json(request: Request, *others: str) -> None:
    """Parameters of the media type are of no consequence, but for a charset that is not JSON's. Raises Problem 415.

    `others`: which else could have been sent, and was not."""
    _require(request, {JSON}, " or ".join([f"{JSON} in UTF-8", *others]))


def require_lines(request: Request) -> None:
    """The same for lines of JSON. Raises Problem 415."""
    _require(request, LINES, f"{NDJSON} in UTF-8")


def require_form(request: Request) -> None:
    """The same for what a form of a page sends. Raises Problem 415."""
    _require(request, {FORM}, f"{FORM} in UTF-8")


def _require(request: Request, wanted: Collection[str], told: str) -> None:
    media_type, *parameters = request.headers.get("Content-Type", "").lower().split(";")
    named = [parameter.partition("=") for parameter in parameters]
    charsets = [value.strip().strip('"') for name, _, value in named if name.strip() == "charset"]
    if media_type.strip() not in wanted or not {"utf-8", "utf8"}.issuperset(charsets):
        raise _unsupported(f"The body must be {told}.")


def is_multipart(request: Request) -> bool:
    return request.headers.get("Content-Type", "").lower().partition(";")[0].strip() == MULTIPART


def content_coding(request: Request, codings: Sequence[str]) -> str:
    """Which of the codings the body has, or identity. Raises Problem 415."""
    coding = ", ".join(request.headers.getlist("Content-Encoding")).strip().lower() or IDENTITY
    if coding not in {*codings, IDENTITY}:
        allowed = f"encoded with {' or '.join(codings)}, and with one of them only" if codings else "not be encoded"
        detail = f"The body may be {allowed}." if codings else f"The body must {allowed}."
        raise _unsupported(detail, codings)
    return coding


def _unsupported(detail: str, codings: Sequence[str] = ()) -> Problem:
    headers = {"Accept-Encoding": ", ".join(codings) or IDENTITY}
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail, headers=headers)


MULTIPART = "multipart/form-data"

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
