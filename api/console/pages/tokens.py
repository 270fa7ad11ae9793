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
from api.console.page_context import Operating, OperatorForm, Submission, Visit
from api.console.rendering import TOKENS, render
from api.console.routing import ConsoleRoute
from api.console.time_travel import Moment, read_moment
from api.dependencies.authentication import digest_secret
from api.http.exception_handlers import problem_of
from api.http.problems import Problem, validation_error
from api.validation.field_errors import Complaint
from domain.access.token import CreateToken, RevokeToken
from domain.refusals import Refused
from domain.store.cursor import Cursor
from domain.values import Role, to_microseconds, utc_text
from projections.access.partners import list_partners
from projections.access.tokens import TokenView, list_tokens, tokens_at

ROLES = tuple(map(str, Role))

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(TOKENS)
def show_tokens(visit: Operating) -> Response:
    return _page(visit)


@router.post(TOKENS)
def create_token(submission: OperatorForm) -> Response:
    """Its secret is on the page that answers, and nowhere else."""
    visit, secret = submission.visit, new_secret()
    try:
        command = _command(submission, digest_secret(secret))
        visit.service.ledger.handle(command, visit.origin)
    except (Problem, Refused) as error:
        problem = problem_of(error)
        return _page(visit, problem.status, problem=problem, sent=submission.fields)
    return _page(visit, created=command.name, secret=secret)


@router.post(f"{TOKENS}/revoked")
def revoke_token(submission: OperatorForm) -> Response:
    submission.visit.service.ledger.handle(RevokeToken(submission.given("name") or ""), submission.visit.origin)
    return RedirectResponse(TOKENS, HTTPStatus.SEE_OTHER)


def _page(visit: Visit, status: HTTPStatus = HTTPStatus.OK, **told: Any) -> Response:
    with visit.service.ledger.reading() as tx:
        tokens = tokens_of(tx, visit.moment)
        partners = [partner.name for partner in list_partners(tx)]
    rows = [(token, state_of(token, visit.moment.at)) for token in tokens]
    nothing: dict[str, Any] = {"problem": None, "sent": {}, "created": None, "secret": None}
    first = {"requests_per_minute": DEFAULT_REQUESTS_PER_MINUTE, "most": MAX_LIMIT}
    return render(
        visit, "tokens.html", "Tokens", status, rows=rows, partners=partners, roles=ROLES, first=first, **nothing | told
    )


def tokens_of(tx: Cursor, moment: Moment) -> list[TokenView]:
    """As they are, or as they were. A token that has just been made is among those that are."""
    return tokens_at(tx, moment.position) if moment.is_past else list_tokens(tx)


def state_of(token: TokenView, at: datetime) -> str:
    """In a word: in use, revoked or expired."""
    if token.revoked_at:
        return "revoked"
    return "expired" if token.expires_at and token.expires_at <= utc_text(at) else "in use"


def _command(submission: Submission, secret_sha256: str) -> CreateToken:
    """Raises Problem 422."""
    name, partner, role = submission.given("name") or "", submission.given("partner"), submission.given("role")
    broken = []
    if not is_token_name(name):
        broken.append(Complaint(("name",), TOKEN_NAME))
    if role not in ROLES:
        broken.append(Complaint(("role",), f"must be one of {', '.join(ROLES)}"))
    if (role == Role.PARTNER) != (partner is not None):
        broken.append(Complaint(("partner",), TOKEN_PARTNER))
    ends = submission.given("expires_at")
    expires_at = read_moment(ends, "expires_at") if ends else None
    if expires_at and expires_at <= submission.visit.service.clock():
        broken.append(Complaint(("expires_at",), "must lie in the future"))
    if broken:
        raise validation_error(broken)
    per_minute = submission.number("requests_per_minute", 0, MAX_LIMIT)
    until = to_microseconds(expires_at) if expires_at else None
    return CreateToken(name, Role(role or ""), partner, secret_sha256, per_minute, until)
