"""Does anybody notice that projections are rebuilt beside a busy server, or that a rebuild dies?"""

import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx2
import pytest

from api.settings import Settings
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.values import OfferKey, Operation
from projections.maintenance.rebuild import rebuild
from projections.maintenance.shadow_tables import RETIRED, SHADOW, leftovers
from projections.maintenance.verification import verify
from projections.offers import inventory
from projections.projector import PROJECTIONS
from tests.support.examples import PARTNER, item
from tests.support.harness import OPERATOR, Caller, Clock, run_batch
from tests.support.histories.single_requests import merchant_key, send
from tests.support.processes.fault_server import PATIENCE_SECONDS, SECRET, GoingOn, prepared, until
from tests.support.processes.shell import RunningServer, environment

OFFERS = 3_000
WRITERS, READERS = 4, 2
REBUILDS = 3
ENTRIES_PER_READ = 250
"""Many chunks, so that others come in between."""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    found = prepared(tmp_path, monkeypatch, 10)
    with open_service(found) as service:
        service.ledger.handle(SetPartner(PARTNER, rps=0, daily_quota=0), OPERATOR)
        run_batch(service.ledger, Operation.INSERT, [item(f"TP-{n}") for n in range(OFFERS)])
    return found


class Traffic(GoingOn):
    """Everyone puts one new offer after the other, or reads, until it is enough."""

    def __init__(self, server: RunningServer) -> None:
        self.acknowledged: list[OfferKey] = []
        self.read = 0
        self.failed: list[str] = []
        works = []
        for number in range(WRITERS + READERS):
            caller = server.call(SECRET)
            caller.http.timeout = PATIENCE_SECONDS
            does = self._put if number < WRITERS else self._get
            works.append(partial(self._go_on, does, caller, number))
        super().__init__(*works)

    def goes_on(self) -> None:
        """Returns when more has been written and read than when it was called."""
        written, read = len(self.acknowledged), self.read
        until(lambda: len(self.acknowledged) > written and self.read > read)

    def _go_on(self, does: Callable[[Caller, int, int], None], caller: Caller, number: int) -> None:
        count = 0
        while not self.is_enough:
            try:
                does(caller, number, count)
            except httpx2.HTTPError as error:
                self.failed.append(repr(error))
            count += 1

    def _put(self, caller: Caller, number: int, count: int) -> None:
        key = merchant_key(f"MO-{number}-{count}")
        if self._is_good(send(caller, key, f"Open jar {count}"), 202):
            self.acknowledged.append(key)

    def _get(self, caller: Caller, _number: int, count: int) -> None:
        for path in ("/api/v1/offers", "/api/v1/redemption-windows", "/api/v1/partner/quota"):
            more = {"status": "paused"} if count % 2 and path.endswith("offers") else {}
            self.read += self._is_good(caller.get(path, None, **more), 200)

    def _is_good(self, reply: httpx2.Response, status: int) -> bool:
        if reply.status_code != status:
            self.failed.append(f"{reply.status_code} {reply.text}")
        return reply.status_code == status


def test_readers_and_writers_notice_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.ledgers.ledger.ENTRIES_PER_READ", ENTRIES_PER_READ)
    with (
        RunningServer(settings, tmp_path / "serve.log") as server,
        open_service(settings) as service,
        Traffic(server) as traffic,
    ):
        for _ in range(REBUILDS):
            done = rebuild(service.ledger, lambda _done, _total: traffic.goes_on())
            assert done.differences == []
    assert traffic.failed == []
    with open_service(settings) as service:
        assert verify(service.ledger) == []
        with service.ledger.recorder.read() as tx:
            for key in traffic.acknowledged:
                assert inventory.find(tx, key.offer_uid, Clock().now), key


DIES = """
import os, signal, sys
from itertools import count
from api.wiring import open_service
from projections.projector import PROJECTIONS
from projections.maintenance.rebuild import rebuild

calls = count(1)
with open_service() as service:
    rebuild(service.ledger, lambda *_: next(calls) == int(sys.argv[1]) and os.kill(os.getpid(), signal.SIGKILL))
"""


def left_over(settings: Settings) -> list[str]:
    with open_service(settings) as service, service.ledger.recorder.read() as tx:
        return leftovers(tx)


@pytest.mark.parametrize(("call", "left"), [(1, SHADOW), (2, RETIRED)], ids=["after a chunk", "after the switch"])
def test_whenever_a_rebuild_is_killed_the_live_tables_are_good(settings: Settings, call: int, left: str) -> None:
    died = subprocess.run([sys.executable, "-c", DIES, str(call)], env=environment(settings), check=False)
    assert died.returncode == -signal.SIGKILL
    assert left_over(settings) == sorted(f"{left}{projection.name}" for projection in PROJECTIONS)
    with open_service(settings) as service:
        assert verify(service.ledger) == []
        assert rebuild(service.ledger).differences == []
        assert verify(service.ledger) == []
    assert left_over(settings) == []
