"""Is a purchase owed a reward, as known at a time, and on which purchases has the answer changed?"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from api import cursors
from api.activations import MayRead
from api.auth import Here, may
from api.pages import JSON, next_link
from api.problems import validation_error
from api.schemas.messages import Complaint
from api.schemas.problem import PROBLEMS
from api.schemas.redemption_windows import ChangedVerdictList, ChangedVerdictQuery, VerdictQuery, VerdictReply
from api.schemas.times import read_time
from api.wiring import Service
from domain.activation import Activation
from domain.redemption import Verdict, verdict_on
from domain.refusals import UnknownOffer
from domain.store.commit import head_at
from domain.values import Role, recorded_text, utc_text
from projections import changed_verdicts
from projections.changed_verdicts import START, AttemptPlace, ChangedVerdict, Span
from projections.offer_then import content_at
from projections.redemption_windows import activations, offer_terms
from projections.tokens import Caller

MayAudit = Annotated[Caller, Depends(may(Role.AUDITOR, Role.OPERATOR))]
NUMBERS_OF_A_PLACE = 2

router = APIRouter(prefix="/api/v1", tags=["redemptions"], responses=PROBLEMS)


@router.get("/redemption-verdict", responses={200: {"model": VerdictReply}})
def get_verdict(
    service: Here,
    caller: MayRead,  # noqa: ARG001 - asks for the role
    query: Annotated[VerdictQuery, Query()],
) -> Response:
    """On a purchase at one time, by what had been recorded at another; no purchase has to be there."""
    as_of = read_time(query.asOf) if query.asOf else None
    answer = verdict_document(service, query.customerId, UUID(query.offerUid), read_time(query.transactedAt), as_of)
    return Response(msgspec.json.encode(answer), media_type=JSON)


def verdict_document(
    service: Service, customer_id: str, offer_uid: UUID, transacted_at: datetime, as_of: datetime | None
) -> dict[str, Any]:
    """The verdict as its readers get it, by HTTP and from the command line. Raises UnknownOffer."""
    with service.ledger.recorder.reading() as tx:
        if offer_terms(tx, offer_uid) is None:
            raise UnknownOffer
        head = head_at(tx, as_of or service.ledger.present(tx))
        made = activations(tx, customer_id, offer_uid, head.recorded_at) if head.recorded_at else []
        verdict = verdict_on(made, transacted_at)
        terms = verdict.activation
        content = content_at(tx, offer_uid, terms.offer_version) if terms else None
    return {
        **_verdict(verdict),
        "customerId": customer_id,
        "offerUid": offer_uid,
        "transactedAt": utc_text(transacted_at),
        "activatedAt": utc_text(terms.window.activated_at) if terms else None,
        "redemptionWindowDays": terms.redemption_window_days if terms else None,
        "redeemableUntil": utc_text(terms.window.redeemable_until) if terms else None,
        "content": content,
        "windows": [_window(activation) for activation in made],
        "position": head.position,
        "asOf": utc_text(head.recorded_at) if head.recorded_at else None,
    }


@router.get("/audit/changed-verdicts", responses={200: {"model": ChangedVerdictList}})
def list_changed_verdicts(
    request: Request,
    service: Here,
    caller: MayAudit,  # noqa: ARG001 - asks for the role
    query: Annotated[ChangedVerdictQuery, Query()],
) -> Response:
    """The purchases on which the verdict as known at `to` is another than as known at `from`, and the late fact behind it."""
    span = Span(read_time(query.from_), read_time(query.to))
    if span.until < span.since:
        raise validation_error([Complaint(("query", "to"), "must not be before from")])
    question = (query.partner, query.from_, query.to)
    place = cursors.decode_places(question, query.cursor, NUMBERS_OF_A_PLACE)
    with service.ledger.recorder.reading() as tx:
        after = AttemptPlace(*place) if place else START
        page = changed_verdicts.page(tx, span, query.partner, after, query.limit)
    next_cursor = cursors.encode(question, page.next_after)
    answer = {"items": [_changed(item) for item in page.items], "nextCursor": next_cursor}
    return Response(msgspec.json.encode(answer), headers=next_link(request.url, next_cursor), media_type=JSON)


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "valid": verdict.activation is not None,
        "reason": verdict.reason,
        "activationId": verdict.activation.activation_id if verdict.activation else None,
        "offerVersion": verdict.activation.offer_version if verdict.activation else None,
    }


def _window(activation: Activation) -> dict[str, Any]:
    return {
        "activationId": activation.activation_id,
        "activatedAt": utc_text(activation.window.activated_at),
        "redeemableUntil": utc_text(activation.window.redeemable_until),
    }


def _changed(item: ChangedVerdict) -> dict[str, Any]:
    row = item.row
    return {
        "redemptionId": UUID(bytes=row["redemption_uid"]),
        "transactionId": row["transaction_id"],
        "type": row["type"],
        "customerId": row["customer_id"],
        "offerUid": UUID(bytes=row["offer_uid"]),
        "partner": row["partner"],
        "amount": row["amount"],
        "currency": row["currency"],
        "transactedAt": recorded_text(row["transacted_at"]),
        "recordedAt": recorded_text(row["recorded_at"]),
        "before": _verdict(item.before),
        "after": _verdict(item.after),
        "lateFact": item.late_fact,
    }
