"""A partner's reads of another partner's resources cost what reads of unknown resources cost."""

from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple
from uuid import uuid4

import apsw
import httpx2
import pytest

from api.service import Service
from tests.support.calls.form_browser import FormBrowser
from tests.support.calls.merchants import PNG, limit, merchant_offer, put, uid_of
from tests.support.calls.publishers import activate
from tests.support.engine import only_sqlite
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, Clock, MakeToken

pytestmark = only_sqlite
OTHER_PARTNER = "driftwood"
TOLERATED_STEPS = 60
"""Steps of SQLite's virtual machine, about a microsecond in all: the check of the owner itself. Reading an image's row and
its content takes thousands, or one more statement."""


class Work(NamedTuple):
    """The work of SQLite for a request: the number of its statements, and the steps of its virtual machine."""

    statements: int
    steps: int


class Meter:
    """Measures the work of all connections that open after its start."""

    def __init__(self) -> None:
        self.statements = self.steps = 0

    def measure(self, connection: apsw.Connection) -> None:
        connection.set_exec_trace(self._count_statement)
        connection.set_progress_handler(self._count_step, 1)

    def _count_statement(self, _cursor: apsw.Cursor, _statement: str, _bindings: object) -> bool:
        self.statements += 1
        return True

    def _count_step(self) -> bool:
        self.steps += 1
        return False


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Meter:
    """Measures all connections: other fixtures request it before they open the ledger."""
    meter = Meter()
    monkeypatch.setattr(apsw, "connection_hooks", [meter.measure])
    return meter


@pytest.fixture
def ids(meter: Meter, partner: Caller, publisher: Caller, service: Service, clock: Clock) -> dict[str, str]:
    """The ids of a partner's offer with a large image and many versions, of its run, and of a single request."""
    limit(service)
    offer = str(uid_of())
    for number in range(8):
        reply = put(partner, merchant_offer(image=PNG * 400, offerName=f"name {number}"))
        assert reply.status_code == 202
        clock.move(seconds=1)
    assert activate(publisher, offer).status_code == 201
    assert partner.send(body(batch("Insert", [item()]))).status_code == 200
    (run,) = partner.get("/api/v1/runs").json()["items"]
    return {"offer": offer, "trace": reply.json()["trace_id"], "run": run["runId"]}


@pytest.fixture
def unknown(ids: dict[str, str]) -> dict[str, str]:
    return {name: (f"req-{uuid4().hex}" if name == "trace" else str(uuid4())) for name in ids}


def work_of(meter: Meter, get: Callable[[str], httpx2.Response], path: str, status: int) -> Work:
    """Returns the least work of some attempts: other threads use the ledger, too."""
    works = []
    for _ in range(5):
        meter.statements = meter.steps = 0
        assert get(path).status_code == status
        works.append(Work(meter.statements, meter.steps))
    return min(works, key=lambda work: work.steps)


API = {
    "/api/v1/offers/{offer}": 404,
    "/api/v1/offers/{offer}?asOfPosition=10": 404,
    "/api/v1/offers/{offer}/history": 404,
    "/api/v1/runs/{run}": 404,
    "/api/v1/runs/{run}/items": 404,
    "/api/v1/partner/requests/{trace}": 404,
    "/api/v1/audit/events?offerUid={offer}": 200,
    "/api/v1/audit/events?runId={run}": 200,
    "/api/v1/audit/events?traceId={trace}": 200,
    "/api/v1/redemption-windows?offerUid={offer}": 200,
}
PAGES = (
    "/console/offers/{offer}",
    "/console/offers/{offer}?asOfPosition=10",
    "/console/offers/{offer}/images/logo",
    "/console/runs/{run}",
)


@pytest.fixture
def other(call: Call, token: MakeToken) -> str:
    return token(partner=OTHER_PARTNER)


def test_foreign_resources_cost_what_unknown_ones_cost(
    meter: Meter,
    ids: dict[str, str],
    unknown: dict[str, str],
    call: Call,
    other: str,
    partner: Caller,
    subtests: pytest.Subtests,
) -> None:
    stranger = call(other)
    for path, status in API.items():
        with subtests.test(path):
            foreign, missing = (
                work_of(meter, stranger.http.get, path.format(**named), status) for named in (ids, unknown)
            )
            assert foreign.statements == missing.statements
            assert abs(foreign.steps - missing.steps) <= TOLERATED_STEPS
            own = work_of(meter, partner.http.get, path.format(**ids), HTTPStatus.OK)
            assert own.steps > missing.steps


def test_foreign_pages_cost_what_unknown_ones_cost(
    meter: Meter, ids: dict[str, str], unknown: dict[str, str], call: Call, other: str, subtests: pytest.Subtests
) -> None:
    stranger = FormBrowser(call, other)
    for path in PAGES:
        with subtests.test(path):
            foreign, missing = (
                work_of(meter, stranger.get, path.format(**named), HTTPStatus.NOT_FOUND) for named in (ids, unknown)
            )
            assert foreign.statements == missing.statements
            assert abs(foreign.steps - missing.steps) <= TOLERATED_STEPS
