"""The activations API: record that a customer activated an offer, and read activations."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from api.dependencies.authentication import origin_of
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.dependencies.roles import authorise_publisher, for_activation_readers
from api.dependencies.runtime import runtime_of
from api.http.ledger_position import unwrap
from api.http.problems import not_found
from api.http.query_params import no_parameters, uid
from api.http.replies import json_response
from api.parsing.json_body import openapi_request_body, read_body
from api.redemption.activation_schemas import ActivationReply, ActivationView
from api.redemption.activation_schemas import ActivationRequest as ActivationBody
from api.server.raw_route import RawRoute
from api.server.retry_route import RetryingRoute
from api.validation.times import Time, read_time
from domain.redemption.activation import Activate, Activation, state_at
from domain.redemption.activation_group import PendingActivation
from domain.refusals import Refused
from domain.store.commit import applicable_time
from domain.values import Origin, Source, Status, utc_text
from projections.offers.offer_as_of import content_of_version, offer_as_of
from projections.redemption.redemption_windows import find_activation

ACTIVATIONS_PATH = "/api/v1/activations"

router = APIRouter(tags=["activations"], route_class=RetryingRoute)
raw_router = APIRouter(route_class=RawRoute)


@raw_router.post(
    ACTIVATIONS_PATH,
    status_code=HTTPStatus.CREATED,
    responses={
        200: {"model": ActivationReply, "description": "An earlier activation covers this time"},
        201: {"model": ActivationReply},
    },
    openapi_extra=openapi_request_body(ActivationBody),
)
async def activate_offer(request: Request) -> Response:
    """Record that a customer activated an offer. The terms at the time of activation stay valid for this customer,
    even if the offer changes later."""
    runtime = runtime_of(request)
    caller = await authorise_publisher(request, runtime.service)
    no_parameters(request)
    body = await read_body(request, ActivationBody)
    result = unwrap(
        request,
        await runtime.activations.submit(activation_request(origin_of(request, caller, Source.PUBLISHER), body)),
    )
    if isinstance(result, Refused):
        raise result
    status = HTTPStatus.CREATED if result.is_new else HTTPStatus.OK
    headers = {"Location": f"{ACTIVATIONS_PATH}/{result.activation.activation_id}"}
    return json_response(activation_document(result.activation), status, headers)


router.include_router(raw_router)


def activation_request(origin: Origin, body: ActivationBody) -> PendingActivation:
    activated_at = read_time(body.activatedAt) if body.activatedAt is not None else None
    command = Activate(body.customerId, UUID(body.offerUid), activated_at)
    return PendingActivation(origin, command, uuid4())


class AtQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    at: Time | None = None


@router.get(
    ACTIVATIONS_PATH + "/{activationId}",
    responses={200: {"model": ActivationView}},
    dependencies=[for_activation_readers],
)
@fall_back_to_primary
def get_activation(
    reads: ReplicaReads,
    activation_id: Annotated[str, Path(alias="activationId")],
    query: Annotated[AtQuery, Query()],
) -> Response:
    """Get one activation with the offer as activated, and the state of its window now or at another time."""
    parsed_uid = uid(activation_id)
    with reads.read() as tx:
        now = reads.now(tx)
        at = read_time(query.at) if query.at else None
        activation = find_activation(tx, parsed_uid) if parsed_uid else None
        if activation is None:
            raise not_found("activation")
        offer = offer_as_of(tx, activation.offer_uid, applicable_time(tx, at, now))
        content = content_of_version(tx, activation.offer_uid, activation.offer_version)
    at = at or now
    # A window can start before its offer was recorded, if the clock was ahead by then.
    state = state_at(activation.window, at, is_active=offer.status in {Status.ACTIVE, Status.ABSENT})
    answer = {**activation_document(activation), "at": utc_text(at), "state": state, "content": content}
    return json_response(answer)


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
