"""Which runs have there been, and what became of each offer in them?"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.dependencies.authentication import ServiceDep
from api.dependencies.read_routing import PrimaryReads
from api.dependencies.roles import PartnerReader
from api.http.pagination import next_link
from api.http.paths import RUNS_PATH
from api.http.problem_schemas import PROBLEMS
from api.http.problems import not_found
from api.http.query_params import no_parameters, uid
from api.http.replies import json_response
from api.runs.report import item_page, run_document, run_page
from api.runs.schemas import ItemList, ItemQuery, RunList, RunNow, RunQuery
from api.server.retry_route import RetryingRoute
from domain.ledgers.ledger import LedgerReader
from domain.runs.run import Run, RunState
from domain.store.records.runs import RunFilter, find_run
from domain.values import Channel, Operation
from projections.access.tokens import Caller

RunId = Annotated[str, Path(alias="runId")]

router = APIRouter(prefix=RUNS_PATH, tags=["runs"], responses=PROBLEMS, route_class=RetryingRoute)


@router.get("", responses={200: {"model": RunList}})
def list_runs(
    request: Request, reads: PrimaryReads, caller: PartnerReader, query: Annotated[RunQuery, Query()]
) -> Response:
    """The runs that match all filters, the newest first. A request id that is not found was never accepted."""
    wanted = RunFilter(
        partner=query.partner or caller.partner,
        channel=Channel(query.channel) if query.channel else None,
        operation=Operation(query.operation) if query.operation else None,
        state=RunState(query.state) if query.state else None,
        concurrency_request_id=UUID(query.concurrencyRequestId) if query.concurrencyRequestId else None,
    )
    visible = caller.sees(wanted.partner)
    found, next_cursor = run_page(reads, wanted, query.cursor, query.limit, visible=visible)
    body = {"items": [run_document(run) for run in found], "nextCursor": next_cursor}
    return json_response(body, headers=next_link(request.url, next_cursor))


@router.get("/{runId}", responses={200: {"model": RunNow}})
def get_run(
    request: Request, reads: PrimaryReads, service: ServiceDep, caller: PartnerReader, run_id: RunId
) -> Response:
    """One run as it is now, and how far it is."""
    no_parameters(request)
    run = _visible_run(reads, caller, run_id)
    body = run_document(run) | {"progress": service.runs.progress(run)}
    return json_response(body, headers={"Cache-Control": "no-store"})


@router.get("/{runId}/items", responses={200: {"model": ItemList}})
def list_items(
    request: Request, reads: PrimaryReads, caller: PartnerReader, run_id: RunId, query: Annotated[ItemQuery, Query()]
) -> Response:
    """What became of the offers of a run, by outcome, each in the order of the request; none while it is not finished."""
    run = _visible_run(reads, caller, run_id)
    with reads.read() as tx:
        items, next_cursor = item_page(tx, run.run_id, query.outcome, query.cursor, query.limit)
    body = {"items": items, "nextCursor": next_cursor}
    return json_response(body, headers=next_link(request.url, next_cursor))


def _visible_run(reads: LedgerReader, caller: Caller, run_id: str) -> Run:
    """Raises Problem 404, for another partner's run too."""
    named = uid(run_id)
    with reads.read() as tx:
        run = find_run(tx, named) if named else None
    if run is None or not caller.sees(run.partner):
        raise not_found("run")
    return run
