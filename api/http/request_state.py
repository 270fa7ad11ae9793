"""The typed state of one request. The entrance creates it; the layers of the request read and change it."""

from collections.abc import Sequence

from fastapi import Request
from msgspec import Struct

from api.access.merchant_limits import MerchantLimits
from api.bounds.body_memory import BodyMemory
from domain.store.commit import CommitSpan

SCOPE_KEY = "offer_ledger.request"
"""The state's key in the ASGI scope."""


class RequestState(Struct):
    """The state of one request.

    `position`: the ledger position for the `Ledger-Position` header of the reply.
    `is_counted`: whether the rate limit has counted the request; a retry is not counted.
    `inside_commits`: the commits that the requested positions are inside of, for the header of the reply.
    `limits`: the limits of a single request, for the header fields of its reply.
    `body_memory`: the bytes of the unfinished body in memory.
    `page`: the console's page context. The console is a higher layer, so its type is not known here.
    `is_head`: whether the client sent HEAD; the application sees GET.
    `refused_as`: status and problem type, if the server itself has refused the request, because its body is not valid HTTP.
    `token_name`, `status`, `problem`: the caller's token, the status and the problem type, for the log.
    """

    trace_id: str
    traceparent: str
    position: int | None = None
    is_counted: bool = False
    limits: MerchantLimits | None = None
    inside_commits: Sequence[CommitSpan] = ()
    body_memory: BodyMemory | None = None
    page: object | None = None
    is_head: bool = False
    refused_as: tuple[int, str] | None = None
    token_name: str | None = None
    status: int | None = None
    problem: str | None = None


def request_state(request: Request) -> RequestState:
    state: RequestState = request.scope[SCOPE_KEY]
    return state
