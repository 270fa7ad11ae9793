"""PostgreSQL at its limits: no more connections, or a full disk.

The service answers 503 with `Retry-After` to requests that it cannot serve. It loses nothing that it has acknowledged
and stores nothing partially. When PostgreSQL has room again, the service continues without a restart.
"""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import psycopg
import pytest

from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.values import Channel, OfferKey
from tests.support.engine import only_postgres, postgres_url
from tests.support.examples import PARTNER, batch, body, item
from tests.support.harness import OPERATOR, Call, Caller, MakeToken
from tests.support.histories.single_requests import merchant_key, send
from tests.support.postgres.private_server import PrivatePostgres
from tests.support.processes.fault_checks import events_by_stream, require_kept
from tests.support.processes.fault_server import SECRET, offer_versions, prepare_ledger
from tests.support.processes.shell import RunningServer
from tests.support.waiting import wait_until

pytestmark = only_postgres

CALLERS = 12
FEW_CONNECTIONS = 3
POOL_WAIT_SECONDS = 2.0
DISK = "192m"
BATCHES, OFFERS = 100, 400
LARGE_TEXT = "Noodles. " * 350
MIB = 1024 * 1024


def require_refused(reply: httpx2.Response) -> None:
    assert reply.status_code == 503, reply.text
    assert int(reply.headers["Retry-After"]) > 0
    assert reply.headers["Content-Type"] == "application/problem+json"


# Connections


class Role:
    """A database role whose number of connections PostgreSQL limits."""

    def __init__(self, administrator: psycopg.Connection[object]) -> None:
        self._administrator = administrator
        self.name = f"test_{uuid4().hex}"
        administrator.execute(f"CREATE ROLE {self.name} LOGIN")
        database = urlsplit(postgres_url())
        administrator.execute(f"GRANT CREATE ON DATABASE {database.path[1:]} TO {self.name}")
        url = database._replace(netloc=f"{self.name}:@{database.netloc.partition('@')[2]}").geturl()
        self.settings = Settings(database_url=url, database_schema=self.name)

    def limit_connections(self, connections: int) -> None:
        """Sets the connection limit (-1: none) and terminates the existing connections."""
        self._administrator.execute(f"ALTER ROLE {self.name} CONNECTION LIMIT {connections}")
        terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
        self._administrator.execute(terminate, (self.name,))

    def remove(self) -> None:
        self._administrator.execute(f"DROP OWNED BY {self.name} CASCADE")
        self._administrator.execute(f"DROP ROLE {self.name}")


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> Iterator[Role]:
    monkeypatch.setattr("domain.store.postgres.connections.POOL_TIMEOUT_SECONDS", POOL_WAIT_SECONDS)
    with psycopg.connect(postgres_url(), autocommit=True) as administrator:
        limited_role = Role(administrator)
        yield limited_role
        limited_role.remove()


@pytest.fixture
def settings(role: Role) -> Settings:
    return role.settings


@pytest.fixture
def callers(service: Service, call: Call, token: MakeToken) -> list[Caller]:
    secret = token()
    service.ledger.handle(SetPartner(PARTNER, rps=0, daily_quota=0), OPERATOR)
    return [call(secret) for _ in range(CALLERS)]


def test_requests_without_a_connection_get_a_503_after_the_timeout(
    role: Role, callers: list[Caller], service: Service
) -> None:
    assert send(callers[0], merchant_key("MO-before"), "Open a jar").status_code == 202
    role.limit_connections(0)

    def send_request(number: int) -> None:
        started = time.monotonic()
        if number % 3:
            require_refused(send(callers[number], merchant_key(f"MO-{number}"), "Open a jar"))
        else:
            require_refused(callers[number].get("/api/v1/offers"))
        assert POOL_WAIT_SECONDS / 2 < time.monotonic() - started < POOL_WAIT_SECONDS * CALLERS / 2

    with ThreadPoolExecutor(CALLERS) as pool:
        refused = [pool.submit(send_request, number) for number in range(1, CALLERS)]
        time.sleep(POOL_WAIT_SECONDS / 4)
        assert callers[0].get("/healthz").status_code == 200
        assert not any(request.done() for request in refused)
        for request in refused:
            request.result()
    role.limit_connections(-1)
    wait_until(lambda: send(callers[0], merchant_key("MO-after"), "Open a jar").status_code == 202)
    keys = [merchant_key(f"MO-{name}") for name in ("before", "after", *range(1, CALLERS))]
    assert offer_versions(service, keys) == [1, 1] + [0] * (CALLERS - 1)


def test_requests_beyond_the_connection_limit_get_a_503(role: Role, callers: list[Caller], service: Service) -> None:
    role.limit_connections(FEW_CONNECTIONS)
    acknowledged: list[OfferKey] = []
    answers: list[httpx2.Response] = []
    ends = time.monotonic() + POOL_WAIT_SECONDS

    def send_until_end(number: int) -> None:
        count = 0
        while time.monotonic() < ends:
            count += 1
            key = merchant_key(f"MO-{number}-{count}")
            answers.append(send(callers[number], key, "Open a jar"))
            if answers[-1].status_code == 202:
                acknowledged.append(key)
            answers.append(callers[number].get("/api/v1/offers", limit=1))

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(send_until_end, range(CALLERS)))
    refused = [reply for reply in answers if not reply.is_success]
    for reply in refused:
        require_refused(reply)
    assert len(refused) < len(answers)
    role.limit_connections(-1)
    wait_until(lambda: send(callers[0], merchant_key("MO-after"), "Open a jar").status_code == 202)
    assert offer_versions(service, acknowledged) == [1] * len(acknowledged)


# The disk


class Disk:
    """A small file system that a test can fill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Fills the disk to the last page."""
        with self._ballast.open("ab") as ballast:
            for size in (MIB, 4096):
                try:
                    while True:
                        os.posix_fallocate(ballast.fileno(), ballast.seek(0, os.SEEK_END), size)
                except OSError:
                    continue

    def make_room(self) -> None:
        self._ballast.unlink(missing_ok=True)


@pytest.fixture
def disk() -> Iterator[Disk]:
    with tempfile.TemporaryDirectory(prefix="olfull") as folder:
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder]
        if subprocess.run(mounting, capture_output=True, check=False).returncode:
            pytest.skip("Needs permission to mount a small file system.")
        yield Disk(Path(folder))
        subprocess.run(["umount", folder], check=True)  # noqa: S607 - the system's umount


@pytest.fixture
def postgres(disk: Disk) -> Iterator[PrivatePostgres]:
    server = PrivatePostgres(disk.folder / "data")
    yield server
    disk.make_room()
    server.stop()


def names_of(number: int) -> list[str]:
    return [f"TP-{number}-{n}" for n in range(OFFERS)]


def batch_of(number: int) -> bytes:
    return body(batch("Insert", [item(name, offerDetails=LARGE_TEXT) for name in names_of(number)]))


@contextmanager
def fill_while_writing(disk: Disk) -> Iterator[None]:
    """Fills the disk in the middle of the block."""
    filling = threading.Timer(0.2, disk.fill)
    filling.start()
    yield
    filling.join()


def test_full_disk_gives_a_503_and_loses_nothing(
    disk: Disk, postgres: PrivatePostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database_url=postgres.url)
    prepare_ledger(settings, monkeypatch, 2)
    with open_service(settings) as service, service.ledger.recorder.read() as tx:
        expected = events_by_stream(tx)
    batches = [batch_of(number) for number in range(BATCHES)]
    with RunningServer(settings, tmp_path / "serve.log") as server:
        caller = server.call(SECRET)
        with fill_while_writing(disk):
            replies: list[httpx2.Response] = []
            while not replies or replies[-1].status_code == 200:
                replies.append(caller.send(batches[len(replies)]))
        if replies[-1].status_code != 202:
            require_refused(replies[-1])
        require_refused(send(caller, merchant_key("MO-1"), "Open a jar"))
        assert "No space left on device" in (postgres.folder / "log").read_text()
        disk.make_room()
        postgres.restart()
        wait_until(lambda: caller.send(batches[len(replies) - 1]).status_code == 200)
    for name in (name for number in range(len(replies)) for name in names_of(number)):
        expected[OfferKey(PARTNER, Channel.CUSTOM, None, name).offer_uid] = ["OfferCreated"]
    require_kept(settings, expected, [], is_all=True)
