"""Is everything there that was acknowledged, when a worker, all workers or PostgreSQL itself die at any moment?

OFFER_LEDGER_TEST_KILLS says how often; OFFER_LEDGER_TEST_SEED repeats a series.
"""

import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from api.settings import Settings
from api.wiring import open_service
from domain.partner import SetPartner
from domain.values import OfferKey
from projections import inventory
from projections.verification import verify
from tests.api.cli.shell import RunningServer
from tests.engine import IS_POSTGRES
from tests.examples import PARTNER
from tests.faults.serving import SECRET, helpers_of, prepared_there, until
from tests.harness import OPERATOR, Clock
from tests.own_postgres import OwnPostgres
from tests.single_requests import merchant_key, send

KILLS = int(os.environ.get("OFFER_LEDGER_TEST_KILLS", "3"))
SEED = int(os.environ.get("OFFER_LEDGER_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
CONNECTIONS = 8
LONGEST_SECONDS = 1.5

pytestmark = pytest.mark.skipif(not IS_POSTGRES, reason="It is about PostgreSQL.")


@pytest.fixture
def postgres() -> Iterator[OwnPostgres]:
    with tempfile.TemporaryDirectory(prefix="olpg") as folder:
        found = OwnPostgres(Path(folder) / "data")
        yield found
        found.end()


@pytest.fixture
def own(postgres: OwnPostgres, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = Settings(database_url=postgres.url, lease_seconds=2)
    prepared_there(settings, monkeypatch, 2)
    with open_service(settings) as service:
        service.ledger.handle(SetPartner(PARTNER, daily_quota=0, rps=0), OPERATOR)
    return settings


class Traffic:
    """Everyone puts one new offer after the other, whatever they are answered."""

    def __init__(self, server: RunningServer) -> None:
        self.acknowledged: list[OfferKey] = []
        self.answers: set[int] = set()
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._put, args=(server, n)) for n in range(CONNECTIONS)]
        for thread in self._threads:
            thread.start()

    def _put(self, server: RunningServer, connection: int) -> None:
        number = 0
        caller = server.call(SECRET)
        caller.http.timeout = 30
        while not self._is_over.is_set():
            number += 1
            key = merchant_key(f"MO-{connection}-{number}")
            with suppress(httpx2.HTTPError):
                status = send(caller, key, "Open a jar").status_code
                self.answers.add(status)
                if status == 202:
                    self.acknowledged.append(key)

    def end(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()


def test_what_was_acknowledged_is_there_whoever_dies(postgres: OwnPostgres, own: Settings, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    print(f"OFFER_LEDGER_TEST_SEED={SEED}")
    with RunningServer(own, tmp_path / "serve.log", "--workers", "2") as server:
        traffic = Traffic(server)
        for number in range(KILLS):
            so_far = len(traffic.acknowledged)
            until(lambda so_far=so_far: len(traffic.acknowledged) > so_far)  # type: ignore[misc]
            time.sleep(chance.uniform(0, LONGEST_SECONDS))
            victims = ("worker", "workers", "PostgreSQL")
            victim = victims[number] if number < len(victims) else chance.choice(victims)
            print(f"{len(traffic.acknowledged)} acknowledged; now dies: {victim}")
            if victim == "PostgreSQL":
                postgres.die()
                postgres.begin_again()
            else:
                workers = [pid for pid in helpers_of(server) if b"spawn_main" in _command(pid)]
                for pid in workers if victim == "workers" else [chance.choice(workers)]:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        so_far = len(traffic.acknowledged)
        until(lambda: len(traffic.acknowledged) > so_far)
        traffic.end()
        assert server.end(signal.SIGTERM) == 0
    assert traffic.answers <= {202, 503}
    with open_service(own, Clock()) as service:
        assert verify(service.ledger) == []
        with service.ledger.recorder.reading() as tx:
            found = [inventory.find(tx, key.offer_uid, Clock().now) for key in traffic.acknowledged]
    assert [view.version if view else 0 for view in found] == [1] * len(found)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
