"""Renders pages from Jinja2 templates, which escape all values. Defines the menu and the filters of the templates."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import Response
from fastapi.responses import HTMLResponse
from jinja2 import DictLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from msgspec import Raw

from api.access.console_sessions import CONSOLE
from api.console.content_view import MEMBERS_SHOWN, title_in
from api.console.page_context import PageContext
from api.console.time_travel import MOVED_FROM
from api.dependencies.roles import ACTIVATION_READERS, ALL_ROLES, AUDIT_READERS, OPERATOR_ONLY, PARTNER_ONLY
from domain.values import Role, utc_text

OFFERS, RUNS, COMPARE, DESK = (f"{CONSOLE}/{name}" for name in ("offers", "runs", "compare", "desk"))
PARTNERS, TOKENS, QUOTA = (f"{CONSOLE}/{name}" for name in ("partners", "tokens", "quota"))
SIGN_IN, SIGN_OUT = f"{CONSOLE}/sign-in", f"{CONSOLE}/sign-out"

MAX_VALUE_LENGTH = 600
"""Longer values are cut: an inline image can have millions of characters."""
LENGTH_TO_SECONDS = len("2026-01-31T12:30:00")


class MenuItem(NamedTuple):
    """An entry of the menu, shown to these roles."""

    name: str
    path: str
    roles: tuple[Role, ...]


MENU = (
    MenuItem("Offers", OFFERS, ALL_ROLES),
    MenuItem("Runs", RUNS, AUDIT_READERS),
    MenuItem("Compare", COMPARE, AUDIT_READERS),
    MenuItem("Redemption desk", DESK, ACTIVATION_READERS),
    MenuItem("Quota", QUOTA, PARTNER_ONLY),
    MenuItem("Partners", PARTNERS, OPERATOR_ONLY),
    MenuItem("Tokens", TOKENS, OPERATOR_ONLY),
)


def render(
    context: PageContext, template: str, title: str, status: HTTPStatus = HTTPStatus.OK, **variables: Any
) -> Response:
    """Renders a page for a signed-in caller."""
    return render_page(
        template,
        title,
        status,
        context=context,
        viewed=context.state,
        menu=[item for item in MENU if context.caller.role in item.roles],
        form_token=context.service.sessions.form_token(context.session),
        **variables,
    )


def render_page(template: str, title: str, status: HTTPStatus = HTTPStatus.OK, **variables: Any) -> Response:
    """Renders a page, also without a session."""
    return HTMLResponse(_templates.get_template(template).render({"context": None} | variables, title=title), status)


# Filters of the templates


def time_tag(time: str | datetime | None) -> Markup:
    """Returns a time element that shows UTC to the second. The tooltip has the full time; a script adds local time."""
    if time is None:
        return Markup("&mdash;")
    text = utc_text(time.astimezone(UTC)) if isinstance(time, datetime) else time
    shown = text[:LENGTH_TO_SECONDS].replace("T", " ")
    return Markup('<time datetime="{0}" title="{0}">{1}&nbsp;UTC</time>').format(text, shown)


def json_text(value: Any) -> str:
    """Returns a string without quotes and any other value as indented JSON; long texts are cut."""
    if isinstance(value, str):
        return _shorten(value)
    if isinstance(value, Raw):
        return f"{bytes(value)[: MAX_VALUE_LENGTH // 2].decode(errors='ignore')} … ({len(value):,} bytes)"
    return _shorten(json.dumps(_shorten_strings(value), ensure_ascii=False, indent=2))


def title_of(content: Raw | None) -> str | None:
    """Returns the display name of an offer, or None if its content has none; a long name is cut."""
    name = title_in(content)
    return name and _shorten(name)


def by_member(changes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Splits a change that adds a whole object, such as a content, into one change for each member."""
    split: list[dict[str, Any]] = []
    for change in changes:
        after = change["after"]
        if change["before"] is None and isinstance(after, dict):
            members = ((name, value) for name, value in after.items() if value is not None)
            split += [{"field": f"{change['field']}/{name}", "before": None, "after": value} for name, value in members]
        else:
            split.append(change)
    return split


def in_words(word: str) -> str:
    """Returns a name of the API, such as winding_down or OfferCreated, as lower-case words."""
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in word).strip()
    return spaced.replace("_", " ").replace("-", " ")


def with_count(count: int, singular: str) -> str:
    """Returns a count with its noun: "1 field", "2 fields"."""
    return f"{count:,} {singular if count == 1 else f'{singular}s'}"


def _shorten_strings(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shorten_strings(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_shorten_strings(element) for element in value]
    return _shorten(value) if isinstance(value, str) else value


def _shorten(text: str) -> str:
    if len(text) <= MAX_VALUE_LENGTH:
        return text
    return f"{text[: MAX_VALUE_LENGTH // 2]} … ({len(text):,} characters)"


_templates = Environment(
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_templates.filters |= {
    "time": time_tag,
    "json": json_text,
    "title_of": title_of,
    "by_member": by_member,
    "in_words": in_words,
    "with_count": with_count,
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
    "MOVED_FROM": MOVED_FROM,
    "MEMBERS_SHOWN": MEMBERS_SHOWN,
}
_files = PackageLoader("api.console")
# A running server keeps the texts that it has read, also when an upgrade replaces the files. Each page is compiled at its first
# use: compiling all of them took a fifth of the CPU time of a start.
_templates.loader = DictLoader({name: _files.get_source(_templates, name)[0] for name in _files.list_templates()})
