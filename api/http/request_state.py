"""The typed state of one request. The tracing middleware creates it; the layers of the request read and change it."""

from fastapi import Request
from msgspec import Struct

from api.access.merchant_limits import MerchantLimits

SCOPE_KEY = "offer_ledger.request"
"""The state's key in the ASGI scope."""


class RequestState(Struct):
    """The state of one request.

    `position`: the ledger position for the `Ledger-Position` header of the reply.
    `is_counted`: whether the rate limit has counted the request; a retry is not counted.
    `limits`: the limits of a single request, for the header fields of its reply.
    `page`: the console's page context. The console is a higher layer, so its type is not known here.
    """

    trace_id: str
    traceparent: str | None = None
    position: int | None = None
    is_counted: bool = False
    limits: MerchantLimits | None = None
    page: object | None = None


def request_state(request: Request) -> RequestState:
    state: RequestState = request.scope[SCOPE_KEY]
    return state
