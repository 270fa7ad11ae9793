"""The others: clients that use the service normally while an attack runs, and what they get meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import httpx2

from tests.support.calls.merchants import merchant_offer
from tests.support.harness import plain_client
from tests.support.hostile.target import Target
from tests.support.waiting import PATIENCE_SECONDS, wait_until

OFFER_PATH = "/api/v1/partner/merchants/shop/offers/tea"
HEALTH, READ, WRITE = "health", "read", "write"
CALLS = (HEALTH, READ, WRITE)
PAUSE_SECONDS = 0.05


class Observation(NamedTuple):
    """One call of the others. The times are seconds of the monotonic clock. `outcome` is the status of the reply, or the
    name of the transport error."""

    call: str
    started: float
    ended: float
    outcome: str


class Others:
    """Clients that repeat three calls, each in its own thread: health, read an offer, write an offer."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._observations: list[Observation] = []
        self._pending: dict[str, float] = {}
        self._lock, self._stop = threading.Lock(), threading.Event()

    def answers(self, call: str, since: float = 0.0) -> list[Observation]:
        """Returns the finished calls that began at that time or later."""
        with self._lock:
            return [seen for seen in self._observations if seen.call == call and seen.started >= since]

    def longest_wait(self, call: str, since: float = 0.0) -> float:
        """Returns the seconds of the longest call, also of one that still waits."""
        waits = [seen.ended - seen.started for seen in self.answers(call, since)]
        with self._lock:
            if (started := self._pending.get(call)) is not None:
                waits.append(time.monotonic() - max(started, since))
        return max(waits, default=0.0)

    def failures(self, since: float = 0.0) -> list[str]:
        """Returns the outcomes that are no success, one text for each kind: `write: 503`."""
        seen = [seen for call in CALLS for seen in self.answers(call, since)]
        return sorted({f"{one.call}: {one.outcome}" for one in seen if not one.outcome.startswith("2")})

    def wait_for_answers(self, since: float) -> None:
        """Waits until each call that began at that time or later has been answered once."""
        wait_until(lambda: all(self.answers(call, since) for call in CALLS), describe=lambda: self._pending)

    def wait_until_answered(self) -> None:
        """Waits until the calls that wait at present have ended. Each ends: its client gives up some time."""
        now = time.monotonic()
        wait_until(lambda: all(started > now for started in self._pending.copy().values()), within=2 * PATIENCE_SECONDS)

    def run(self, call: str) -> None:
        with plain_client(self._target.url, headers={"Authorization": f"ApiToken {self._target.other}"}) as client:
            send = _SENDERS[call]
            for number in range(1_000_000_000):
                if self._stop.is_set():
                    return
                self._observe(call, lambda number=number: send(client, number))  # type: ignore[misc]
                self._stop.wait(PAUSE_SECONDS)

    def end(self) -> None:
        self._stop.set()

    def _observe(self, call: str, send: Callable[[], httpx2.Response]) -> None:
        started = time.monotonic()
        with self._lock:
            self._pending[call] = started
        try:
            outcome = str(send().status_code)
        except httpx2.HTTPError as error:
            outcome = type(error).__name__
        with self._lock:
            self._observations.append(Observation(call, started, time.monotonic(), outcome))
            del self._pending[call]


@contextmanager
def watch_others(target: Target) -> Iterator[Others]:
    """Runs the others until the block ends. It begins when each has got an answer."""
    others = Others(target)
    with plain_client(target.url, headers={"Authorization": f"ApiToken {target.other}"}) as client:
        _write(client, -1).raise_for_status()
    threads = [threading.Thread(target=others.run, args=(call,)) for call in CALLS]
    for thread in threads:
        thread.start()
    try:
        others.wait_for_answers(0.0)
        yield others
    finally:
        others.end()
        for thread in threads:
            thread.join()


def _health(client: httpx2.Client, _: int) -> httpx2.Response:
    return client.get("/healthz")


def _read(client: httpx2.Client, _: int) -> httpx2.Response:
    return client.get("/api/v1/offers", params={"limit": 1})


def _write(client: httpx2.Client, number: int) -> httpx2.Response:
    """Changes the offer: each number gives another content."""
    return client.put(OFFER_PATH, json=merchant_offer("shop", "tea", offerName=f"Tea {number}"))


_SENDERS: Mapping[str, Callable[[httpx2.Client, int], httpx2.Response]] = {
    HEALTH: _health,
    READ: _read,
    WRITE: _write,
}
