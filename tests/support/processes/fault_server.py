"""A server with a partner that sends large batches, and functions that kill its processes."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx2
import pytest

from api.dependencies.authentication import digest_secret
from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.access.token import CreateToken
from domain.values import OfferKey, Role
from projections.offers import inventory
from tests.support.examples import PARTNER, batch, body, item
from tests.support.harness import OPERATOR, Caller, Clock
from tests.support.processes.shell import RunningServer

OFFERS = 10_000
SECRET = "secret of the partner"
PUBLISHER_SECRET = "secret of the publisher"
RUNS = "/api/v1/runs"


def new_ledger_settings(folder: Path, monkeypatch: pytest.MonkeyPatch, lease_seconds: float) -> Settings:
    """Creates an SQLite ledger with a partner, its token and a publisher's token. Its position is 3."""
    settings = Settings(database_url=f"sqlite:///{folder}/ledger.db")
    prepare_ledger(settings, monkeypatch, lease_seconds)
    return settings


def prepare_ledger(settings: Settings, monkeypatch: pytest.MonkeyPatch, lease_seconds: float) -> None:
    monkeypatch.setenv("OFFER_LEDGER_LEASE_SECONDS", str(lease_seconds))
    with open_service(settings) as service:
        service.ledger.handle(SetPartner(PARTNER, synchronize_per_day=0, insert_per_hour=0), OPERATOR)
        token = CreateToken("partner", Role.PARTNER, PARTNER, digest_secret(SECRET), 0, None)
        service.ledger.handle(token, OPERATOR)
        publishers = CreateToken("publisher", Role.PUBLISHER, None, digest_secret(PUBLISHER_SECRET), 0, None)
        service.ledger.handle(publishers, OPERATOR)


def large_batch(mark: str) -> tuple[str, bytes]:
    """Returns a request id, and a batch of `OFFERS` offers whose contents differ for each mark."""
    request_id = str(uuid4())
    items = [item(f"TP-{n}", headline=f"Open jar {n} {mark}") for n in range(OFFERS)]
    return request_id, body(batch("Synchronize", items, request_id))


def children_of(pid: int) -> list[int]:
    """Returns the ids of the child processes; an empty list if the process has ended."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def command_of(pid: int) -> bytes:
    """Returns the command line of a process; nothing if the process has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def worker_pids(server: RunningServer) -> list[int]:
    return children_of(server.process.pid)


def kill_all(pids: Iterable[int]) -> int:
    """Kills processes and returns how many of them still existed."""
    count = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            count += 1
    return count


def kill(server: RunningServer) -> None:
    """Kills the server and its worker processes, so that no process is left to finish a run."""
    pids = worker_pids(server)
    server.kill()
    kill_all(pids)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class BackgroundWork:
    """Tasks that run in threads until the block ends. A task stops when `is_stopping` is true."""

    def __init__(self, *tasks: Callable[[], None]) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=task) for task in tasks]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()


def send_and_forget(caller: Caller, sent: bytes, replies: list[Any] | None = None) -> threading.Thread:
    """Sends a batch in a new thread, which ignores transport errors."""

    def send() -> None:
        try:
            reply = caller.send(sent)
        except httpx2.HTTPError:
            return
        if replies is not None:
            replies.append(reply)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def find_runs(caller: Caller, request_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = caller.get(RUNS, concurrencyRequestId=request_id).json()["items"]
    return items


def position(caller: Caller) -> int:
    return int(caller.get("/api/v1/offers", limit=1).json()["position"])


def offer_versions(service: Service, keys: Iterable[OfferKey]) -> list[int]:
    """Returns the version of each offer, or 0 if it does not exist."""
    with service.ledger.recorder.read() as tx:
        views = [inventory.find(tx, key.offer_uid, Clock().now) for key in keys]
    return [view.version if view else 0 for view in views]
