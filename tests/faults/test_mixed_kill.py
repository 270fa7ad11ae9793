"""Everything acknowledged is stored exactly once and completely, whichever process is killed at any time.

Under traffic on all channels, the test kills the server or its worker processes on SQLite. On PostgreSQL, it kills one
server process, all server processes, their worker processes, or PostgreSQL itself. OFFER_LEDGER_TEST_KILLS sets the
number of kills; OFFER_LEDGER_TEST_SEED repeats a series.
"""

import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
from tests.support.postgres.private_server import PrivatePostgres
from tests.support.processes.fault_checks import events_by_stream, require_kept
from tests.support.processes.fault_server import (
    SECRET,
    children_of,
    command_of,
    free_port,
    kill,
    kill_all,
    new_ledger_settings,
    prepare_ledger,
)
from tests.support.processes.mixed_traffic import MixedTraffic
from tests.support.processes.shell import RunningServer

KILLS = int(os.environ.get("OFFER_LEDGER_TEST_KILLS", "2"))
SEED = int(os.environ.get("OFFER_LEDGER_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
KILLS_PER_LEDGER = 10
LEASE_SECONDS = 3.0
"""On a busy machine, a worker process needs about one second to start. A run fails if its lease expires too often."""
MAX_DELAY_SECONDS = 1.0
EXIT_CODES = {0, 128 + signal.SIGTERM, -signal.SIGTERM}


class System(Protocol):
    """The processes that serve a ledger and can be killed."""

    settings: Settings
    url: str
    victims: tuple[str, ...]

    def kill(self, victim: str, chance: random.Random) -> int:
        """Kills processes, restarts those that no supervisor restarts, and returns how many were killed."""

    def end(self) -> None:
        """Stops the server with SIGTERM."""

    def close(self) -> None:
        """Kills all remaining processes."""


class SqliteSystem:
    victims: tuple[str, ...] = ("server", "worker processes")

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._port = free_port()
        self.settings = new_ledger_settings(folder, monkeypatch, LEASE_SECONDS)
        self._serve()
        self.url = self._server.url

    def kill(self, victim: str, chance: random.Random) -> int:
        del chance
        if victim == "worker processes":
            return kill_all(children_of(self._server.process.pid))
        self.close()
        self._serve()
        return 1

    def end(self) -> None:
        assert self._server.end(signal.SIGTERM) in EXIT_CODES

    def close(self) -> None:
        kill(self._server)
        self._server.__exit__(None, None, None)

    def _serve(self) -> None:
        log = self._folder / f"serve-{len(list(self._folder.glob('serve-*')))}.log"
        self._server = RunningServer(self.settings, log, "--port", str(self._port))
        self._server.__enter__()


class PostgresSystem:
    victims: tuple[str, ...] = ("server process", "PostgreSQL", "all server processes", "worker processes")

    def __init__(self, folder: Path, postgres: PrivatePostgres, monkeypatch: pytest.MonkeyPatch) -> None:
        self._postgres = postgres
        self.settings = Settings(database_url=postgres.url)
        prepare_ledger(self.settings, monkeypatch, LEASE_SECONDS)
        self._server = RunningServer(self.settings, folder / "serve.log", "--workers", "2")
        self.url = self._server.__enter__().url

    def kill(self, victim: str, chance: random.Random) -> int:
        processes = [pid for pid in children_of(self._server.process.pid) if b"spawn_main" in command_of(pid)]
        match victim:
            case "PostgreSQL":
                self._postgres.kill()
                self._postgres.restart()
                return 1
            case "worker processes":
                return kill_all([pid for process in processes for pid in children_of(process)])
            case "all server processes":
                return kill_all(processes)
            case _:
                return kill_all([chance.choice(processes)])

    def end(self) -> None:
        assert self._server.end(signal.SIGTERM) in EXIT_CODES

    def close(self) -> None:
        kill(self._server)
        self._server.__exit__(None, None, None)
        self._postgres.stop()


@contextmanager
def running_system(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    with tempfile.TemporaryDirectory(prefix="olpg") as data:
        system: System
        if IS_POSTGRES:
            system = PostgresSystem(folder, PrivatePostgres(Path(data) / "data"), monkeypatch)
        else:
            system = SqliteSystem(folder, monkeypatch)
        try:
            yield system
        finally:
            system.close()


# The kills


def test_acknowledged_events_are_stored_once_after_any_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    print(f"OFFER_LEDGER_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    for first in range(0, KILLS, KILLS_PER_LEDGER):
        folder = tmp_path / str(first)
        folder.mkdir()
        with running_system(folder, monkeypatch) as system:
            kill_and_check(system, range(first, min(first + KILLS_PER_LEDGER, KILLS)), chance)


def kill_and_check(system: System, numbers: range, chance: random.Random) -> None:
    before = prepare_system(system)
    with MixedTraffic(system.url, system.settings, f"{SEED} {numbers}") as traffic:

        def acknowledged() -> dict[UUID, list[str]]:
            return before | traffic.acknowledged()

        for number in numbers:
            traffic.wait_for_progress()
            time.sleep(chance.uniform(0, MAX_DELAY_SECONDS))
            victim = system.victims[number] if number < len(system.victims) else chance.choice(system.victims)
            so_far = sum(map(len, acknowledged().values()))
            count = system.kill(victim, chance)
            print(f"{number}: {so_far} events acknowledged; {victim} killed, {count} processes")
            require_kept(system.settings, acknowledged(), list(traffic.traces), is_all=False)
        traffic.wait_for_progress()
        traffic.end()
        system.end()
        require_kept(system.settings, acknowledged(), list(traffic.traces), is_all=True)


def prepare_system(system: System) -> dict[UUID, list[str]]:
    """Removes the partner's limits and creates the offer that customers activate. Returns the events per stream."""
    with open_service(system.settings) as service:
        service.ledger.handle(SetPartner(PARTNER, rps=0, daily_quota=0), OPERATOR)
    caller = Caller(system.url, SECRET)
    assert send(caller, merchant_key("MO-activated"), "Open a jar").status_code == 202
    caller.http.close()
    with open_service(system.settings) as service, service.ledger.recorder.read() as tx:
        return events_by_stream(tx)
