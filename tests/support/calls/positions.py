"""Reads with Ledger-Position, and the paths of all reads."""

import httpx2

from api.http.ledger_position import LEDGER_POSITION
from api.redemption.redemption_routes import REDEMPTIONS_PATH
from domain.values import redemption_uid
from tests.support.harness import Caller


def position_of(reply: httpx2.Response) -> int:
    return int(reply.headers[LEDGER_POSITION])


def get_with_position(caller: Caller, path: str, position: int | str | None = None, **headers: str) -> httpx2.Response:
    """Reads a path with its query; `position` is the position that the caller has seen."""
    header = {} if position is None else {LEDGER_POSITION: str(position)}
    return caller.http.get(path, headers=header | headers)


def event_paths(auditor: Caller, offer: str) -> list[str]:
    """Returns a path of every read that depends only on events. All ids in the paths exist."""
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


def request_paths(auditor: Caller) -> list[str]:
    """Returns the paths of reads of runs and single requests, whose records also change without events."""
    created = get_with_position(auditor, "/api/v1/audit/events?type=OfferCreated&actor=partner-tidepool").json()[
        "items"
    ][0]
    run = auditor.get("/api/v1/runs").json()["items"][0]["runId"]
    return [
        "/api/v1/runs",
        f"/api/v1/runs/{run}",
        f"/api/v1/runs/{run}/items",
        f"/api/v1/partner/requests/{created['traceId']}",
    ]
