"""Which runs have there been, and what became of each offer in them?"""

from itertools import islice
from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api import cursors
from api.auth import Here, may
from api.pages import JSON, next_link
from api.problems import RUNS_PATH, not_found
from api.read_again import ReadAgain
from api.reads import PrimaryReads
from api.run_report import run_document, run_items
from api.schemas.problem import PROBLEMS
from api.schemas.query import no_parameters, uid
from api.schemas.runs import ItemList, ItemQuery, RunList, RunNow, RunQuery
from domain.ledger import Snapshots
from domain.run import Run, RunState
from domain.store.runs import RunFilter, find_run, select_runs
from domain.values import Channel, Operation, Role
from projections.tokens import Caller

MayRead = Annotated[Caller, Depends(may(Role.PARTNER, Role.AUDITOR, Role.OPERATOR))]
RunId = Annotated[str, Path(alias="runId")]

router = APIRouter(prefix=RUNS_PATH, tags=["runs"], responses=PROBLEMS, route_class=ReadAgain)


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
    after = cursors.decode(wanted, query.cursor)
    found: list[tuple[int, Run]] = []
    if caller.partner in {None, wanted.partner}:
        with reads.reading() as tx:
            found = list(select_runs(tx, wanted, after, query.limit + 1))
    more = found[query.limit - 1][0] if len(found) > query.limit else None
    next_cursor = cursors.encode(wanted, more)
    body = {"items": [run_document(run) for _, run in found[: query.limit]], "nextCursor": next_cursor}
    return Response(msgspec.json.encode(body), headers=next_link(request.url, next_cursor), media_type=JSON)


@router.get("/{runId}", responses={200: {"model": RunNow}})
def get_run(request: Request, reads: PrimaryReads, service: Here, caller: MayRead, run_id: RunId) -> Response:
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
    question = ("items", run.run_id, query.outcome)
    after = cursors.decode(question, query.cursor)
    with reads.reading() as tx:
        found = list(islice(run_items(tx, run.run_id, query.outcome, after), query.limit + 1))
    next_cursor = cursors.encode(question, found[query.limit][0] if len(found) > query.limit else None)
    body = {"items": [item for _, item in found[: query.limit]], "nextCursor": next_cursor}
    return Response(msgspec.json.encode(body), headers=next_link(request.url, next_cursor), media_type=JSON)


def _visible_run(reads: Snapshots, caller: Caller, run_id: str) -> Run:
    """Raises Problem 404, for another partner's run too."""
    named = uid(run_id)
    with reads.reading() as tx:
        run = find_run(tx, named) if named else None
    if run is None or caller.partner not in {None, run.partner}:
        raise not_found("run")
    return run
