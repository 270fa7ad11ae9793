"""The verdicts API: whether a purchase is rewarded as known at a time, and purchases whose verdict changed."""

from datetime import datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request, Response
from msgspec.structs import replace

from api.dependencies.authentication import ServiceDep
from api.dependencies.partner_filter import partner_filter
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.dependencies.roles import Auditor, for_activation_readers
from api.http.as_of import AsOf, resolve_head
from api.http.pagination import PageCursors, cursor_time, head_members, next_link
from api.http.problems import validation_error
from api.http.replies import json_response
from api.redemption.window_schemas import ChangedVerdictList, ChangedVerdictQuery, VerdictQuery, VerdictReply
from api.server.retry_route import RetryingRoute
from api.validation.field_errors import InvalidField
from api.validation.times import read_time
from domain.ledgers.ledger import LedgerReader
from domain.redemption.activation import Activation
from domain.redemption.redemption import Verdict, verdict_on
from domain.refusals import UnknownOffer
from domain.store.commit import head_at_time
from domain.values import to_microseconds, utc_text
from projections.offers.offer_as_of import content_of_version
from projections.redemption import changed_verdicts
from projections.redemption.changed_verdicts import FIRST_FACT, ChangedVerdictView, FactPlace, TimeRange
from projections.redemption.redemption_windows import find_activations, offer_terms

router = APIRouter(prefix="/api/v1", tags=["redemptions"], route_class=RetryingRoute)


@router.get("/redemption-verdict", responses={200: {"model": VerdictReply}}, dependencies=[for_activation_readers])
@fall_back_to_primary
def get_verdict(
    reads: ReplicaReads,
    query: Annotated[VerdictQuery, Query()],
) -> Response:
    """Get the verdict on a purchase at one time, as known at another time. The purchase need not be recorded."""
    as_of = read_time(query.asOf) if query.asOf else None
    answer = verdict_document(reads, query.customerId, UUID(query.offerUid), read_time(query.transactedAt), as_of)
    return json_response(answer)


def verdict_document(
    ledger: LedgerReader, customer_id: str, offer_uid: UUID, transacted_at: datetime, as_of: datetime | None
) -> dict[str, Any]:
    """Returns a verdict, for HTTP and the command line. Raises UnknownOffer."""
    with ledger.read() as tx:
        if offer_uid not in offer_terms(tx, [offer_uid]):
            raise UnknownOffer
        head = resolve_head(ledger, tx, AsOf(time=as_of))
        activations = find_activations(tx, [(customer_id, offer_uid)], head.recorded_at) if head.recorded_at else []
        verdict = verdict_on(activations, transacted_at)
        terms = verdict if isinstance(verdict, Activation) else None
        content = content_of_version(tx, offer_uid, terms.offer_version) if terms else None
    return {
        **_verdict(verdict),
        "customerId": customer_id,
        "offerUid": offer_uid,
        "transactedAt": utc_text(transacted_at),
        "activatedAt": utc_text(terms.window.activated_at) if terms else None,
        "redemptionWindowDays": terms.redemption_window_days if terms else None,
        "redeemableUntil": utc_text(terms.window.redeemable_until) if terms else None,
        "content": content,
        "windows": [_window(activation) for activation in activations],
        **head_members(head),
    }


@router.get("/audit/changed-verdicts", responses={200: {"model": ChangedVerdictList}})
@fall_back_to_primary
def list_changed_verdicts(
    request: Request,
    service: ServiceDep,
    reads: ReplicaReads,
    caller: Auditor,
    query: Annotated[ChangedVerdictQuery, Query()],
) -> Response:
    """List the purchases whose verdict as known at `to` differs from the verdict as known at `from`, each with the late
    activation that changed it."""
    partner = partner_filter(service, caller, query.partner)
    times = TimeRange(read_time(query.from_), read_time(query.to))
    if times.until < times.since:
        raise validation_error([InvalidField(("query", "to"), "must not be before from")])
    with reads.read() as tx:
        cursors = PageCursors(reads.name_in(tx), (partner, query.from_, query.to))
        place = cursors.decode_as(_VerdictCursor, query.cursor)
        # All pages of a list use the facts that the first page knew.
        head = head_at_time(tx, cursor_time(place.until) if place else times.until)
        times = replace(times, until=head.recorded_at or times.since)
        page = changed_verdicts.page(tx, times, partner, FactPlace(*place[1:]) if place else FIRST_FACT, query.limit)
    next_place = page.next_after and _VerdictCursor(to_microseconds(times.until), *page.next_after)
    next_cursor = cursors.encode(next_place)
    answer = {"items": [_changed_verdict(item) for item in page.items], "nextCursor": next_cursor, **head_members(head)}
    return json_response(answer, headers=next_link(request.url, next_cursor))


class _VerdictCursor(NamedTuple):
    """The place of a page's last purchase, and the recorded time up to which its list knows facts. Times are in
    microseconds."""

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


def _changed_verdict(item: ChangedVerdictView) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(item, builtin_types=(UUID,))
    return members | {"before": _verdict(item.before), "after": _verdict(item.after)}
