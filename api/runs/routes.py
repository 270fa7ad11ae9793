"""Routes that read runs and the outcomes of their offers."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.dependencies.authentication import ServiceDep
from api.dependencies.partner_filter import partner_filter
from api.dependencies.read_routing import PrimaryReads
from api.dependencies.roles import PartnerReader
from api.http.pagination import next_link
from api.http.paths import RUNS_PATH
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

router = APIRouter(prefix=RUNS_PATH, tags=["runs"], route_class=RetryingRoute)


@router.get("", responses={200: {"model": RunList}})
def list_runs(
    request: Request,
    service: ServiceDep,
    reads: PrimaryReads,
    caller: PartnerReader,
    query: Annotated[RunQuery, Query()],
) -> Response:
    """List the runs that match all filters, the newest first. A request id without a run was never accepted."""
    run_filter = RunFilter(
        partner=partner_filter(service, caller, query.partner),
        channel=Channel(query.channel) if query.channel else None,
        operation=Operation(query.operation) if query.operation else None,
        state=RunState(query.state) if query.state else None,
        concurrency_request_id=UUID(query.concurrencyRequestId) if query.concurrencyRequestId else None,
    )
    visible = caller.sees(run_filter.partner)
    runs, next_cursor = run_page(reads, run_filter, query.cursor, query.limit, visible=visible)
    body = {"items": [run_document(run) for run in runs], "nextCursor": next_cursor}
    return json_response(body, headers=next_link(request.url, next_cursor))


@router.get("/{runId}", responses={200: {"model": RunNow}})
def get_run(
    request: Request, reads: PrimaryReads, service: ServiceDep, caller: PartnerReader, run_id: RunId
) -> Response:
    """Get one run in its present state, with its progress."""
    no_parameters(request)
    run = _visible_run(reads, caller, run_id)
    body = run_document(run) | {"progress": service.runs.progress(run)}
    return json_response(body, headers={"Cache-Control": "no-store"})


@router.get("/{runId}/items", responses={200: {"model": ItemList}})
def list_items(
    request: Request, reads: PrimaryReads, caller: PartnerReader, run_id: RunId, query: Annotated[ItemQuery, Query()]
) -> Response:
    """List the outcomes of a run's offers. The list is empty until the run is finished.

    Items are grouped by outcome, and ordered within it as in the request."""
    run = _visible_run(reads, caller, run_id)
    with reads.read() as tx:
        items, next_cursor = item_page(reads, tx, run.run_id, query.outcome, query.cursor, query.limit)
    body = {"items": items, "nextCursor": next_cursor}
    return json_response(body, headers=next_link(request.url, next_cursor))


def _visible_run(reads: LedgerReader, caller: Caller, run_id: str) -> Run:
    """Raises Problem 404, also for a run of another partner."""
    parsed_id = uid(run_id)
    with reads.read() as tx:
        run = find_run(tx, parsed_id, caller.partner) if parsed_id else None
    if run is None:
        raise not_found("run")
    return run
