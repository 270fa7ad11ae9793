"""The partner's feed of rewarded purchases: one CSV file per UTC day of recording."""

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from io import StringIO
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from api.access.pseudonyms import Pseudonyms
from api.dependencies.authentication import ServiceDep
from api.dependencies.partner_filter import partner_filter
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.dependencies.roles import PartnerReader
from api.dependencies.runtime import runtime_of
from api.http.problems import validation_error
from api.http.query_params import Word
from api.server.retry_route import RetryingRoute
from api.validation.field_errors import InvalidField
from domain.values import recorded_text
from projections.redemption import daily_feed
from projections.redemption.daily_feed import FeedRow

FEED_COLUMNS = (
    "transaction_id",
    "cardholder_id",
    "partner_merchant_id",
    "partner_offer_id",
    "partner_store_id",
    "partner_merchant_name",
    "card_type",
    "card_last_four",
    "transaction_amount",
    "transaction_timestamp",
)
ROWS_PER_CHUNK = 500
CSV = "text/csv"

router = APIRouter(prefix="/api/v1/partner", tags=["redemptions"], route_class=RetryingRoute)


def _is_day(text: str) -> str:
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise PydanticCustomError("day", "must be a day in the form YYYY-MM-DD")


class FeedQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    date: Annotated[
        str,
        AfterValidator(_is_day),
        Field(json_schema_extra={"format": "date"}, description="A past UTC day"),
    ]
    partner: Annotated[Word | None, Field(description="The partner of the feed; a partner's token may omit it")] = None


@router.get(
    "/redemptions", responses={200: {"content": {CSV: {"schema": {"type": "string"}}}}}, response_class=Response
)
@fall_back_to_primary
def get_feed(
    request: Request,
    service: ServiceDep,
    reads: ReplicaReads,
    caller: PartnerReader,
    query: Annotated[FeedQuery, Query()],
) -> Response:
    """Get the redemptions and reversals recorded on one UTC day, as CSV. Reversals have negative amounts."""
    partner = partner_filter(service, caller, query.partner)
    if partner is None:
        raise validation_error([InvalidField(("query", "partner"), "required")])
    day = date.fromisoformat(query.date)
    if day >= service.clock().date():
        raise validation_error([InvalidField(("query", "date"), "must be a past day in UTC")])
    day_start = datetime.combine(day, time(), UTC)
    rows: Iterator[FeedRow] = iter(())
    if caller.sees(partner):
        rows = daily_feed.rows(reads, partner, day_start, day_start + timedelta(days=1))
    headers = {"Content-Disposition": f'attachment; filename="redemptions-{day}.csv"'}
    return runtime_of(request).streams.answer(caller.name, _csv(partner, rows, service.pseudonyms), CSV, headers)


def _csv(partner: str, rows: Iterator[FeedRow], pseudonyms: Pseudonyms) -> Iterator[bytes]:
    """RFC 4180, with a header line."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(FEED_COLUMNS)
    for number, row in enumerate(rows):
        if number % ROWS_PER_CHUNK == 0:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
        writer.writerow(_columns(row, pseudonyms.of(partner, row.redeemed.customer_id)))
    yield text.getvalue().encode()


def _columns(row: FeedRow, cardholder_id: str) -> tuple[Any, ...]:
    """Returns the values in the order of `FEED_COLUMNS`; unknown values are empty."""
    purchase = row.redeemed
    return (
        purchase.transaction_id,
        cardholder_id,
        row.merchant_id,
        row.external_id,
        purchase.partner_store_id,
        purchase.partner_merchant_name,
        purchase.card_type,
        purchase.card_last_four,
        row.amount,
        recorded_text(purchase.transacted_at),
    )
