"""How does a publisher report a purchase that shall be rewarded, and take it back?"""

from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Path, Request, Response

from api.dependencies.authentication import ServiceDep
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.http.ledger_position import Committed, unwrap
from api.http.pagination import JSON
from api.http.problem_schemas import BODY_PROBLEMS, PROBLEM, PROBLEMS
from api.http.problems import Problem, not_found
from api.http.query_params import no_parameters, uid
from api.parsing.json_body import read_body, takes
from api.redemption.activation_routes import MayReadActivations, MayReport, authorise_publisher
from api.redemption.redemption_schemas import RedemptionReply, RedemptionView, ReversalReply, ReversalRequest
from api.redemption.redemption_schemas import RedemptionRequest as RedemptionBody
from api.server.raw_route import RawRoute
from api.server.retry_route import RetryingRoute
from api.validation.times import read_time
from domain.events import OfferRedeemed, RefusalReason
from domain.ledgers.redemption_ledger import PendingRedemption, RedemptionResult
from domain.redemption.redemption import Purchase, Redemption, Reverse, remaining, reversed_by
from domain.refusals import Refused
from domain.values import Origin, Source, recorded_text
from projections.access.tokens import Caller

REDEMPTIONS_PATH = "/api/v1/redemptions"
REDEMPTION_REPLAYED = {"Idempotency-Replayed": "true"}

REFUSAL_MESSAGES = {
    RefusalReason.NOT_ACTIVATED: "The customer has not activated the offer.",
    RefusalReason.WINDOW_CLOSED: "The purchase lies outside every redemption window of the customer and the offer.",
}

RedemptionId = Annotated[str, Path(alias="redemptionId")]

router = APIRouter(tags=["redemptions"], responses=PROBLEMS, route_class=RetryingRoute)
raw_router = APIRouter(route_class=RawRoute)


@raw_router.post(
    REDEMPTIONS_PATH,
    status_code=HTTPStatus.CREATED,
    responses={
        201: {"model": RedemptionReply},
        409: {"description": "No redemption window of the customer and the offer holds the purchase", **PROBLEM},
        **BODY_PROBLEMS,
    },
    openapi_extra=takes(RedemptionBody),
)
async def redeem_offer(request: Request) -> Response:
    """A purchase of a customer: owed a reward if it was made inside a redemption window, whenever it is reported."""
    caller = await authorise_publisher(request, request.app.state.service)
    no_parameters(request)
    body = await read_body(request, RedemptionBody)
    settled = await _submit(request, caller, _purchase(body))
    redeemed = settled.redemption.redeemed
    if redeemed is None:
        assert settled.redemption.refused  # noqa: S101 - it is one or the other
        reason = settled.redemption.refused.reason
        raise Problem(HTTPStatus.CONFLICT, reason, REFUSAL_MESSAGES[reason])
    headers = {
        "Location": f"{REDEMPTIONS_PATH}/{settled.redemption_id}",
        **({} if settled.is_new else REDEMPTION_REPLAYED),
    }
    document = _document(settled.redemption_id, redeemed)
    return Response(msgspec.json.encode(document), HTTPStatus.CREATED, headers, JSON)


router.include_router(raw_router)


@router.get(REDEMPTIONS_PATH + "/{redemptionId}", responses={200: {"model": RedemptionView}})
@fall_back_to_primary
def get_redemption(
    request: Request,
    service: ServiceDep,
    reads: ReplicaReads,
    caller: MayReadActivations,  # noqa: ARG001 - asks for the role
    redemption_id: RedemptionId,
) -> Response:
    """One redemption, and what has been taken back of it."""
    no_parameters(request)
    named = _named(redemption_id)
    with reads.read() as tx:
        redemption = service.redemptions.find(tx, named)
    if redemption.redeemed is None:
        raise not_found("redemption")
    answer = {
        **_document(named, redemption.redeemed),
        "reversals": [
            {"reversalId": reversal.reversal_id, "amount": reversal.amount} for reversal in redemption.reversals
        ],
        "remaining": str(remaining(redemption)),
    }
    return Response(msgspec.json.encode(answer), media_type=JSON)


@router.post(
    REDEMPTIONS_PATH + "/{redemptionId}/reversals",
    status_code=HTTPStatus.CREATED,
    responses={
        201: {"model": ReversalReply},
        409: {"description": "It is more than what is left of the redemption", **PROBLEM},
        **BODY_PROBLEMS,
    },
    openapi_extra=takes(ReversalRequest),
)
async def reverse_redemption(request: Request, caller: MayReport, redemption_id: RedemptionId) -> Response:
    """All or a part of a redeemed purchase was undone."""
    no_parameters(request)
    body = await read_body(request, ReversalRequest)
    command = Reverse(_named(redemption_id), body.reversalId, Decimal(body.amount))
    settled = await _submit(request, caller, command)
    document = _reversal(settled, command.reversal_id)
    headers = {} if settled.is_new else REDEMPTION_REPLAYED
    return Response(msgspec.json.encode(document), HTTPStatus.CREATED, headers, JSON)


def _purchase(body: RedemptionBody) -> Purchase:
    return Purchase(
        transaction_id=body.transactionId,
        customer_id=body.customerId,
        offer_uid=UUID(body.offerUid),
        amount=Decimal(body.amount),
        currency=body.currency,
        transacted_at=read_time(body.transactedAt),
        partner_store_id=body.partnerStoreId,
        partner_merchant_name=body.partnerMerchantName,
        card_type=body.cardType,
        card_last_four=body.cardLastFour,
    )


async def _submit(request: Request, caller: Caller, asked: Purchase | Reverse) -> RedemptionResult:
    """Raises Refused."""
    origin = Origin(caller.name, Source.PUBLISHER)
    written: Committed[RedemptionResult | Refused] = await request.app.state.redemptions.submit(
        PendingRedemption(origin, asked)
    )
    result = unwrap(request, written)
    if isinstance(result, Refused):
        raise result
    return result


def _document(redemption_id: UUID, redeemed: OfferRedeemed) -> dict[str, Any]:
    return {
        "redemptionId": redemption_id,
        "transactionId": redeemed.transaction_id,
        "activationId": redeemed.activation_id,
        "customerId": redeemed.customer_id,
        "offerUid": redeemed.offer_uid,
        "offerVersion": redeemed.offer_version,
        "amount": redeemed.amount,
        "currency": redeemed.currency,
        "transactedAt": recorded_text(redeemed.transacted_at),
    }


def _reversal(settled: RedemptionResult, reversal_id: str) -> dict[str, Any]:
    """The same for ever, whatever is taken back later."""
    redemption: Redemption = settled.redemption
    reversal, redeemed = reversed_by(redemption, reversal_id), redemption.redeemed
    assert reversal  # noqa: S101 - it was made now or before
    assert redeemed  # noqa: S101 - nothing else can be reversed
    return {
        "reversalId": reversal_id,
        "redemptionId": settled.redemption_id,
        "amount": reversal.amount,
        "currency": redeemed.currency,
        "remaining": str(remaining(redemption, reversal_id)),
    }


def _named(redemption_id: str) -> UUID:
    named = uid(redemption_id)
    if named is None:
        raise not_found("redemption")
    return named
