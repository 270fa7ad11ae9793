"""Which runs have there been, and what became of each offer in them?"""

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.dependencies.authentication import ServiceDep, require_roles
from api.dependencies.read_routing import PrimaryReads
from api.http.pagination import JSON, next_link
from api.http.paths import RUNS_PATH
from api.http.problem_schemas import PROBLEMS
from api.http.problems import not_found
from api.http.query_params import no_parameters, uid
from api.runs.report import item_page, run_document, run_page
from api.runs.schemas import ItemList, ItemQuery, RunList, RunNow, RunQuery
from api.server.retry_route import RetryingRoute
from domain.ledgers.ledger import LedgerReader
from domain.runs.run import Run, RunState
from domain.store.records.runs import RunFilter, find_run
from domain.values import Channel, Operation, Role
from projections.access.tokens import Caller

MayRead = Annotated[Caller, Depends(require_roles(Role.PARTNER, Role.AUDITOR, Role.OPERATOR))]
RunId = Annotated[str, Path(alias="runId")]

router = APIRouter(prefix=RUNS_PATH, tags=["runs"], responses=PROBLEMS, route_class=RetryingRoute)


@router.get("", responses={200: {"model": RunList}})
def list_runs(request: Request, reads: PrimaryReads, caller: MayRead, query: Annotated[RunQuery, Query()]) -> Response:
    """The runs that match all filters, the newest first. A request id that is not found was never accepted."""
    wanted = RunFilter(
        partner=query.partner or caller.partner,
        channel=Channel(query.channel) if query.channel else None,
        operation=Operation(query.operation) if query.operation else None,
        state=RunState(query.state) if query.state else None,
        concurrency_request_id=UUID(query.concurrencyRequestId) if query.concurrencyRequestId else None,
    )
    visible = caller.partner in {None, wanted.partner}
    found, next_cursor = run_page(reads, wanted, query.cursor, query.limit, visible=visible)
    body = {"items": [run_document(run) for run in found], "nextCursor": next_cursor}
    return Response(msgspec.json.encode(body), headers=next_link(request.url, next_cursor), media_type=JSON)


@router.get("/{runId}", responses={200: {"model": RunNow}})
def get_run(request: Request, reads: PrimaryReads, service: ServiceDep, caller: MayRead, run_id: RunId) -> Response:
    """One run as it is now, and how far it is."""
    no_parameters(request)
    run = _visible_run(reads, caller, run_id)
    body = run_document(run) | {"progress": service.runs.progress(run)}
    return Response(msgspec.json.encode(body), headers={"Cache-Control": "no-store"}, media_type=JSON)


@router.get("/{runId}/items", responses={200: {"model": ItemList}})
def list_items(
    request: Request, reads: PrimaryReads, caller: MayRead, run_id: RunId, query: Annotated[ItemQuery, Query()]
) -> Response:
    """What became of the offers of a run, by outcome, each in the order of the request; none while it is not finished."""
    run = _visible_run(reads, caller, run_id)
    with reads.read() as tx:
        items, next_cursor = item_page(tx, run.run_id, query.outcome, query.cursor, query.limit)
    body = {"items": items, "nextCursor": next_cursor}
    return Response(msgspec.json.encode(body), headers=next_link(request.url, next_cursor), media_type=JSON)


def _visible_run(reads: LedgerReader, caller: Caller, run_id: str) -> Run:
    """Raises Problem 404, for another partner's run too."""
    named = uid(run_id)
    with reads.read() as tx:
        run = find_run(tx, named) if named else None
    if run is None or caller.partner not in {None, run.partner}:
        raise not_found("run")
    return run
