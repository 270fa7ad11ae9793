"""Which tokens are there, and how does one begin and end? For operators."""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from api.access.credentials import (
    DEFAULT_REQUESTS_PER_MINUTE,
    MAX_LIMIT,
    TOKEN_NAME,
    TOKEN_PARTNER,
    is_token_name,
    new_secret,
)
from api.console.page_context import FormSubmission, OperatorForm, OperatorPage, PageContext
from api.console.rendering import TOKENS, render
from api.console.routing import ConsoleRoute
from api.console.time_travel import ViewedState, parse_time_field
from api.dependencies.authentication import digest_secret
from api.http.exception_handlers import problem_of
from api.http.problems import Problem, validation_error
from api.validation.field_errors import InvalidField
from domain.access.token import CreateToken, RevokeToken
from domain.refusals import Refused
from domain.store.cursor import Cursor
from domain.values import Role, to_microseconds, utc_text
from projections.access.partners import list_partners
from projections.access.tokens import TokenView, list_tokens, tokens_at

ROLES = tuple(map(str, Role))

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(TOKENS)
def show_tokens(context: OperatorPage) -> Response:
    return _page(context)


@router.post(TOKENS)
def submit_token(submission: OperatorForm) -> Response:
    """Its secret is on the page that answers, and nowhere else."""
    context, secret = submission.page, new_secret()
    try:
        command = _command(submission, digest_secret(secret))
        context.service.ledger.handle(command, context.origin)
    except (Problem, Refused) as error:
        problem = problem_of(error)
        return _page(context, problem.status, problem=problem, sent=submission.fields)
    return _page(context, created=command.name, secret=secret)


@router.post(f"{TOKENS}/revoked")
def submit_revocation(submission: OperatorForm) -> Response:
    submission.page.service.ledger.handle(RevokeToken(submission.given("name") or ""), submission.page.origin)
    return RedirectResponse(TOKENS, HTTPStatus.SEE_OTHER)


def _page(context: PageContext, status: HTTPStatus = HTTPStatus.OK, **told: Any) -> Response:
    with context.service.ledger.read() as tx:
        tokens = tokens_of(tx, context.state)
        partners = [partner.name for partner in list_partners(tx)]
    rows = [(token, token_state(token, context.state.evaluated_at)) for token in tokens]
    nothing: dict[str, Any] = {"problem": None, "sent": {}, "created": None, "secret": None}
    first = {"requests_per_minute": DEFAULT_REQUESTS_PER_MINUTE, "most": MAX_LIMIT}
    return render(
        context,
        "tokens.html",
        "Tokens",
        status,
        rows=rows,
        partners=partners,
        roles=ROLES,
        first=first,
        **nothing | told,
    )


def tokens_of(tx: Cursor, moment: ViewedState) -> list[TokenView]:
    """As they are, or as they were. A token that has just been made is among those that are."""
    return tokens_at(tx, moment.position) if moment.is_past else list_tokens(tx)


def token_state(token: TokenView, at: datetime) -> str:
    """In a word: in use, revoked or expired."""
    if token.revoked_at:
        return "revoked"
    return "expired" if token.expires_at and token.expires_at <= utc_text(at) else "in use"


def _command(submission: FormSubmission, secret_sha256: str) -> CreateToken:
    """Raises Problem 422."""
    name, partner, role = submission.given("name") or "", submission.given("partner"), submission.given("role")
    broken = []
    if not is_token_name(name):
        broken.append(InvalidField(("name",), TOKEN_NAME))
    if role not in ROLES:
        broken.append(InvalidField(("role",), f"must be one of {', '.join(ROLES)}"))
    if (role == Role.PARTNER) != (partner is not None):
        broken.append(InvalidField(("partner",), TOKEN_PARTNER))
    ends = submission.given("expires_at")
    expires_at = parse_time_field(ends, "expires_at") if ends else None
    if expires_at and expires_at <= submission.page.service.clock():
        broken.append(InvalidField(("expires_at",), "must lie in the future"))
    if broken:
        raise validation_error(broken)
    per_minute = submission.number("requests_per_minute", 0, MAX_LIMIT)
    until = to_microseconds(expires_at) if expires_at else None
    return CreateToken(name, Role(role or ""), partner, secret_sha256, per_minute, until)
