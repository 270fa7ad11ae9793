"""Turns an uploaded body into a run, for the HTTP API, worker processes and the command line."""

from functools import partial
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from api.bounds.body import BodyBounds
from api.http.problems import validation_error
from api.intake.batch import read_request
from api.intake.incoming_batch import IncomingBatch
from api.intake.offers_file import read_file
from api.parsing.array_splitter import Body
from api.parsing.item_list import split_body
from api.runs.execution import is_same_request
from api.validation.field_errors import InvalidField
from domain.ledgers.run_ledger import AcceptedRun, RunLedger
from domain.refusals import IdempotencyKeyReused
from domain.runs.run import RunRequest
from domain.store.records.compression import decompress
from domain.values import Origin


class UploadedBody(Struct, frozen=True):
    """A complete body. Its chunks are stored in the ledger, or kept in memory (`packed`: compressed)."""

    run_id: UUID
    digest: str
    size: int
    stored_chunks: int
    packed: list[bytes]

    def body(self, runs: RunLedger) -> Body:
        return partial(runs.body, self.run_id) if self.stored_chunks else partial(map, decompress, self.packed)


class RunSender(Struct, frozen=True):
    """The partner that owns the offers, and the origin of the request. Only an offers file has a `file_name`."""

    partner: str
    origin: Origin
    file_name: str | None = None


def is_offers_file(body: Body, bounds: BodyBounds) -> bool:
    """Returns True for an offers file and False for a batch, by the envelope. Raises Problem if the body is neither."""
    members = split_body(body, bounds, keep=False).members
    if not members.keys() & {"operation", "header"}:
        message = "required: a batch has an operation, an offers file a header"
        raise validation_error([InvalidField(("operation",), message), InvalidField(("header",), message)])
    return "operation" not in members


def accept_run(
    runs: RunLedger,
    uploaded: UploadedBody,
    sender: RunSender,
    bounds: BodyBounds,
    incoming: IncomingBatch | None = None,
) -> AcceptedRun:
    """Accepts the body as a run, or returns the run of the same request. `incoming`: the same body, validated early.

    A request repeats an earlier one with the same id if it has the same meaning, even in another spelling. Raises
    Problem for an invalid body, and the exceptions of RunLedger.accept."""
    body = uploaded.body(runs)
    name = sender.file_name
    request = RunRequest(
        run_id=uploaded.run_id,
        partner=sender.partner,
        input=read_request(body, bounds, incoming) if name is None else read_file(name, body, bounds),
        body_digest=uploaded.digest,
        body_bytes=uploaded.size,
        body_chunks=uploaded.stored_chunks + len(uploaded.packed),
    )
    while True:
        try:
            return runs.accept(request, sender.origin, uploaded.packed)
        except IdempotencyKeyReused as reused:
            earlier = runs.find(reused.run_id)
            if request.equivalent_run_id == reused.run_id or not (
                earlier and is_same_request(runs, earlier, body, bounds)
            ):
                raise
            request = replace(request, equivalent_run_id=reused.run_id)
