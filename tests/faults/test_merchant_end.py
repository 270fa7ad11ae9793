"""A server that is stopped answers every single request that it has received."""

import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.single_requests.request import Trace, TraceOutcome
from domain.store.records.traces import find_trace
from domain.values import OfferKey
from projections.maintenance.verification import verify
from projections.offers import inventory
from tests.support.examples import PARTNER, body
from tests.support.harness import OPERATOR, Caller, Clock
from tests.support.histories.single_requests import merchant_key, merchant_offer, send
from tests.support.processes.fault_checks import require_no_gap
from tests.support.processes.fault_server import SECRET, new_ledger_settings
from tests.support.processes.shell import RunningServer
from tests.support.waiting import wait_until

CONNECTIONS = 64


class Sent(NamedTuple):
    """A PUT that was sent, of an offer that no other connection changes."""

    key: OfferKey
    name: str


class Answered(NamedTuple):
    """A PUT that the server answered with 202."""

    sent: Sent
    trace_id: str


class Traffic:
    """Many connections, each of which puts one new offer after the other until the server has stopped."""

    def __init__(self, server: RunningServer) -> None:
        self.sent: list[Sent] = []
        self.answered: list[Answered] = []
        self.unexpected: list[httpx2.Response] = []
        """Unexpected replies."""
        self._threads = []
        for number in range(CONNECTIONS):
            caller = server.call(SECRET)
            self._threads.append(threading.Thread(target=self._put, args=(caller, str(number))))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def answered_connections(self) -> set[str]:
        """Returns the numbers of the connections that have had an answer."""
        return {put.sent.key.external_id.split("-")[1] for put in self.answered}

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _put(self, caller: Caller, mark: str) -> None:
        count = 0
        while True:
            sent = Sent(merchant_key(f"MO-{mark}-{count}"), f"Open jar {mark} {count}")
            self.sent.append(sent)
            try:
                reply = send(caller, *sent)
            except httpx2.HTTPError:
                return
            if reply.status_code == 202:
                self.answered.append(Answered(sent, reply.json()["trace_id"]))
            else:
                self.unexpected.append(reply)
            count += 1


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    prepared_settings = new_ledger_settings(tmp_path, monkeypatch, 10)
    with open_service(prepared_settings) as service:
        service.ledger.handle(SetPartner(PARTNER, rps=0, daily_quota=0), OPERATOR)
    return prepared_settings


def require_acknowledged(service: Service, answered: Sequence[Answered]) -> None:
    """Requires the content and the trace of each offer whose PUT was acknowledged."""
    with service.ledger.recorder.read() as tx:
        for (key, name), trace_id in answered:
            view = inventory.find(tx, key.offer_uid, Clock().now)
            assert view is not None, key
            assert (view.status, view.version) == ("active", 1)
            assert bytes(view.content) == body(merchant_offer(key, name))
            trace = find_trace(tx, trace_id)
            assert isinstance(trace, Trace), trace_id
            assert (trace.offer_uid, trace.outcome, trace.version) == (key.offer_uid, TraceOutcome.CREATED, 1)


def require_complete_requests(service: Service, sent: Sequence[Sent], answered: Sequence[Answered]) -> None:
    """Requires event, commit, trace and quota count for each offer, and that each offer was sent."""
    with service.ledger.recorder.read() as tx:
        require_no_gap(tx)
        offers = {row["external_id"] for row in tx.execute("SELECT external_id FROM inventory")}
        commits = ids(tx.execute("SELECT trace_id FROM commits WHERE trace_id IS NOT NULL"))
        created = ids(tx.execute("SELECT trace_id FROM traces WHERE outcome = 'created'"))
        traces = tx.execute("SELECT count(*) AS n FROM traces").fetchone()["n"]
        used = tx.execute("SELECT sum(used) AS used FROM quota_use").fetchone()["used"]
    assert offers <= {put.key.external_id for put in sent}
    assert len(answered) <= len(offers) == len(created)
    assert {put.trace_id for put in answered} <= created == commits
    assert traces == used
    assert verify(service.ledger) == []


def ids(rows: Any) -> set[str]:
    return {row["trace_id"] for row in rows}


def test_stopped_server_answers_its_pending_requests(settings: Settings, tmp_path: Path) -> None:
    with RunningServer(settings, tmp_path / "serve.log") as server:
        traffic = Traffic(server)
        traffic.start()
        # uvicorn does not close a connection that it accepts during its shutdown.
        wait_until(lambda: len(traffic.answered_connections()) == CONNECTIONS)
        assert server.end(signal.SIGTERM) in {0, 128 + signal.SIGTERM, -signal.SIGTERM}
        traffic.join()
        assert "Traceback" not in server.log
    assert [reply.text for reply in traffic.unexpected] == []
    with open_service(settings) as service:
        require_acknowledged(service, traffic.answered)
        require_complete_requests(service, traffic.sent, traffic.answered)
