"""The page Tokens: operators list, create and revoke tokens."""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from api.access.credentials import (
    DEFAULT_REQUESTS_PER_MINUTE,
    MAX_LIMIT,
    NAME_RULE,
    PARTNER_RULE,
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
from projections.access.tokens import TokenView, list_tokens, tokens_as_of

ROLES = tuple(map(str, Role))

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(TOKENS)
def show_tokens(context: OperatorPage) -> Response:
    return _page(context)


@router.post(TOKENS)
def submit_token(submission: OperatorForm) -> Response:
    """Creates a token. The response shows the secret, which is not stored."""
    context, secret = submission.context, new_secret()
    try:
        command = _command(submission, digest_secret(secret))
        context.service.ledger.handle(command, submission.origin)
    except (Problem, Refused) as error:
        problem = problem_of(error)
        return _page(context, problem.status, problem=problem, sent=submission.fields)
    return _page(context, created=command.name, secret=secret)


@router.post(f"{TOKENS}/revoked")
def submit_revocation(submission: OperatorForm) -> Response:
    submission.context.service.ledger.handle(RevokeToken(submission.field("name") or ""), submission.origin)
    return RedirectResponse(TOKENS, HTTPStatus.SEE_OTHER)


def _page(context: PageContext, status: HTTPStatus = HTTPStatus.OK, **variables: Any) -> Response:
    with context.service.ledger.read() as tx:
        tokens = tokens_of(tx, context.state)
        partners = [partner.name for partner in list_partners(tx)]
    rows = [(token, token_state(token, context.state.evaluated_at)) for token in tokens]
    unset: dict[str, Any] = {"problem": None, "sent": {}, "created": None, "secret": None}
    defaults = {"requests_per_minute": DEFAULT_REQUESTS_PER_MINUTE, "most": MAX_LIMIT}
    return render(
        context,
        "tokens.html",
        "Tokens",
        status,
        rows=rows,
        partners=partners,
        roles=ROLES,
        defaults=defaults,
        **unset | variables,
    )


def tokens_of(tx: Cursor, state: ViewedState) -> list[TokenView]:
    """Returns the tokens in this state. Now means the current table, which includes a token created just before."""
    return tokens_as_of(tx, state.position) if state.is_past else list_tokens(tx)


def token_state(token: TokenView, at: datetime) -> str:
    """Returns "in use", "revoked" or "expired"."""
    if token.revoked_at:
        return "revoked"
    return "expired" if token.expires_at and token.expires_at <= utc_text(at) else "in use"


def _command(submission: FormSubmission, secret_sha256: str) -> CreateToken:
    """Builds the command from the form. Raises Problem 422."""
    name, partner, role = submission.field("name") or "", submission.field("partner"), submission.field("role")
    errors = []
    if not is_token_name(name):
        errors.append(InvalidField(("name",), NAME_RULE))
    if role not in ROLES:
        errors.append(InvalidField(("role",), f"must be one of {', '.join(ROLES)}"))
    if (role == Role.PARTNER) != (partner is not None):
        errors.append(InvalidField(("partner",), PARTNER_RULE))
    expiry = submission.field("expires_at")
    expires_at = parse_time_field(expiry, "expires_at") if expiry else None
    if expires_at and expires_at <= submission.context.service.clock():
        errors.append(InvalidField(("expires_at",), "must be in the future"))
    if errors:
        raise validation_error(errors)
    per_minute = submission.number("requests_per_minute", 0, MAX_LIMIT)
    until = to_microseconds(expires_at) if expires_at else None
    return CreateToken(name, Role(role or ""), partner, secret_sha256, per_minute, until)
