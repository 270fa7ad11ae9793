"""Is a purchase owed a reward, as known at a time, and on which purchases has the answer changed?"""

from datetime import datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from msgspec.structs import replace

from api.dependencies.authentication import require_roles
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.http import pagination
from api.http.pagination import JSON, head_members, next_link
from api.http.problem_schemas import PROBLEMS
from api.http.problems import validation_error
from api.redemption.activation_routes import MayReadActivations
from api.redemption.window_schemas import ChangedVerdictList, ChangedVerdictQuery, VerdictQuery, VerdictReply
from api.server.retry_route import RetryingRoute
from api.validation.field_errors import InvalidField
from api.validation.times import read_time
from domain.ledgers.ledger import LedgerReader
from domain.redemption.activation import Activation
from domain.redemption.redemption import Verdict, verdict_on
from domain.refusals import UnknownOffer
from domain.store.commit import head_at_time
from domain.values import Role, to_microseconds, utc_text
from projections.access.tokens import Caller
from projections.offers.offer_as_of import content_at
from projections.redemption import changed_verdicts
from projections.redemption.changed_verdicts import FIRST_FACT, ChangedVerdictView, FactPlace, TimeRange
from projections.redemption.redemption_windows import activations, offer_terms

MayAudit = Annotated[Caller, Depends(require_roles(Role.AUDITOR, Role.OPERATOR))]

router = APIRouter(prefix="/api/v1", tags=["redemptions"], responses=PROBLEMS, route_class=RetryingRoute)


@router.get("/redemption-verdict", responses={200: {"model": VerdictReply}})
@fall_back_to_primary
def get_verdict(
    reads: ReplicaReads,
    caller: MayReadActivations,  # noqa: ARG001 - asks for the role
    query: Annotated[VerdictQuery, Query()],
) -> Response:
    """On a purchase at one time, by what had been recorded at another; no purchase has to be there."""
    as_of = read_time(query.asOf) if query.asOf else None
    answer = verdict_document(reads, query.customerId, UUID(query.offerUid), read_time(query.transactedAt), as_of)
    return Response(msgspec.json.encode(answer), media_type=JSON)


def verdict_document(
    ledger: LedgerReader, customer_id: str, offer_uid: UUID, transacted_at: datetime, as_of: datetime | None
) -> dict[str, Any]:
    """The verdict as its readers get it, by HTTP and from the command line. Raises UnknownOffer."""
    with ledger.read() as tx:
        if offer_uid not in offer_terms(tx, [offer_uid]):
            raise UnknownOffer
        head = head_at_time(tx, as_of or ledger.now(tx))
        made = activations(tx, [(customer_id, offer_uid)], head.recorded_at) if head.recorded_at else []
        verdict = verdict_on(made, transacted_at)
        terms = verdict if isinstance(verdict, Activation) else None
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
        **head_members(head),
    }


@router.get("/audit/changed-verdicts", responses={200: {"model": ChangedVerdictList}})
@fall_back_to_primary
def list_changed_verdicts(
    request: Request,
    reads: ReplicaReads,
    caller: MayAudit,  # noqa: ARG001 - asks for the role
    query: Annotated[ChangedVerdictQuery, Query()],
) -> Response:
    """The purchases on which the verdict as known at `to` is another than as known at `from`, and the late fact behind it."""
    span = TimeRange(read_time(query.from_), read_time(query.to))
    if span.until < span.since:
        raise validation_error([InvalidField(("query", "to"), "must not be before from")])
    question = (query.partner, query.from_, query.to)
    place = pagination.decode_cursor_as(_VerdictCursor, question, query.cursor)
    with reads.read() as tx:
        # Every page of a list knows what the first one knew.
        head = head_at_time(tx, pagination.cursor_time(place.until) if place else span.until)
        span = replace(span, until=head.recorded_at or span.since)
        page = changed_verdicts.page(
            tx, span, query.partner, FactPlace(*place[1:]) if place else FIRST_FACT, query.limit
        )
    following = page.next_after and _VerdictCursor(to_microseconds(span.until), *page.next_after)
    next_cursor = pagination.encode_cursor(question, following)
    answer = {"items": [_changed(item) for item in page.items], "nextCursor": next_cursor, **head_members(head)}
    return Response(msgspec.json.encode(answer), headers=next_link(request.url, next_cursor), media_type=JSON)


class _VerdictCursor(NamedTuple):
    """Where a page ended, and until when its list knows; times in microseconds."""

    until: int
    recorded_at: int
    activation_id: int
    redemption_id: int


def _verdict(verdict: Verdict) -> dict[str, Any]:
    terms = verdict if isinstance(verdict, Activation) else None
    return {
        "valid": terms is not None,
        "reason": None if terms else verdict,
        "activationId": terms.activation_id if terms else None,
        "offerVersion": terms.offer_version if terms else None,
    }


def _window(activation: Activation) -> dict[str, Any]:
    return {
        "activationId": activation.activation_id,
        "activatedAt": utc_text(activation.window.activated_at),
        "redeemableUntil": utc_text(activation.window.redeemable_until),
    }


def _changed(item: ChangedVerdictView) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(item, builtin_types=(UUID,))
    return members | {"before": _verdict(item.before), "after": _verdict(item.after)}
