"""Where answers stand in the ledger, and all that can be asked of it."""

import httpx2

from api.http.ledger_position import LEDGER_POSITION
from api.redemption.redemption_routes import REDEMPTIONS_PATH
from domain.values import redemption_uid
from tests.support.harness import Caller


def position_of(reply: httpx2.Response) -> int:
    return int(reply.headers[LEDGER_POSITION])


def ask(caller: Caller, path: str, seen: int | str | None = None, **headers: str) -> httpx2.Response:
    """A path with its query; `seen`: the position that the caller says it has seen."""
    told = {} if seen is None else {LEDGER_POSITION: str(seen)}
    return caller.http.get(path, headers=told | headers)


def reads(auditor: Caller, offer: str) -> list[str]:
    """Of every kind that is made from the events; what they name is there."""
    activation = auditor.get("/api/v1/redemption-windows").json()["items"][0]["activationId"]
    verdict = f"customerId=C-1&offerUid={offer}&transactedAt=2026-11-22T12:30:02Z"
    return [
        "/api/v1/offers",
        "/api/v1/offers?asOfPosition=1",
        "/api/v1/offers/counts",
        f"/api/v1/offers/{offer}",
        f"/api/v1/offers/{offer}/history",
        f"/api/v1/offers/{offer}/flights",
        "/api/v1/audit/events",
        "/api/v1/audit/diff?fromPosition=0",
        "/api/v1/audit/changed-verdicts?from=2026-11-22T00:00:00Z&to=2026-11-23T00:00:00Z",
        f"/api/v1/activations/{activation}",
        f"{REDEMPTIONS_PATH}/{redemption_uid('T-1')}",
        "/api/v1/redemption-windows",
        f"/api/v1/redemption-verdict?{verdict}",
        "/api/v1/partner/redemptions?date=2026-11-22&partner=tidepool",
    ]


def reads_of_requests(auditor: Caller) -> list[str]:
    """What became of runs and single requests, which changes without events too."""
    created = ask(auditor, "/api/v1/audit/events?type=OfferCreated&actor=partner-tidepool").json()["items"][0]
    run = auditor.get("/api/v1/runs").json()["items"][0]["runId"]
    return [
        "/api/v1/runs",
        f"/api/v1/runs/{run}",
        f"/api/v1/runs/{run}/items",
        f"/api/v1/partner/requests/{created['traceId']}",
    ]
