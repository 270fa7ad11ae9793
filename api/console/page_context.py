"""The context of a page: the signed-in caller, the viewed state and the submitted form.

Routes declare a dependency such as `AuditPage` or `OperatorForm`, which checks the session and the role.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from msgspec import Struct

from api.access.console_sessions import Session, Sessions
from api.console.form_values import read_choice, read_id, read_number, read_reason
from api.console.time_travel import MOVED_FROM, ViewedState, link, moved_slider, viewed_state
from api.dependencies.authentication import ServiceDep, find_caller, origin_of, require_role
from api.dependencies.partner_filter import partner_filter
from api.dependencies.roles import ACTIVATION_READERS, ALL_ROLES, AUDIT_READERS, OPERATOR_ONLY, PARTNER_ONLY
from api.http.content_negotiation import require_form
from api.http.problems import Problem, validation_error
from api.http.request_state import request_state
from api.parsing.json_body import MAX_BYTES, receive
from api.service import Service
from api.validation.field_errors import MAX_FIELD_ERRORS, InvalidField, shortened
from domain.values import Origin, Role, Source
from projections.access.tokens import Caller

SAME_ORIGIN, NO_SITE = "same-origin", "none"
"""Accepted values of Sec-Fetch-Site (Fetch Metadata, W3C): a page of the console, or a request without a page."""
CSRF_FIELD = "form_token"
MAX_FORM_FIELDS = 100


class SignedOut(Exception):
    """The request has no session, or the session or its token has ended."""


class SliderMoved(Exception):
    """The request is from the slider. `location` is the page in the chosen state."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


class PageContext(Struct, frozen=True):
    """One request for a page: its session, its caller and the viewed state."""

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
        """The partner of the token, which limits what is visible. None: all partners."""
        return self.caller.partner

    @property
    def partner_filter(self) -> str | None:
        """The partner to which the page is limited. Raises Problem 422 for a name that no partner has."""
        return partner_filter(self.service, self.caller, self.id("partner"))

    def sees(self, partner: str | None) -> bool:
        """Returns True if the caller can read this partner's data. None means the data of all partners."""
        return self.caller.sees(partner)

    @property
    def origin(self) -> Origin:
        return origin_of(self.request, self.caller, Source.CONSOLE)

    def has_role(self, *roles: Role) -> bool:
        return self.caller.role in roles

    @property
    def can_audit(self) -> bool:
        """True if the caller can read single offers, runs and differences."""
        return self.has_role(*AUDIT_READERS)

    def link(self, path: str, *params: Mapping[str, object], **more: object) -> str:
        """Returns a link to a page that keeps the viewed state."""
        return link(path, self.state.params, *params, more)

    def this_page(self, **changed: object) -> str:
        """Returns a link to this page with changed parameters."""
        return link(self.request.url.path, self.query, changed)

    def param(self, name: str) -> str | None:
        """Returns a parameter without surrounding spaces; None if it is empty."""
        return self.query.get(name, "").strip() or None

    def number(self, name: str) -> int | None:
        """Parses a parameter as a whole number. Raises Problem 422."""
        return read_number(self.query, name)

    def id(self, name: str) -> str | None:
        """Reads a parameter that is an id or a search text. Raises Problem 422."""
        return read_id(self.query, name)

    def choice(self, name: str, words: Iterable[str]) -> str | None:
        """Reads a parameter that is one of these words. Raises Problem 422."""
        return read_choice(self.query, name, words)


def page_context_of(request: Request) -> PageContext | None:
    """Returns the context that a dependency of this request has built, or None."""
    page = request_state(request).page
    return page if isinstance(page, PageContext) else None


def find_session(request: Request, service: Service) -> tuple[Session, Caller] | None:
    """Returns the session and its caller, or None if the session or its token has ended."""
    session = service.sessions.find(request, service.clock())
    caller = find_caller(service, session.token_sha256) if session else None
    return (session, caller) if session and caller else None


def page_context_for(*roles: Role) -> Callable[[Request, Service], PageContext]:
    """Makes a dependency that returns the context of a page for callers with these roles.

    It raises SignedOut or SliderMoved, or Problem 403, 422 or 429."""

    def build(request: Request, service: ServiceDep) -> PageContext:
        session_and_caller = find_session(request, service)
        if session_and_caller is None:
            raise SignedOut
        session, caller = session_and_caller
        try:
            require_role(request, service, caller, roles)
            if moved := moved_slider(service, request.query_params):
                raise SliderMoved(link(request.url.path, request.query_params, moved, {MOVED_FROM: ""}))
            state = viewed_state(service, request.query_params)
        except Problem:  # the error page shows the menu too
            request_state(request).page = PageContext(request, service, session, caller, viewed_state(service, {}))
            raise
        request_state(request).page = context = PageContext(request, service, session, caller, state)
        return context

    return build


AnyPage = Annotated[PageContext, Depends(page_context_for(*ALL_ROLES))]
VerdictPage = Annotated[PageContext, Depends(page_context_for(*ACTIVATION_READERS))]
PartnerPage = Annotated[PageContext, Depends(page_context_for(*PARTNER_ONLY))]
AuditPage = Annotated[PageContext, Depends(page_context_for(*AUDIT_READERS))]
OperatorPage = Annotated[PageContext, Depends(page_context_for(*OPERATOR_ONLY))]


# Forms


async def read_form(request: Request) -> dict[str, str]:
    """Returns the fields of a submitted form. Raises Problem 403, 413, 415 or 422."""
    if request.headers.get("Sec-Fetch-Site", SAME_ORIGIN) not in {SAME_ORIGIN, NO_SITE}:
        raise Problem(HTTPStatus.FORBIDDEN, "foreign-form", "The form is from another site.")
    require_form(request)
    body = await receive(request, MAX_BYTES)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        raise validation_error(
            [InvalidField((), f"must be a form in UTF-8 of at most {MAX_FORM_FIELDS} fields")]
        ) from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = Counter(name for name, _ in pairs)
        repeated = [
            InvalidField((shortened(name),), "must be given once") for name, count in names.items() if count > 1
        ]
        raise validation_error(repeated[:MAX_FIELD_ERRORS])
    return fields


FormFields = Annotated[dict[str, str], Depends(read_form)]


def require_own_form(sessions: Sessions, session: Session, fields: Mapping[str, str]) -> None:
    """Raises Problem 403 if the form has no form token of this session."""
    if not sessions.is_form_token(session, fields.get(CSRF_FIELD, "")):
        detail = "The form is not from a page of this session. Go back, reload the page and send the form again."
        raise Problem(HTTPStatus.FORBIDDEN, "foreign-form", detail)


class FormSubmission(Struct, frozen=True):
    """A submitted form and the context of its page."""

    context: PageContext
    fields: dict[str, str]

    def field(self, name: str) -> str | None:
        """Returns a field without surrounding spaces; None if it is empty."""
        return self.fields.get(name, "").strip() or None

    def number(self, name: str, least: int, most: int) -> int:
        """Parses a required field as a whole number. Raises Problem 422."""
        number = read_number(self.fields, name, least, most)
        if number is None:
            raise validation_error([InvalidField((name,), "required")])
        return number

    @property
    def origin(self) -> Origin:
        """The origin of what the form changes, with the stated reason. Raises Problem 422."""
        return self.context.origin._replace(reason=read_reason(self.fields))

    @property
    def origin_with_reason(self) -> Origin:
        """The origin of what the form changes, if the form needs a reason. Raises Problem 422."""
        origin = self.origin
        if origin.reason is None:
            raise validation_error([InvalidField(("reason",), "required")])
        return origin


def form_submission_for(*roles: Role) -> Callable[[Any, Any], FormSubmission]:
    """Makes a dependency that returns the form which a caller with one of these roles has submitted.

    It raises what `page_context_for` raises, Problem 403 for a form of another session, and 409 in a past state."""

    def submit(
        context: Annotated[PageContext, Depends(page_context_for(*roles))], fields: FormFields
    ) -> FormSubmission:
        require_own_form(context.service.sessions, context.session, fields)
        if context.state.is_past:
            detail = "A past state cannot be changed. Go back to now and send the form again."
            raise Problem(HTTPStatus.CONFLICT, "in-the-past", detail)
        return FormSubmission(context, fields)

    return submit


OperatorForm = Annotated[FormSubmission, Depends(form_submission_for(*OPERATOR_ONLY))]
