"""The roles that may make each call.

Routes and console pages authorise with the groups of roles below. `ROLES_BY_CALL` names the group of each call: the OpenAPI
document and the documentation are made from it. A test sends every call with a token of every role and compares the replies
with the table, so the two cannot differ.
"""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends

from api.dependencies.authentication import require_roles, require_roles_async
from domain.values import Role
from projections.access.tokens import Caller

Roles = tuple[Role, ...]

ALL_ROLES: Roles = tuple(Role)
PARTNER_ONLY: Roles = (Role.PARTNER,)
PUBLISHER_ONLY: Roles = (Role.PUBLISHER,)
OPERATOR_ONLY: Roles = (Role.OPERATOR,)
AUDITORS: Roles = (Role.AUDITOR, Role.OPERATOR)
PARTNER_READERS: Roles = (Role.PARTNER, Role.AUDITOR, Role.OPERATOR)
"""A partner reads its own data only."""
AUDIT_READERS: Roles = PARTNER_READERS
ACTIVATION_READERS: Roles = (Role.PUBLISHER, Role.AUDITOR, Role.OPERATOR)
FLIGHT_SCHEDULERS: Roles = (Role.PUBLISHER, Role.OPERATOR)
NO_TOKEN: Roles = ()
"""The call needs no token."""

ROLES_BY_CALL: Mapping[str, Roles] = {
    "POST /api/v1/integrations/offer-providers/custom/offers": PARTNER_ONLY,
    "PUT /api/v1/partner/merchants/{external_merchant_id}/offers/{external_offer_id}": PARTNER_ONLY,
    "DELETE /api/v1/partner/merchants/{external_merchant_id}/offers/{external_offer_id}": PARTNER_ONLY,
    "GET /api/v1/partner/quota": PARTNER_ONLY,
    "GET /api/v1/partner/requests/{trace_id}": PARTNER_READERS,
    "POST /api/v1/partner/offers-files": PARTNER_ONLY,
    "GET /api/v1/partner/redemptions": PARTNER_READERS,
    "GET /api/v1/runs": PARTNER_READERS,
    "GET /api/v1/runs/{runId}": PARTNER_READERS,
    "GET /api/v1/runs/{runId}/items": PARTNER_READERS,
    "GET /api/v1/offers": ALL_ROLES,
    "GET /api/v1/offers/counts": PARTNER_READERS,
    "GET /api/v1/offers/{offerUid}": PARTNER_READERS,
    "GET /api/v1/offers/{offerUid}/history": PARTNER_READERS,
    "POST /api/v1/offers/{offerUid}/flights": FLIGHT_SCHEDULERS,
    "GET /api/v1/offers/{offerUid}/flights": ACTIVATION_READERS,
    "POST /api/v1/runs/{runId}/undo": OPERATOR_ONLY,
    "POST /api/v1/offers/{offerUid}/hold": OPERATOR_ONLY,
    "POST /api/v1/offers/{offerUid}/release": OPERATOR_ONLY,
    "POST /api/v1/activations": PUBLISHER_ONLY,
    "POST /api/v1/activations/batch": PUBLISHER_ONLY,
    "GET /api/v1/activations/{activationId}": ACTIVATION_READERS,
    "POST /api/v1/redemptions": PUBLISHER_ONLY,
    "GET /api/v1/redemptions/{redemptionId}": ACTIVATION_READERS,
    "POST /api/v1/redemptions/{redemptionId}/reversals": PUBLISHER_ONLY,
    "GET /api/v1/redemption-windows": ALL_ROLES,
    "GET /api/v1/redemption-verdict": ACTIVATION_READERS,
    "GET /api/v1/audit/changed-verdicts": AUDITORS,
    "GET /api/v1/audit/diff": AUDIT_READERS,
    "GET /api/v1/audit/events": AUDIT_READERS,
    "GET /api/v1/audit/stream": AUDIT_READERS,
    "GET /api/v1/openapi.json": ALL_ROLES,
    "GET /": NO_TOKEN,
    "GET /healthz": NO_TOKEN,
    "GET /readyz": NO_TOKEN,
    "GET /problems/{type}": NO_TOKEN,
}
"""The roles of each call, by method and path."""

authorise_publisher = require_roles_async(*PUBLISHER_ONLY)
"""The role check of raw routes, which call it themselves."""

AnyCaller = Annotated[Caller, Depends(require_roles(*ALL_ROLES))]
PartnerCaller = Annotated[Caller, Depends(require_roles(*PARTNER_ONLY))]
Publisher = Annotated[Caller, Depends(authorise_publisher)]
Auditor = Annotated[Caller, Depends(require_roles(*AUDITORS))]
PartnerReader = Annotated[Caller, Depends(require_roles(*PARTNER_READERS))]
AuditReader = Annotated[Caller, Depends(require_roles(*AUDIT_READERS))]
FlightScheduler = Annotated[Caller, Depends(require_roles(*FLIGHT_SCHEDULERS))]

Operator = Annotated[Caller, Depends(require_roles(*OPERATOR_ONLY))]

for_activation_readers = Depends(require_roles(*ACTIVATION_READERS))
"""The role check of routes that do not need the caller: `dependencies=[...]`."""


def roles_table() -> str:
    """Returns a Markdown table: a row for each call, a column for each role."""
    header = ["call", *ALL_ROLES]
    rows = [
        [f"`{call}`", *(_cell(role, roles) for role in ALL_ROLES)]
        for call, roles in sorted(ROLES_BY_CALL.items(), key=_path_first)
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, ["---"] * len(header), *rows]) + "\n"


def _cell(role: Role, roles: Roles) -> str:
    if not roles:
        return "no token"
    return "yes" if role in roles else ""


def _path_first(item: tuple[str, Roles]) -> tuple[str, str]:
    method, _, path = item[0].partition(" ")
    return path, method
