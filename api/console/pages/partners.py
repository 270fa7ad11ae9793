"""The pages Partners and Quota: operators read and change the settings of partners, a partner reads its own quota."""

from http import HTTPStatus
from typing import Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from api.access.credentials import MAX_LIMIT, PARTNER_NAME_RULE, is_partner_name
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
from projections.access.partners import PartnerView, list_partners, settings_as_of

BOUNDS = {"most": MAX_LIMIT, "days": (MIN_DAYS, MAX_DAYS)}

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(PARTNERS)
def show_partners(context: OperatorPage) -> Response:
    with context.service.ledger.read() as tx:
        partners = [
            {"name": view.name, "settings": settings, "created_at": view.created_at}
            for view in list_partners(tx)
            if (settings := settings_as_of(tx, view.name, context.state.position))
        ]
        quotas = _quotas(tx, context, [str(partner["name"]) for partner in partners])
    return render(
        context, "partners.html", "Partners", partners=partners, quotas=quotas, defaults=PartnerSettings(), **_choices()
    )


@router.get(f"{PARTNERS}/{{name}}")
def show_partner_page(context: OperatorPage, name: str) -> Response:
    with context.service.ledger.read() as tx:
        view = _require_partner(tx, name)
        settings = settings_as_of(tx, name, context.state.position)
        if settings is None:
            raise not_found("partner in this state")
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
    """Creates a partner, or changes its settings."""
    name = submission.field("name") or ""
    if not is_partner_name(name):
        raise validation_error([InvalidField(("name",), PARTNER_NAME_RULE)])
    if submission.field("new"):
        _require_new(submission.context, name)
    command = SetPartner(
        name,
        submission.number("synchronize_per_day", 0, MAX_LIMIT),
        submission.number("insert_per_hour", 0, MAX_LIMIT),
        submission.number("rps", 0, MAX_LIMIT),
        _daily_quota(submission),
        _missing_from_file(submission),
        submission.number("redemption_window_days", MIN_DAYS, MAX_DAYS),
    )
    submission.context.service.ledger.handle(command, submission.origin)
    return RedirectResponse(link(f"{PARTNERS}/{name}", {"saved": 1}), HTTPStatus.SEE_OTHER)


@router.get(QUOTA)
def show_quota(context: PartnerPage) -> Response:
    name = context.partner or ""
    _, quota = context.service.single_requests.terms(name)
    reset = seconds_to_next_day(context.service.clock())
    return render(context, "quota.html", "Today's quota", quota=quota, reset=reset)


def _require_new(context: PageContext, name: str) -> None:
    """Raises Problem 409 if the partner exists: the form for new partners would replace settings it has not shown."""
    with context.service.ledger.read() as tx:
        if list_partners(tx, name):
            detail = "A partner with this name already exists. Change its settings on its own page."
            raise Problem(HTTPStatus.CONFLICT, "partner-exists", detail)


def _require_partner(tx: Cursor, name: str) -> PartnerView:
    partners = list_partners(tx, name)
    if not partners:
        raise not_found("partner")
    return partners[0]


def _quotas(tx: Cursor, context: PageContext, names: list[str]) -> dict[str, Quota]:
    """Returns today's quotas; empty in a past state, because the counts of other days are not shown."""
    if context.state.is_past:
        return {}
    return {name: quota for name, (_, quota) in context.service.single_requests.terms_of(tx, names).items()}


def _daily_quota(submission: FormSubmission) -> int | Literal["auto"]:
    if submission.field("daily_quota") == "auto":
        return "auto"
    return submission.number("daily_quota", 0, MAX_LIMIT)


def _missing_from_file(submission: FormSubmission) -> MissingFromFile:
    try:
        return MissingFromFile(submission.field("missing_from_file") or "")
    except ValueError:
        words = ", ".join(MissingFromFile)
        raise validation_error([InvalidField(("missing_from_file",), f"must be one of {words}")]) from None


def _choices() -> dict[str, Any]:
    return {"bounds": BOUNDS, "missing_from_file": [str(choice) for choice in MissingFromFile]}
