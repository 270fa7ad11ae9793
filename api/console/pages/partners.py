"""Which partners are there, what may they do, and how is that changed? For operators; a partner sees what is left of its quota."""

from http import HTTPStatus
from typing import Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from api.access.credentials import MAX_LIMIT, PARTNER_NAME, is_partner_name
from api.console.page_context import FormSubmission, OperatorForm, OperatorPage, PageContext, PartnerPage
from api.console.pages.tokens import tokens_of
from api.console.rendering import PARTNERS, QUOTA, render
from api.console.routing import ConsoleRoute
from api.console.time_travel import link
from api.http.problems import Problem, not_found, validation_error
from api.validation.field_errors import InvalidField
from domain.access.partner import SetPartner
from domain.redemption.window import MAX_DAYS, MIN_DAYS
from domain.single_requests.quota import Quota, seconds_to_next_day
from domain.store.cursor import Cursor
from domain.values import MissingFromFile, PartnerSettings
from projections.access.partners import PartnerView, list_partners, settings_at

BOUNDS = {"most": MAX_LIMIT, "days": (MIN_DAYS, MAX_DAYS)}

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(PARTNERS)
def show_partners(context: OperatorPage) -> Response:
    with context.service.ledger.read() as tx:
        partners = [
            {"name": view.name, "settings": settings, "created_at": view.created_at}
            for view in list_partners(tx)
            if (settings := settings_at(tx, view.name, context.state.position))
        ]
        quotas = _quotas(tx, context, [str(partner["name"]) for partner in partners])
    return render(
        context, "partners.html", "Partners", partners=partners, quotas=quotas, first=PartnerSettings(), **_choices()
    )


@router.get(f"{PARTNERS}/{{name}}")
def show_partner_page(context: OperatorPage, name: str) -> Response:
    with context.service.ledger.read() as tx:
        view = _known(tx, name)
        settings = settings_at(tx, name, context.state.position)
        if settings is None:
            raise not_found("partner at this moment")
        tokens = tokens_of(tx, context.state)
        quota = _quotas(tx, context, [name]).get(name)
    return render(
        context,
        "partner.html",
        name,
        partner=view,
        settings=settings,
        tokens=[token for token in tokens if token.partner == name],
        quota=quota,
        saved="saved" in context.query,
        **_choices(),
    )


@router.post(PARTNERS)
def submit_partner(submission: OperatorForm) -> Response:
    """Creates it, or changes its settings."""
    name = submission.given("name") or ""
    if not is_partner_name(name):
        raise validation_error([InvalidField(("name",), PARTNER_NAME)])
    if submission.given("new"):
        _require_new(submission.page, name)
    command = SetPartner(
        name,
        submission.number("synchronize_per_day", 0, MAX_LIMIT),
        submission.number("insert_per_hour", 0, MAX_LIMIT),
        submission.number("rps", 0, MAX_LIMIT),
        _daily_quota(submission),
        _missing_from_file(submission),
        submission.number("redemption_window_days", MIN_DAYS, MAX_DAYS),
    )
    submission.page.service.ledger.handle(command, submission.page.origin)
    return RedirectResponse(link(f"{PARTNERS}/{name}", {"saved": 1}), HTTPStatus.SEE_OTHER)


@router.get(QUOTA)
def show_quota(context: PartnerPage) -> Response:
    name = context.partner or ""
    _, quota = context.service.single_requests.terms(name)
    reset = seconds_to_next_day(context.service.clock())
    return render(context, "quota.html", "Quota of today", quota=quota, reset=reset)


def _require_new(context: PageContext, name: str) -> None:
    """Its settings are not to be lost by a form that has never shown them. Raises Problem 409."""
    with context.service.ledger.read() as tx:
        if list_partners(tx, name):
            detail = "There is such a partner already. Its settings are changed on its own page."
            raise Problem(HTTPStatus.CONFLICT, "partner-exists", detail)


def _known(tx: Cursor, name: str) -> PartnerView:
    found = list_partners(tx, name)
    if not found:
        raise not_found("partner")
    return found[0]


def _quotas(tx: Cursor, context: PageContext, names: list[str]) -> dict[str, Quota]:
    """Of today: of another day, nothing is told."""
    if context.state.is_past:
        return {}
    return {name: quota for name, (_, quota) in context.service.single_requests.terms_of(tx, names).items()}


def _daily_quota(submission: FormSubmission) -> int | Literal["auto"]:
    if submission.given("daily_quota") == "auto":
        return "auto"
    return submission.number("daily_quota", 0, MAX_LIMIT)


def _missing_from_file(submission: FormSubmission) -> MissingFromFile:
    try:
        return MissingFromFile(submission.given("missing_from_file") or "")
    except ValueError:
        words = ", ".join(MissingFromFile)
        raise validation_error([InvalidField(("missing_from_file",), f"must be one of {words}")]) from None


def _choices() -> dict[str, Any]:
    return {"bounds": BOUNDS, "missing_from_file": [str(one) for one in MissingFromFile]}
