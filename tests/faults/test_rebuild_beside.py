"""Rebuilds beside a busy server: clients notice neither a rebuild nor a killed one."""

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
from projections.maintenance.shadow_tables import RETIRED_PREFIX, SHADOW_PREFIX, leftover_tables
from projections.maintenance.verification import verify
from projections.offers import inventory
from projections.projector import PROJECTIONS
from tests.support.examples import PARTNER, item
from tests.support.harness import OPERATOR, Caller, Clock, run_batch
from tests.support.histories.single_requests import merchant_key, send
from tests.support.processes.fault_server import SECRET, BackgroundWork, new_ledger_settings
from tests.support.processes.shell import RunningServer, environment
from tests.support.waiting import wait_until

OFFERS = 3_000
WRITERS, READERS = 4, 2
REBUILDS = 3
ENTRIES_PER_READ = 250
"""Small, so that a rebuild has many chunks with other commits in between."""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    prepared = new_ledger_settings(tmp_path, monkeypatch, 10)
    with open_service(prepared) as service:
        service.ledger.handle(SetPartner(PARTNER, rps=0, daily_quota=0), OPERATOR)
        run_batch(service.ledger, Operation.INSERT, [item(f"TP-{n}") for n in range(OFFERS)])
    return prepared


class Traffic(BackgroundWork):
    """Connections that put one new offer after the other, or read, until the block ends."""

    def __init__(self, server: RunningServer) -> None:
        self.acknowledged: list[OfferKey] = []
        self.read = 0
        self.failed: list[str] = []
        tasks = []
        for number in range(WRITERS + READERS):
            caller = server.call(SECRET)
            send_one = self._put if number < WRITERS else self._get
            tasks.append(partial(self._send_until_end, send_one, caller, number))
        super().__init__(*tasks)

    def wait_for_progress(self) -> None:
        """Waits until more has been written and read."""
        written, read = len(self.acknowledged), self.read
        wait_until(lambda: len(self.acknowledged) > written and self.read > read)

    def _send_until_end(self, send_one: Callable[[Caller, int, int], None], caller: Caller, number: int) -> None:
        count = 0
        while not self.is_stopping:
            try:
                send_one(caller, number, count)
            except httpx2.HTTPError as error:
                self.failed.append(repr(error))
            count += 1

    def _put(self, caller: Caller, number: int, count: int) -> None:
        key = merchant_key(f"MO-{number}-{count}")
        if self._is_expected(send(caller, key, f"Open jar {count}"), 202):
            self.acknowledged.append(key)

    def _get(self, caller: Caller, _number: int, count: int) -> None:
        for path in ("/api/v1/offers", "/api/v1/redemption-windows", "/api/v1/partner/quota"):
            more = {"status": "paused"} if count % 2 and path.endswith("offers") else {}
            self.read += self._is_expected(caller.get(path, None, **more), 200)

    def _is_expected(self, reply: httpx2.Response, status: int) -> bool:
        if reply.status_code != status:
            self.failed.append(f"{reply.status_code} {reply.text}")
        return reply.status_code == status


def test_rebuilds_do_not_disturb_readers_and_writers(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.ledgers.ledger.ENTRIES_PER_READ", ENTRIES_PER_READ)
    with (
        RunningServer(settings, tmp_path / "serve.log") as server,
        open_service(settings) as service,
        Traffic(server) as traffic,
    ):
        for _ in range(REBUILDS):
            result = rebuild(service.ledger, lambda _done, _total: traffic.wait_for_progress())
            assert result.differences == []
    assert traffic.failed == []
    with open_service(settings) as service:
        assert verify(service.ledger) == []
        with service.ledger.recorder.read() as tx:
            for key in traffic.acknowledged:
                assert inventory.find(tx, key.offer_uid, Clock().now), key


REBUILD_AND_DIE = """
import os, signal, sys
from itertools import count
from api.wiring import open_service
from projections.projector import PROJECTIONS
from projections.maintenance.rebuild import rebuild

calls = count(1)
with open_service() as service:
    rebuild(service.ledger, lambda *_: next(calls) == int(sys.argv[1]) and os.kill(os.getpid(), signal.SIGKILL))
"""


def leftovers_of(settings: Settings) -> list[str]:
    with open_service(settings) as service, service.ledger.recorder.read() as tx:
        return leftover_tables(tx)


@pytest.mark.parametrize(
    ("call", "prefix"), [(1, SHADOW_PREFIX), (2, RETIRED_PREFIX)], ids=["after a chunk", "after the switch"]
)
def test_killed_rebuild_leaves_the_live_tables_valid(settings: Settings, call: int, prefix: str) -> None:
    died = subprocess.run([sys.executable, "-c", REBUILD_AND_DIE, str(call)], env=environment(settings), check=False)
    assert died.returncode == -signal.SIGKILL
    assert leftovers_of(settings) == sorted(f"{prefix}{projection.name}" for projection in PROJECTIONS)
    with open_service(settings) as service:
        assert verify(service.ledger) == []
        assert rebuild(service.ledger).differences == []
        assert verify(service.ledger) == []
    assert leftovers_of(settings) == []
