"""How does a publisher report that a customer has activated an offer, and schedule its flights?"""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from api.dependencies.authentication import require_roles, require_roles_async
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.http.ledger_position import unwrap
from api.http.pagination import JSON
from api.http.problem_schemas import BODY_PROBLEMS, PROBLEM, PROBLEMS
from api.http.problems import not_found
from api.http.query_params import no_parameters, uid
from api.parsing.json_body import read_body, takes
from api.redemption.activation_schemas import ActivationReply, ActivationView
from api.redemption.activation_schemas import ActivationRequest as ActivationBody
from api.server.raw_route import RawRoute
from api.server.retry_route import RetryingRoute
from api.validation.times import Time, read_time
from domain.redemption.activation import Activate, Activation, state_at
from domain.redemption.activation_group import PendingActivation
from domain.refusals import Refused
from domain.values import Origin, Role, Source, Status, utc_text
from projections.access.tokens import Caller
from projections.offers.offer_as_of import content_at, offer_as_of
from projections.redemption.redemption_windows import find_activation

ACTIVATIONS_PATH = "/api/v1/activations"

authorise_publisher = require_roles_async(Role.PUBLISHER)
MayReport = Annotated[Caller, Depends(authorise_publisher)]
MayReadActivations = Annotated[Caller, Depends(require_roles(Role.PUBLISHER, Role.AUDITOR, Role.OPERATOR))]

router = APIRouter(tags=["activations"], responses=PROBLEMS, route_class=RetryingRoute)
raw_router = APIRouter(route_class=RawRoute)


@raw_router.post(
    ACTIVATIONS_PATH,
    status_code=HTTPStatus.CREATED,
    responses={
        200: {"model": ActivationReply, "description": "An earlier activation covers that time"},
        201: {"model": ActivationReply},
        409: {"description": "The offer could not be activated then", **PROBLEM},
        **BODY_PROBLEMS,
    },
    openapi_extra=takes(ActivationBody),
)
async def activate_offer(request: Request) -> Response:
    """A customer has activated an offer: its terms of that moment are owed, whatever becomes of it."""
    caller = await authorise_publisher(request, request.app.state.service)
    no_parameters(request)
    body = await read_body(request, ActivationBody)
    result = unwrap(request, await request.app.state.activations.submit(activation_request(caller, body)))
    if isinstance(result, Refused):
        raise result
    status = HTTPStatus.CREATED if result.is_new else HTTPStatus.OK
    headers = {"Location": f"{ACTIVATIONS_PATH}/{result.activation.activation_id}"}
    return Response(msgspec.json.encode(activation_document(result.activation)), status, headers, JSON)


router.include_router(raw_router)


def activation_request(caller: Caller, body: ActivationBody) -> PendingActivation:
    activated_at = read_time(body.activatedAt) if body.activatedAt is not None else None
    asked = Activate(body.customerId, UUID(body.offerUid), activated_at)
    return PendingActivation(Origin(caller.name, Source.PUBLISHER), asked, uuid4())


class AtQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    at: Time | None = None


@router.get(ACTIVATIONS_PATH + "/{activationId}", responses={200: {"model": ActivationView}})
@fall_back_to_primary
def get_activation(
    reads: ReplicaReads,
    caller: MayReadActivations,  # noqa: ARG001 - asks for the role
    activation_id: Annotated[str, Path(alias="activationId")],
    query: Annotated[AtQuery, Query()],
) -> Response:
    """One activation with the offer as activated, and the state of its window now or at another time."""
    named = uid(activation_id)
    with reads.read() as tx:
        now = reads.now(tx)
        at = now if query.at is None else read_time(query.at)
        found = find_activation(tx, named) if named else None
        if found is None:
            raise not_found("activation")
        offer = offer_as_of(tx, found.offer_uid, min(at, now))
        content = content_at(tx, found.offer_uid, found.offer_version)
    state = state_at(found.window, at, is_active=offer.status is Status.ACTIVE)
    answer = {**activation_document(found), "at": utc_text(at), "state": state, "content": content}
    return Response(msgspec.json.encode(answer), media_type=JSON)


def activation_document(activation: Activation) -> dict[str, Any]:
    return {
        "activationId": activation.activation_id,
        "offerUid": activation.offer_uid,
        "customerId": activation.customer_id,
        "offerVersion": activation.offer_version,
        "activatedAt": utc_text(activation.window.activated_at),
        "redemptionWindowDays": activation.redemption_window_days,
        "redeemableUntil": utc_text(activation.window.redeemable_until),
        "late": activation.late,
    }
