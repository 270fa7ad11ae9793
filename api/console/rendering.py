"""How does an answer become a page? Templates that escape whatever they are given, and what they need to tell it."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from fastapi import Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from api.access.console_sessions import CONSOLE
from api.console.page_context import ALL_ROLES, AUDITORS, DECIDERS, PageContext
from domain.values import Role, utc_text

OFFERS, RUNS, COMPARE, DESK = (f"{CONSOLE}/{name}" for name in ("offers", "runs", "compare", "desk"))
PARTNERS, TOKENS, QUOTA = (f"{CONSOLE}/{name}" for name in ("partners", "tokens", "quota"))
SIGN_IN, SIGN_OUT = f"{CONSOLE}/sign-in", f"{CONSOLE}/sign-out"

LONGEST_VALUE = 600
"""Characters of a value that are shown; inline images have millions."""
SECONDS = len("2026-01-31T12:30:00")


class MenuItem(NamedTuple):
    """An entry of the menu, and who has it."""

    name: str
    path: str
    roles: tuple[Role, ...]


MENU = (
    MenuItem("Offers", OFFERS, ALL_ROLES),
    MenuItem("Runs", RUNS, AUDITORS),
    MenuItem("Compare", COMPARE, AUDITORS),
    MenuItem("Redemption desk", DESK, DECIDERS),
    MenuItem("Quota", QUOTA, (Role.PARTNER,)),
    MenuItem("Partners", PARTNERS, (Role.OPERATOR,)),
    MenuItem("Tokens", TOKENS, (Role.OPERATOR,)),
)


def render(
    context: PageContext, template: str, title: str, status: HTTPStatus = HTTPStatus.OK, **told: Any
) -> Response:
    """A page of somebody who is signed in."""
    return render_page(
        template,
        title,
        status,
        context=context,
        viewed=context.state,
        menu=[item for item in MENU if context.caller.role in item.roles],
        form_token=context.service.sessions.form_token(context.session),
        **told,
    )


def render_page(template: str, title: str, status: HTTPStatus = HTTPStatus.OK, **told: Any) -> Response:
    """Any page, for anybody."""
    return HTMLResponse(_templates.get_template(template).render({"context": None} | told, title=title), status)


# What templates use


def time_tag(told: str | datetime | None) -> Markup:
    """A time, in UTC, to the second; all of it is on hover, where the script puts the local time beside it."""
    if told is None:
        return Markup("&mdash;")
    text = utc_text(told.astimezone(UTC)) if isinstance(told, datetime) else told
    shown = text[:SECONDS].replace("T", " ")
    return Markup('<time datetime="{0}" title="{0}">{1}&nbsp;UTC</time>').format(text, shown)


def json_text(value: Any) -> str:
    """A JSON value as one reads it: a text as it is, anything else as JSON; long texts are cut off."""
    if isinstance(value, str):
        return _shortened(value)
    return _shortened(json.dumps(_short(value), ensure_ascii=False, indent=2))


def title_of(content: msgspec.Raw | Mapping[str, Any] | None) -> str | None:
    """The name by which people know an offer."""
    if content is None:
        return None
    told = msgspec.json.decode(content) if isinstance(content, msgspec.Raw) else content
    names = [told.get(name) for name in ("headline", "offerName", "name")] if isinstance(told, dict) else []
    return next((_shortened(name) for name in names if isinstance(name, str) and name.strip()), None)


def by_member(changes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What came as a whole, a content for example, member by member."""
    found: list[dict[str, Any]] = []
    for change in changes:
        after = change["after"]
        if change["before"] is None and isinstance(after, dict):
            members = ((name, value) for name, value in after.items() if value is not None)
            found += [{"field": f"{change['field']}/{name}", "before": None, "after": value} for name, value in members]
        else:
            found.append(change)
    return found


def in_words(word: str) -> str:
    """A name of the API, such as winding_down or OfferCreated, as text."""
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in word).strip()
    return spaced.replace("_", " ").replace("-", " ")


def with_count(count: int, one: str) -> str:
    return f"{count:,} {one if count == 1 else f'{one}s'}"


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _short(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_short(element) for element in value]
    return _shortened(value) if isinstance(value, str) else value


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_VALUE:
        return text
    return f"{text[: LONGEST_VALUE // 2]} … ({len(text):,} characters)"


_templates = Environment(
    loader=PackageLoader("api.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    # A program that is replaced while it runs goes on with the pages that it has.
    auto_reload=False,
)
_templates.filters |= {
    "time": time_tag,
    "json": json_text,
    "title_of": title_of,
    "apart": by_member,
    "in_words": in_words,
    "counted": with_count,
    "thousands": lambda number: f"{number:,}",
}
_templates.globals |= {
    "OFFERS": OFFERS,
    "RUNS": RUNS,
    "COMPARE": COMPARE,
    "DESK": DESK,
    "PARTNERS": PARTNERS,
    "TOKENS": TOKENS,
    "SIGN_IN": SIGN_IN,
    "SIGN_OUT": SIGN_OUT,
    "CONSOLE": CONSOLE,
}
for _name in _templates.list_templates():
    _templates.get_template(_name)
