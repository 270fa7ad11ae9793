"""Is everything there that was acknowledged, once, and nothing by halves, whoever dies at any moment?

Under traffic on all channels, a server on SQLite or its helpers die, a worker, all workers or their helpers on PostgreSQL, or
PostgreSQL itself. OFFER_LEDGER_TEST_KILLS says how often; OFFER_LEDGER_TEST_SEED repeats a series.
"""

import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol
from uuid import UUID

import pytest

from api.settings import Settings
from api.wiring import open_service
from domain.access.partner import SetPartner
from tests.support.engine import IS_POSTGRES
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Caller
from tests.support.histories.single_requests import merchant_key, send
from tests.support.postgres.private_server import OwnPostgres
from tests.support.processes.fault_checks import events_by_stream, require_kept
from tests.support.processes.fault_server import SECRET, children_of, free_port, kill, killed, prepared, prepared_there
from tests.support.processes.mixed_traffic import Mixed
from tests.support.processes.shell import RunningServer

KILLS = int(os.environ.get("OFFER_LEDGER_TEST_KILLS", "3"))
SEED = int(os.environ.get("OFFER_LEDGER_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
KILLS_PER_LEDGER = 10
LEASE_SECONDS = 3.0
"""A helper needs one to begin, when everybody is busy; a run that is taken from it too often is given up."""
LONGEST_SECONDS = 1.0
ENDED = {0, 128 + signal.SIGTERM, -signal.SIGTERM}


class House(Protocol):
    """Who serves a ledger, and may be killed."""

    settings: Settings
    url: str
    victims: tuple[str, ...]

    def strike(self, victim: str, chance: random.Random) -> int:
        """Kills, and begins again what nobody else begins again. How many have died?"""

    def end(self) -> None:
        """Asks the server to end."""

    def close(self) -> None:
        """Leaves nobody behind."""


class OnSqlite:
    victims: tuple[str, ...] = ("server", "helpers")

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._port = free_port()
        self.settings = prepared(folder, monkeypatch, LEASE_SECONDS)
        self._serve()
        self.url = self._server.url

    def strike(self, victim: str, chance: random.Random) -> int:
        del chance
        if victim == "helpers":
            return killed(children_of(self._server.process.pid))
        self.close()
        self._serve()
        return 1

    def end(self) -> None:
        assert self._server.end(signal.SIGTERM) in ENDED

    def close(self) -> None:
        kill(self._server)
        self._server.__exit__(None, None, None)

    def _serve(self) -> None:
        log = self._folder / f"serve-{len(list(self._folder.glob('serve-*')))}.log"
        self._server = RunningServer(self.settings, log, "--port", str(self._port))
        self._server.__enter__()


class OnPostgres:
    victims: tuple[str, ...] = ("worker", "PostgreSQL", "workers", "helpers")

    def __init__(self, folder: Path, postgres: OwnPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
        self._postgres = postgres
        self.settings = Settings(database_url=postgres.url)
        prepared_there(self.settings, monkeypatch, LEASE_SECONDS)
        self._server = RunningServer(self.settings, folder / "serve.log", "--workers", "2")
        self.url = self._server.__enter__().url

    def strike(self, victim: str, chance: random.Random) -> int:
        workers = [pid for pid in children_of(self._server.process.pid) if b"spawn_main" in _command(pid)]
        match victim:
            case "PostgreSQL":
                self._postgres.die()
                self._postgres.begin_again()
                return 1
            case "helpers":
                return killed([helper for worker in workers for helper in children_of(worker)])
            case "workers":
                return killed(workers)
            case _:
                return killed([chance.choice(workers)])

    def end(self) -> None:
        assert self._server.end(signal.SIGTERM) in ENDED

    def close(self) -> None:
        kill(self._server)
        self._server.__exit__(None, None, None)
        self._postgres.end()


@contextmanager
def a_house(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="olpg") as data:
        house: House
        if IS_POSTGRES:
            house = OnPostgres(folder, OwnPostgres(Path(data) / "data"), monkeypatch)
        else:
            house = OnSqlite(folder, monkeypatch)
        try:
            yield house
        finally:
            house.close()


# The kills


def test_what_was_acknowledged_is_there_once_whoever_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    print(f"OFFER_LEDGER_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    for first in range(0, KILLS, KILLS_PER_LEDGER):
        folder = tmp_path / str(first)
        folder.mkdir()
        with a_house(folder, monkeypatch) as house:
            kill_and_look(house, range(first, min(first + KILLS_PER_LEDGER, KILLS)), chance)


def kill_and_look(house: House, numbers: range, chance: random.Random) -> None:
    before = made_ready(house)
    with Mixed(house.url, house.settings, f"{SEED} {numbers}") as traffic:

        def acknowledged() -> dict[UUID, list[str]]:
            return before | traffic.acknowledged()

        for number in numbers:
            traffic.goes_on()
            time.sleep(chance.uniform(0, LONGEST_SECONDS))
            victim = house.victims[number] if number < len(house.victims) else chance.choice(house.victims)
            so_far = sum(map(len, acknowledged().values()))
            died = house.strike(victim, chance)
            print(f"{number}: {so_far} events acknowledged; {victim} killed, {died} processes")
            require_kept(house.settings, acknowledged(), list(traffic.traces), is_all=False)
        traffic.goes_on()
        traffic.end()
        house.end()
        require_kept(house.settings, acknowledged(), list(traffic.traces), is_all=True)


def made_ready(house: House) -> dict[UUID, list[str]]:
    """The offer that customers activate, and a partner without limits. The events that are there then."""
    with open_service(house.settings) as service:
        service.ledger.handle(SetPartner(PARTNER, rps=0, daily_quota=0), OPERATOR)
    caller = Caller(house.url, SECRET)
    assert send(caller, merchant_key("MO-activated"), "Open a jar").status_code == 202
    caller.http.close()
    with open_service(house.settings) as service, service.ledger.recorder.read() as tx:
        return events_by_stream(tx)


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
