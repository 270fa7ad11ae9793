"""Is a purchase owed a reward, as known at a time, and on which purchases has the answer changed?"""

from datetime import datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from msgspec.structs import replace

from api.dependencies.authentication import may
from api.dependencies.read_routing import AnyReads, answered_by_either
from api.http import pagination as cursors
from api.http.pagination import JSON, next_link, told_of_head
from api.http.problem_schemas import PROBLEMS
from api.http.problems import validation_error
from api.redemption.activation_routes import MayReadActivations
from api.redemption.window_schemas import ChangedVerdictList, ChangedVerdictQuery, VerdictQuery, VerdictReply
from api.server.retry_route import ReadAgain
from api.validation.field_errors import Complaint
from api.validation.times import read_time
from domain.ledgers.ledger import Snapshots
from domain.redemption.activation import Activation
from domain.redemption.redemption import Verdict, verdict_on
from domain.refusals import UnknownOffer
from domain.store.commit import head_at
from domain.values import Role, to_microseconds, utc_text
from projections.access.tokens import Caller
from projections.offers.offer_as_of import content_at
from projections.redemption import changed_verdicts
from projections.redemption.changed_verdicts import START, ChangedVerdict, FactPlace, Span
from projections.redemption.redemption_windows import activations, offer_terms

MayAudit = Annotated[Caller, Depends(may(Role.AUDITOR, Role.OPERATOR))]

router = APIRouter(prefix="/api/v1", tags=["redemptions"], responses=PROBLEMS, route_class=ReadAgain)


@router.get("/redemption-verdict", responses={200: {"model": VerdictReply}})
@answered_by_either
def get_verdict(
    reads: AnyReads,
    caller: MayReadActivations,  # noqa: ARG001 - asks for the role
    query: Annotated[VerdictQuery, Query()],
) -> Response:
    """On a purchase at one time, by what had been recorded at another; no purchase has to be there."""
    as_of = read_time(query.asOf) if query.asOf else None
    answer = verdict_document(reads, query.customerId, UUID(query.offerUid), read_time(query.transactedAt), as_of)
    return Response(msgspec.json.encode(answer), media_type=JSON)


def verdict_document(
    ledger: Snapshots, customer_id: str, offer_uid: UUID, transacted_at: datetime, as_of: datetime | None
) -> dict[str, Any]:
    """The verdict as its readers get it, by HTTP and from the command line. Raises UnknownOffer."""
    with ledger.reading() as tx:
        if offer_uid not in offer_terms(tx, [offer_uid]):
            raise UnknownOffer
        head = head_at(tx, as_of or ledger.present(tx))
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
        **told_of_head(head),
    }


@router.get("/audit/changed-verdicts", responses={200: {"model": ChangedVerdictList}})
@answered_by_either
def list_changed_verdicts(
    request: Request,
    reads: AnyReads,
    caller: MayAudit,  # noqa: ARG001 - asks for the role
    query: Annotated[ChangedVerdictQuery, Query()],
) -> Response:
    """The purchases on which the verdict as known at `to` is another than as known at `from`, and the late fact behind it."""
    span = Span(read_time(query.from_), read_time(query.to))
    if span.until < span.since:
        raise validation_error([Complaint(("query", "to"), "must not be before from")])
    question = (query.partner, query.from_, query.to)
    place = cursors.decode_as(_Place, question, query.cursor)
    with reads.reading() as tx:
        # Every page of a list knows what the first one knew.
        head = head_at(tx, cursors.moment(place.until) if place else span.until)
        span = replace(span, until=head.recorded_at or span.since)
        page = changed_verdicts.page(tx, span, query.partner, FactPlace(*place[1:]) if place else START, query.limit)
    following = page.next_after and _Place(to_microseconds(span.until), *page.next_after)
    next_cursor = cursors.encode(question, following)
    answer = {"items": [_changed(item) for item in page.items], "nextCursor": next_cursor, **told_of_head(head)}
    return Response(msgspec.json.encode(answer), headers=next_link(request.url, next_cursor), media_type=JSON)


class _Place(NamedTuple):
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


def _changed(item: ChangedVerdict) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(item, builtin_types=(UUID,))
    return members | {"before": _verdict(item.before), "after": _verdict(item.after)}
