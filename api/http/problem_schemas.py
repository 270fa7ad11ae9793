"""The form of a problem reply (RFC 9457), and the catalogue of all problem types.

`docs/http/errors.md` is generated from the catalogue. A test fails if the code raises a type that is not in it.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict


class FieldError(BaseModel):
    """A field, and the rule that it breaks."""

    pointer: str
    message: str


class ProblemReply(BaseModel):
    """application/problem+json, RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError]
    traceId: str
    activeRun: str | None = None
    limit: Literal["rps", "daily"] | None = None
    remaining: str | None = None


class ProblemType(NamedTuple):
    """One problem type: `statuses` are HTTP status codes; `action` is what the client can do."""

    statuses: tuple[int, ...]
    meaning: str
    action: str


PROBLEM_TYPES: Mapping[str, ProblemType] = {
    "all-items-failed": ProblemType(
        (422,),
        "Every item of the batch failed its checks. The run ended without any change, and it used no slot.",
        "Read the messages in `data.failedOffers`, correct the items, and send them with a new `concurrencyRequestId`.",
    ),
    "ambiguous-length": ProblemType(
        (400,),
        "The request has both `Transfer-Encoding` and `Content-Length`, or `Transfer-Encoding` in HTTP/1.0. Two servers could "
        "read it as different requests. The service closes the connection.",
        "Send one of the two headers. If a proxy adds the other one, correct its configuration.",
    ),
    "content-too-large": ProblemType(
        (413,),
        "The body, a part of it or a single value is larger than the limit. The limit also holds after decompression.",
        "Split the batch, or shorten the value. The limits are settings of the operator.",
    ),
    "file-superseded": ProblemType(
        (409,),
        "A file of this partner with a later date in its name has been processed.",
        "Send a file with the same date or a later one.",
    ),
    "flight-taken": ProblemType(
        (409,),
        "Another flight of this offer starts at the same time and has another number of days.",
        "Choose another start, or use the flight that exists.",
    ),
    "forbidden": ProblemType(
        (403,),
        "The token is valid, but its role does not allow this call.",
        "Use a token with a role that does. See the table of roles in [Conventions](conventions.md).",
    ),
    "foreign-form": ProblemType(
        (403,),
        "Console only: the form does not come from a page of this session.",
        "Go back, reload the page, and submit the form again.",
    ),
    "head-too-large": ProblemType(
        (431,),
        "The request line, the headers, the trailers and the chunk extensions are larger than the limit together. The service "
        "closes the connection.",
        "Send fewer or shorter headers. The limit is a setting of the operator.",
    ),
    "helper-lost": ProblemType(
        (503,),
        "A worker process died while it evaluated a large body. A batch or an offers file may have been accepted as a run; a PUT "
        "has changed nothing.",
        "Repeat a PUT. After a batch or a file, query the runs: by `concurrencyRequestId` for a batch, by `channel=merchant` for "
        "a file. If the run is missing, repeat the request. A repeated request never takes effect twice.",
    ),
    "idempotency-key-reused": ProblemType(
        (422,),
        "The id (`concurrencyRequestId`, `transactionId` or `reversalId`) was already used with different content.",
        "Use a new id for new content. To repeat a request, send exactly the same content.",
    ),
    "in-the-past": ProblemType(
        (409,),
        "Console only: the page shows a past state, and a past state cannot be changed.",
        "Return to now, and submit the form there.",
    ),
    "incomplete-request": ProblemType(
        (400,),
        "The connection ended before the whole body had arrived. Nothing was changed.",
        "Send the request again.",
    ),
    "internal-server-error": ProblemType(
        (500,),
        "The service has a fault. It wrote the fault to its log, under the `traceId` of this reply.",
        "Report the `traceId` to the operator. The request may be sent again.",
    ),
    "invalid-http": ProblemType(
        (400,),
        "The request is not valid HTTP/1.1: for example, it has no `Host`, or a chunk without a size. The service closes the "
        "connection.",
        "Use an HTTP library that follows RFC 9112, and check the proxies between.",
    ),
    "method-not-allowed": ProblemType(
        (405,),
        "The path exists, but not with this method.",
        "Use a method that the `Allow` header names.",
    ),
    "not-activated": ProblemType(
        (409,),
        "The customer has no activation of this offer. The refusal is recorded.",
        "Report the activation first, if there was one, then report the purchase again.",
    ),
    "not-decodable": ProblemType(
        (400,),
        "The body is not in the coding that `Content-Encoding` names.",
        "Check the compression, or send the body without it.",
    ),
    "not-found": ProblemType(
        (404,),
        "It does not exist. What belongs to another partner is reported in the same way.",
        "Check the id and the token.",
    ),
    "not-json": ProblemType(
        (400,),
        "The body is not valid JSON in UTF-8 (RFC 8259), or it has a duplicate member name or too many levels.",
        "Correct the body. The detail names the place.",
    ),
    "not-multipart": ProblemType(
        (400,),
        "The body is not a valid multipart form (RFC 7578), or it has no file.",
        "Correct the form. The detail names the reason.",
    ),
    "not-ready": ProblemType(
        (503,),
        "`GET /readyz` only: the service cannot read its ledger.",
        "Send no requests to this process until it is ready. An operator checks the database.",
    ),
    "nothing-to-undo": ProblemType(
        (409,),
        "The run has changed no offer, or each offer that it changed has changed since. The detail says which.",
        "Read the run and its items. To undo an undo, name the run of the undo.",
    ),
    "offer-held": ProblemType(
        (409,),
        "An operator held the offer at `activatedAt`, so it takes no new activations.",
        "Do not show the offer. The customer has no claim from this activation.",
    ),
    "offer-not-activatable": ProblemType(
        (409,),
        "The offer was not active at `activatedAt`, or the activation is reported more than 14 days late.",
        "Check the time and the offer. The customer has no claim from this activation.",
    ),
    "outcome-unknown": ProblemType(
        (503,),
        "The database connection was lost during the commit, or the server stopped before the reply. The change was stored, or it was not.",
        "Send the same request again. It is idempotent: nothing happens twice.",
    ),
    "partner-exists": ProblemType(
        (409,),
        "Console only: the form for a new partner names a partner that exists.",
        "Open the partner's page and change its settings there.",
    ),
    "precondition-failed": ProblemType(
        (412,),
        "The offer does not satisfy `If-Match` or `If-None-Match`. The request counts; nothing was changed.",
        "Read the offer and its `ETag`, and decide again. If the reply to an earlier attempt was lost, that attempt may have"
        " succeeded.",
    ),
    "projection-not-built": ProblemType(
        (503,),
        "The table that answers this request has not been built since an upgrade.",
        "An operator builds it with the command that the detail names. All other calls work meanwhile.",
    ),
    "quota-exceeded": ProblemType(
        (429,),
        "The partner has reached its requests per second or its daily quota. The member `limit` is `rps` or `daily`.",
        "Wait for the seconds in `Retry-After`. `GET /api/v1/partner/quota` shows the limits.",
    ),
    "redemption-window-closed": ProblemType(
        (409,),
        "The customer has activated the offer, but the purchase is outside every redemption window.",
        "Check `transactedAt`. The refusal is recorded.",
    ),
    "refused": ProblemType(
        (409,),
        "The request contradicts the present state. The detail says how.",
        "Read the present state, and decide again.",
    ),
    "request-timeout": ProblemType(
        (408,),
        "The body did not arrive in time. The service removed what had arrived, and closed the connection.",
        "Send the request again, without long pauses. The detail names the bound.",
    ),
    "reversal-exceeds-redemption": ProblemType(
        (409,),
        "The amount is more than what is left of the redemption. The member `remaining` says how much is left.",
        "Reverse at most the remaining amount.",
    ),
    "replies-not-read": ProblemType(
        (429,),
        "Too many bytes of the token's large replies wait to be sent, because its clients do not read them.",
        "Read the replies that have begun. Send the request again after the seconds in `Retry-After`.",
    ),
    "run-failed": ProblemType(
        (500,),
        "The service could not process the run. Nothing was changed, and the run used no slot.",
        "Send the same request again, with the same id.",
    ),
    "run-in-progress": ProblemType(
        (409,),
        "Another run of this partner and channel is active. The `Link` header and the member `activeRun` name it.",
        "Wait for the seconds in `Retry-After`, then send the request again.",
    ),
    "run-limit-reached": ProblemType(
        (429,),
        "The partner has used its runs of this kind: by default, one `Synchronize` a UTC day and one `Insert` a UTC"
        " hour.",
        "Wait for the seconds in `Retry-After`.",
    ),
    "server-busy": ProblemType(
        (503,),
        "The callers together have reached a bound of the server. The detail names it. Nothing was changed.",
        "Send the request again after the seconds in `Retry-After`.",
    ),
    "server-stopping": ProblemType(
        (503,),
        "The server stops, and the request was not finished. Nothing was changed. The service closes the connection.",
        "Send the request again after the seconds in `Retry-After`.",
    ),
    "storage-unavailable": ProblemType(
        (503,),
        "The database is not available. Nothing was changed.",
        "Send the request again after the seconds in `Retry-After`.",
    ),
    "too-many-flights": ProblemType(
        (409,),
        "The offer has the greatest number of flights that one offer may have.",
        "Use the flights that exist.",
    ),
    "too-many-requests": ProblemType(
        (429,),
        "The token has made more requests a minute than it may.",
        "Wait for the seconds in `Retry-After`.",
    ),
    "too-many-reversals": ProblemType(
        (409,),
        "The redemption has the greatest number of reversals that one redemption may have.",
        "Reverse the rest in one amount before the limit, or ask the operator.",
    ),
    "too-many-streams": ProblemType(
        (503,),
        "The token or the process has as many long replies (streams, CSV files, followers) as it may at a time.",
        "Send the request again after the seconds in `Retry-After`.",
    ),
    "too-many-uploads": ProblemType(
        (429,),
        "The caller sends more large bodies at the same time than it may. The detail names the bound.",
        "Send fewer requests at the same time. Send this one again after the seconds in `Retry-After`.",
    ),
    "unauthorized": ProblemType(
        (401,),
        "The token is missing, unknown, revoked or expired, or the request has more than one.",
        "Send one valid token: `Authorization: ApiToken <token>`.",
    ),
    "unsupported-media-type": ProblemType(
        (415,),
        "The service does not accept this media type or content coding here.",
        "Send the type that the detail names.",
    ),
    "validation-error": ProblemType(
        (422, 400),
        "A field or a parameter breaks a rule. `errors` names each field and its rule. PUT and DELETE of single offers"
        " answer 400.",
        "Correct the fields that `errors` names. Nothing was changed.",
    ),
}
