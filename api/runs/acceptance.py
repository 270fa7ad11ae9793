"""How does a body that has arrived become a run? The same by HTTP, in a helper process and from the command line."""

from functools import partial
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from api.http.problems import validation_error
from api.intake.batch import read_request
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
    """A body that is there: in chunks that are stored already, or packed, in memory."""

    run_id: UUID
    digest: str
    size: int
    stored_chunks: int
    packed: list[bytes]

    def body(self, runs: RunLedger) -> Body:
        return partial(runs.body, self.run_id) if self.stored_chunks else partial(map, decompress, self.packed)


class RunSender(Struct, frozen=True):
    """Whose offers they are, and by whom and which way they came; `file_name` tells an offers file from a batch."""

    partner: str
    origin: Origin
    file_name: str | None = None


def is_offers_file(body: Body, max_items: int) -> bool:
    """Tells an offers file from a batch by its envelope. Raises Problem if the body is neither."""
    members = split_body(body, max_items, keep=False).members
    if not members.keys() & {"operation", "header"}:
        told = "required: a batch has an operation, an offers file a header"
        raise validation_error([InvalidField(("operation",), told), InvalidField(("header",), told)])
    return "operation" not in members


def accept_run(runs: RunLedger, arrival: UploadedBody, sender: RunSender, max_items: int) -> AcceptedRun:
    """Makes the body a run, or finds the run that it is already.

    Raises Problem for a body that is not in order, and what RunLedger.accept raises."""
    body = arrival.body(runs)
    name = sender.file_name
    request = RunRequest(
        run_id=arrival.run_id,
        partner=sender.partner,
        input=read_request(body, max_items) if name is None else read_file(name, body, max_items),
        body_digest=arrival.digest,
        body_bytes=arrival.size,
        body_chunks=arrival.stored_chunks + len(arrival.packed),
    )
    while True:
        try:
            return runs.accept(request, sender.origin, arrival.packed)
        except IdempotencyKeyReused as reused:
            earlier = runs.find(reused.run_id)
            if request.is_same_as == reused.run_id or not (earlier and is_same_request(runs, earlier, body)):
                raise
            request = replace(request, is_same_as=reused.run_id)
