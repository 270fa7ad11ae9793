"""Who looks at a page, at which moment, and what do they send?"""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from msgspec import Struct

from api.access.console_sessions import Session, Sessions
from api.console.form_values import read_choice, read_id, read_number
from api.console.time_travel import ViewedState, link, viewed_state
from api.dependencies.authentication import ServiceDep, find_caller, require_role
from api.http.content_negotiation import require_form
from api.http.problems import Problem, validation_error
from api.parsing.json_body import MAX_BYTES, receive
from api.service import Service
from api.validation.field_errors import InvalidField
from domain.values import Origin, Role, Source
from projections.access.tokens import Caller

OWN_SITE, BY_HAND = "same-origin", "none"
"""Where browsers say that a form comes from (Fetch Metadata, W3C)."""
FORM_TOKEN = "form_token"  # noqa: S105 - the name of the field
ALL_ROLES = tuple(Role)
AUDITORS = (Role.PARTNER, Role.AUDITOR, Role.OPERATOR)
"""Who may see what the audit calls tell."""
DECIDERS = (Role.PUBLISHER, Role.AUDITOR, Role.OPERATOR)
"""Who may ask what customers are owed."""


class SignedOut(Exception):  # noqa: N818 - it says what is the case
    """Nobody is signed in, or not any more."""


class PageContext(Struct, frozen=True):
    """One look at the ledger by somebody."""

    request: Request
    service: Service
    session: Session
    caller: Caller
    state: ViewedState

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query_params

    @property
    def partner(self) -> str | None:
        """Whose things alone it sees; None: everybody's."""
        return self.caller.partner

    def sees(self, partner: str | None) -> bool:
        """Whether a partner's things are for it to see; None: everybody's."""
        return self.partner in {None, partner}

    @property
    def origin(self) -> Origin:
        return Origin(self.caller.name, Source.CONSOLE)

    def may(self, *roles: Role) -> bool:
        return self.caller.role in roles

    @property
    def may_audit(self) -> bool:
        """Whether it may see single offers, runs and differences."""
        return self.may(*AUDITORS)

    def link(self, path: str, *params: Mapping[str, object], **more: object) -> str:
        """To a page, at the same moment."""
        return link(path, self.state.params, *params, more)

    def here(self, **changed: object) -> str:
        """To this page with other parameters."""
        return link(self.request.url.path, self.query, changed)

    def given(self, name: str) -> str | None:
        """A parameter, if it says something."""
        return self.query.get(name, "").strip() or None

    def number(self, name: str) -> int | None:
        """A parameter that is a whole number. Raises Problem 422."""
        return read_number(self.query, name)

    def id(self, name: str) -> str | None:
        """A parameter that is an id, or a text that is sought. Raises Problem 422."""
        return read_id(self.query, name)

    def choice(self, name: str, words: Iterable[str]) -> str | None:
        """A parameter that is one of a few words. Raises Problem 422."""
        return read_choice(self.query, name, words)


def signed_in(request: Request, service: Service) -> tuple[Session, Caller] | None:
    """Who it is, if a session lasts and its token is in use."""
    session = service.sessions.find(request, service.clock())
    caller = find_caller(service, session.token_sha256) if session else None
    return (session, caller) if session and caller else None


def page_context_for(*roles: Role) -> Callable[[Request, Service], PageContext]:
    """A dependency that gives the visit, if somebody of these roles is signed in. Raises SignedOut, and what `may` raises."""

    def begin(request: Request, service: ServiceDep) -> PageContext:
        found = signed_in(request, service)
        if found is None:
            raise SignedOut
        session, caller = found
        try:
            require_role(request, service, caller, roles)
            moment = viewed_state(service, request.query_params)
        except Problem:  # its page has the menu all the same
            request.state.context = PageContext(request, service, session, caller, viewed_state(service, {}))
            raise
        request.state.context = context = PageContext(request, service, session, caller, moment)
        return context

    return begin


AnyPage = Annotated[PageContext, Depends(page_context_for(*ALL_ROLES))]
VerdictPage = Annotated[PageContext, Depends(page_context_for(*DECIDERS))]
PartnerPage = Annotated[PageContext, Depends(page_context_for(Role.PARTNER))]
AuditPage = Annotated[PageContext, Depends(page_context_for(*AUDITORS))]
OperatorPage = Annotated[PageContext, Depends(page_context_for(Role.OPERATOR))]


# Forms


async def fields_of(request: Request) -> dict[str, str]:
    """What a form has sent. Raises Problem 403, 413, 415 or 422."""
    if request.headers.get("Sec-Fetch-Site", OWN_SITE) not in {OWN_SITE, BY_HAND}:
        raise Problem(HTTPStatus.FORBIDDEN, "foreign-form", "The form is from another site.")
    require_form(request)
    body = await receive(request, MAX_BYTES)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=100))
    except ValueError:
        raise validation_error([InvalidField((), "must be a form in UTF-8")]) from None


Fields = Annotated[dict[str, str], Depends(fields_of)]


def require_own_form(sessions: Sessions, session: Session, fields: Mapping[str, str]) -> None:
    """Raises Problem 403 for a form that no page of this session has sent."""
    if not sessions.is_form_token(session, fields.get(FORM_TOKEN, "")):
        detail = "The form is not from a page of this session. Go back, load the page again and send it once more."
        raise Problem(HTTPStatus.FORBIDDEN, "foreign-form", detail)


class FormSubmission(Struct, frozen=True):
    """A form that somebody has sent."""

    page: PageContext
    fields: dict[str, str]

    def given(self, name: str) -> str | None:
        return self.fields.get(name, "").strip() or None

    def number(self, name: str, least: int, most: int) -> int:
        """Raises Problem 422."""
        found = read_number(self.fields, name, least, most)
        if found is None:
            raise validation_error([InvalidField((name,), "required")])
        return found


def form_submission_for(*roles: Role) -> Callable[[Any, Any], FormSubmission]:
    """A dependency that gives the form that somebody of these roles has sent; it was on a page of this session, at the present
    moment."""

    def submit(context: Annotated[PageContext, Depends(page_context_for(*roles))], fields: Fields) -> FormSubmission:
        require_own_form(context.service.sessions, context.session, fields)
        if context.state.is_past:
            raise Problem(HTTPStatus.CONFLICT, "in-the-past", "Nothing can be changed in the past.")
        return FormSubmission(context, fields)

    return submit


OperatorForm = Annotated[FormSubmission, Depends(form_submission_for(Role.OPERATOR))]
