"""The redemptions API: redeem offers on purchases, reverse redemptions and read them."""

from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from api.dependencies.authentication import ServiceDep, origin_of
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.dependencies.roles import Publisher, authorise_publisher, for_activation_readers
from api.dependencies.runtime import runtime_of
from api.http.ledger_position import unwrap
from api.http.problems import Problem, not_found
from api.http.query_params import no_parameters, uid
from api.http.replies import json_response
from api.parsing.json_body import openapi_request_body, read_body
from api.redemption.redemption_schemas import RedemptionReply, RedemptionView, ReversalReply, ReversalRequest
from api.redemption.redemption_schemas import RedemptionRequest as RedemptionBody
from api.server.raw_route import RawRoute
from api.server.retry_route import RetryingRoute
from api.validation.times import read_time
from domain.events import OfferRedeemed, RefusalReason
from domain.ledgers.redemption_ledger import PendingRedemption, RedemptionResult
from domain.redemption.redemption import Purchase, Redemption, Reverse, find_reversal, remaining_amount
from domain.refusals import Refused
from domain.values import Source, recorded_text
from projections.access.tokens import Caller

REDEMPTIONS_PATH = "/api/v1/redemptions"
REDEMPTION_REPLAYED = {"Idempotency-Replayed": "true"}

REFUSAL_MESSAGES = {
    RefusalReason.NOT_ACTIVATED: "The customer has not activated the offer.",
    RefusalReason.WINDOW_CLOSED: "The purchase is outside all redemption windows of the customer and the offer.",
}

RedemptionId = Annotated[str, Path(alias="redemptionId")]

router = APIRouter(tags=["redemptions"], route_class=RetryingRoute)
raw_router = APIRouter(route_class=RawRoute)


@raw_router.post(
    REDEMPTIONS_PATH,
    status_code=HTTPStatus.CREATED,
    responses={
        201: {"model": RedemptionReply},
    },
    openapi_extra=openapi_request_body(RedemptionBody),
)
async def redeem_offer(request: Request) -> Response:
    """Redeem an offer on a customer's purchase. The purchase is rewarded if it was made inside a redemption window,
    no matter when it is reported."""
    caller = await authorise_publisher(request, runtime_of(request).service)
    no_parameters(request)
    body = await read_body(request, RedemptionBody)
    result = await _submit(request, caller, _purchase(body))
    redeemed = result.redemption.redeemed
    if redeemed is None:
        assert result.redemption.refused
        reason = result.redemption.refused.reason
        raise Problem(HTTPStatus.CONFLICT, reason, REFUSAL_MESSAGES[reason])
    headers = {
        "Location": f"{REDEMPTIONS_PATH}/{result.redemption_id}",
        **({} if result.is_new else REDEMPTION_REPLAYED),
    }
    document = _document(result.redemption_id, redeemed)
    return json_response(document, HTTPStatus.CREATED, headers)


router.include_router(raw_router)


@router.get(
    REDEMPTIONS_PATH + "/{redemptionId}",
    responses={200: {"model": RedemptionView}},
    dependencies=[for_activation_readers],
)
@fall_back_to_primary
def get_redemption(
    request: Request,
    service: ServiceDep,
    reads: ReplicaReads,
    redemption_id: RedemptionId,
) -> Response:
    """Get one redemption and its reversals."""
    no_parameters(request)
    parsed_uid = _parse_redemption_id(redemption_id)
    with reads.read() as tx:
        redemption = service.redemptions.find(tx, parsed_uid)
    if redemption.redeemed is None:
        raise not_found("redemption")
    answer = {
        **_document(parsed_uid, redemption.redeemed),
        "reversals": [
            {"reversalId": reversal.reversal_id, "amount": reversal.amount} for reversal in redemption.reversals
        ],
        "remaining": str(remaining_amount(redemption)),
    }
    return json_response(answer)


@router.post(
    REDEMPTIONS_PATH + "/{redemptionId}/reversals",
    status_code=HTTPStatus.CREATED,
    responses={
        201: {"model": ReversalReply},
    },
    openapi_extra=openapi_request_body(ReversalRequest),
)
async def reverse_redemption(request: Request, caller: Publisher, redemption_id: RedemptionId) -> Response:
    """Reverse a redemption, in full or in part."""
    no_parameters(request)
    body = await read_body(request, ReversalRequest)
    command = Reverse(_parse_redemption_id(redemption_id), body.reversalId, Decimal(body.amount))
    result = await _submit(request, caller, command)
    document = _reversal(result, command.reversal_id)
    headers = {} if result.is_new else REDEMPTION_REPLAYED
    return json_response(document, HTTPStatus.CREATED, headers)


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


async def _submit(request: Request, caller: Caller, command: Purchase | Reverse) -> RedemptionResult:
    """Raises Refused."""
    origin = origin_of(request, caller, Source.PUBLISHER)
    result = unwrap(request, await runtime_of(request).redemptions.submit(PendingRedemption(origin, command)))
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


def _reversal(result: RedemptionResult, reversal_id: str) -> dict[str, Any]:
    """Returns the reply to a reversal. Later reversals do not change it."""
    redemption: Redemption = result.redemption
    reversal, redeemed = find_reversal(redemption, reversal_id), redemption.redeemed
    assert reversal
    assert redeemed
    return {
        "reversalId": reversal_id,
        "redemptionId": result.redemption_id,
        "amount": reversal.amount,
        "currency": redeemed.currency,
        "remaining": str(remaining_amount(redemption, reversal_id)),
    }


def _parse_redemption_id(redemption_id: str) -> UUID:
    parsed_uid = uid(redemption_id)
    if parsed_uid is None:
        raise not_found("redemption")
    return parsed_uid
