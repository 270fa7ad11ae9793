"""A server with a partner who sends large batches, and ways to do it harm."""

import os
import signal
import socket
import threading
import time
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
PUBLISHERS_SECRET = "secret of the publisher"
RUNS = "/api/v1/runs"
PATIENCE_SECONDS = 60.0


def prepared(folder: Path, monkeypatch: pytest.MonkeyPatch, lease_seconds: float) -> Settings:
    """A ledger that knows the partner, its token and a publisher's; its position is 3."""
    settings = Settings(database_url=f"sqlite:///{folder}/ledger.db")
    prepared_there(settings, monkeypatch, lease_seconds)
    return settings


def prepared_there(settings: Settings, monkeypatch: pytest.MonkeyPatch, lease_seconds: float) -> None:
    monkeypatch.setenv("OFFER_LEDGER_LEASE_SECONDS", str(lease_seconds))
    with open_service(settings) as service:
        service.ledger.handle(SetPartner(PARTNER, synchronize_per_day=0, insert_per_hour=0), OPERATOR)
        token = CreateToken("partner", Role.PARTNER, PARTNER, digest_secret(SECRET), 0, None)
        service.ledger.handle(token, OPERATOR)
        publishers = CreateToken("publisher", Role.PUBLISHER, None, digest_secret(PUBLISHERS_SECRET), 0, None)
        service.ledger.handle(publishers, OPERATOR)


def large_batch(mark: str) -> tuple[str, bytes]:
    """A request id, and a batch of OFFERS offers that say something else for every mark."""
    request_id = str(uuid4())
    items = [item(f"TP-{n}", headline=f"Open jar {n} {mark}") for n in range(OFFERS)]
    return request_id, body(batch("Synchronize", items, request_id))


def children_of(pid: int) -> list[int]:
    """None of one that is no longer there."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def helpers_of(server: RunningServer) -> list[int]:
    return children_of(server.process.pid)


def killed(pids: Iterable[int]) -> int:
    """How many of them have been there to be killed."""
    number = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            number += 1
    return number


def kill(server: RunningServer) -> None:
    """The server and its helpers, so that nobody is left to finish anything."""
    helpers = helpers_of(server)
    server.kill()
    killed(helpers)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class GoingOn:
    """Some who go on, each in a thread of its own, until it is enough."""

    def __init__(self, *works: Callable[[], None]) -> None:
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=work) for work in works]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()

    @property
    def is_enough(self) -> bool:
        return self._enough.is_set()


def send_and_forget(caller: Caller, sent: bytes, replies: list[Any] | None = None) -> threading.Thread:
    """Sends in a thread of its own; no reply is no error."""

    def send() -> None:
        try:
            reply = caller.send(sent)
        except httpx2.HTTPError:
            return
        if replies is not None:
            replies.append(reply)

    caller.http.timeout = PATIENCE_SECONDS
    thread = threading.Thread(target=send)
    thread.start()
    return thread


def found(caller: Caller, request_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = caller.get(RUNS, concurrencyRequestId=request_id).json()["items"]
    return items


def position(caller: Caller) -> int:
    return int(caller.get("/api/v1/offers", limit=1).json()["position"])


def found_offers(service: Service, keys: Iterable[OfferKey]) -> list[int]:
    """The version of each, 0 where there is none."""
    with service.ledger.recorder.read() as tx:
        views = [inventory.find(tx, key.offer_uid, Clock().now) for key in keys]
    return [view.version if view else 0 for view in views]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
