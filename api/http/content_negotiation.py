"""Checks the media type and the content coding of request bodies, and chooses the media type of replies."""

from collections.abc import Collection, Sequence
from http import HTTPStatus

from fastapi import Request

from api.http.problems import Problem
from api.http.replies import JSON

IDENTITY = "identity"
NDJSON = "application/x-ndjson"
FORM = "application/x-www-form-urlencoded"
_ALIASES = {"x-gzip": "gzip"}  # RFC 9110, section 8.4.1.3
LINES = {NDJSON, "application/ndjson", "application/jsonl"}


def require_json(request: Request, *others: str) -> None:
    """Raises Problem 415 if the media type is not JSON, or its charset not UTF-8. Other parameters are ignored.

    `others`: further media types that the call accepts, for the message."""
    _require(request, {JSON}, " or ".join([f"{JSON} in UTF-8", *others]))


def require_lines(request: Request) -> None:
    """Raises Problem 415 if the body is not JSON lines in UTF-8."""
    _require(request, LINES, f"{NDJSON} in UTF-8")


def require_form(request: Request) -> None:
    """Raises Problem 415 if the body is not an HTML form in UTF-8."""
    _require(request, {FORM}, f"{FORM} in UTF-8")


def _require(request: Request, media_types: Collection[str], description: str) -> None:
    media_type, *parameters = request.headers.get("Content-Type", "").lower().split(";")
    pairs = [parameter.partition("=") for parameter in parameters]
    charsets = [value.strip().strip('"') for name, _, value in pairs if name.strip() == "charset"]
    if media_type.strip() not in media_types or not {"utf-8", "utf8"}.issuperset(charsets):
        raise _unsupported(f"The body must be {description}.")


def is_multipart(request: Request) -> bool:
    return request.headers.get("Content-Type", "").lower().partition(";")[0].strip() == MULTIPART


def content_coding(request: Request, codings: Sequence[str]) -> str:
    """Returns the coding of the body: one of `codings`, or identity. Raises Problem 415."""
    coding = ", ".join(request.headers.getlist("Content-Encoding")).strip().lower() or IDENTITY
    coding = _ALIASES.get(coding, coding)
    if coding not in {*codings, IDENTITY}:
        allowed = f"must be one of: {', '.join(codings)}" if codings else "must not be set"
        raise _unsupported(f"The Content-Encoding {allowed}.", codings)
    return coding


def _unsupported(detail: str, codings: Sequence[str] = ()) -> Problem:
    headers = {"Accept-Encoding": ", ".join(codings) or IDENTITY}
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail, headers=headers)


MULTIPART = "multipart/form-data"

ANY = "*/*"


def preferred(accept: Sequence[str], media_types: Sequence[str]) -> str:
    """Returns the media type that the client prefers; the first one if the client accepts none of them.

    `accept`: the values of the `Accept` header."""
    ranges = [_parse_range(member) for member in ",".join(accept).split(",") if member.strip()]
    best, best_quality = media_types[0], 0.0
    for media_type in media_types:
        matching = [(len(covered.rstrip("*")), quality) for covered, quality in ranges if _covers(covered, media_type)]
        # The most specific range applies.
        quality = max(matching)[1] if matching else 0.0
        if quality > best_quality:
            best, best_quality = media_type, quality
    return best


def _parse_range(member: str) -> tuple[str, float]:
    """Returns the media range and its quality."""
    media_range, *parameters = (part.strip().lower() for part in member.split(";"))
    weights = [value for name, _, value in (parameter.partition("=") for parameter in parameters) if name == "q"]
    try:
        return media_range, min(max(float(weights[0]), 0.0), 1.0) if weights else 1.0
    except ValueError:
        return media_range, 0.0


def _covers(media_range: str, media_type: str) -> bool:
    return media_range in {ANY, media_type} or (media_range.endswith("/*") and media_type.startswith(media_range[:-1]))
