"""Liveness and readiness probes."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from api.dependencies.authentication import ServiceDep
from api.http.problems import Problem
from domain.ledgers.ledger import StorageError
from domain.store.commit import current_head

router = APIRouter(tags=["health"], include_in_schema=False)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz")
def readyz(service: ServiceDep, response: Response) -> dict[str, str | int]:
    """Report readiness: the ledger can be read."""
    try:
        with service.ledger.recorder.read() as tx:
            position = current_head(tx).position
    except StorageError:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "not-ready", "The ledger can't be read.") from None
    response.headers["Cache-Control"] = "no-store"
    return {"status": "ready", "position": position}
