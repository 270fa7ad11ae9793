"""A clock that tests set, a client of the real server, and functions that write to the ledger directly."""

import hashlib
import ssl
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import msgspec

from api.bounds.body import BodyBounds
from api.http.paths import BATCH_PATH
from api.runs import execution
from domain.events import OfferEvent
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.run_ledger import RunLedger
from domain.runs.run import Batch, ItemOutcome, Outcome, Run, RunRequest
from domain.store.commit import CommitContext
from domain.store.records.compression import compress
from domain.store.records.run_outcomes import select_outcome
from domain.values import OfferKey, Operation, Origin, ProgressCallback, Source, no_progress
from tests.support.examples import PARTNER, batch, body
from tests.support.waiting import PATIENCE_SECONDS

OPERATOR = Origin("olga", Source.CLI)
FEED = Origin("tide-feed", Source.CUSTOM)
LEASE = timedelta(seconds=10)
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The tests use plain HTTP. Without this, each client loads the certificates of all authorities, which takes 40 ms."""


class Clock:
    """A clock that changes only by `move`."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


def plain_client(base_url: str, **options: Any) -> httpx2.Client:
    """Returns an HTTP client that waits for a busy machine."""
    return httpx2.Client(base_url=base_url, timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES, **options)


class Caller:
    """Calls the real server with one token."""

    def __init__(self, base_url: str, secret: str | None) -> None:
        headers = {"Authorization": f"ApiToken {secret}"} if secret else {}
        self.http = plain_client(base_url, headers=headers)

    def get(self, path: str, headers: dict[str, str] | None = None, **params: Any) -> httpx2.Response:
        return self.http.get(path, params=params, headers=headers)

    def send(self, content: bytes, **headers: str) -> httpx2.Response:
        """Posts a body to the batch endpoint."""
        all_headers = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self.http.post(BATCH_PATH, content=content, headers=all_headers)


Call = Callable[[str | None], Caller]
"""Returns a client of the running service that sends this secret."""

MakeToken = Callable[..., str]
"""Creates a token and returns its secret."""

SendBytes = Callable[..., bytes]
"""Sends a request as bytes and returns all bytes of the reply."""


def record(ledger: OfferLedger, key: OfferKey, *events: OfferEvent) -> UUID:
    """Writes the first events of an offer to the ledger, past the channels."""
    with ledger.recorder.write() as tx:
        ledger.commit(tx, CommitContext(OPERATOR), [(key.offer_uid, 0, events)])
    return key.offer_uid


def run_ledger(ledger: OfferLedger) -> RunLedger:
    """Returns the run ledger of a process named `the test`."""
    assert ledger.recorder.clock is not None
    return RunLedger(ledger, "the test", LEASE)


def run_batch(ledger: OfferLedger, operation: Operation, items: Sequence[Any], partner: str = PARTNER) -> Run:
    """Sends a batch of these items, executes its run, and returns the finished run."""
    document = batch(operation, items)
    sent = body(document)
    request_id = UUID(document["concurrencyRequestId"])
    request = RunRequest(uuid4(), partner, Batch(operation, request_id), hashlib.sha256(sent).hexdigest(), len(sent))
    runs = run_ledger(ledger)
    return execute_run(runs, runs.accept(request, FEED, [compress(sent)]).run)


def execute_run(runs: RunLedger, run: Run, watch: ProgressCallback = no_progress) -> Run:
    """Executes a run without a limit on the images."""
    return execution.execute(runs, run, BodyBounds(max_image_bytes=sys.maxsize), watch)


def outcome_of(ledger: OfferLedger, run: Run) -> Outcome:
    """Returns the stored outcome of a run: its items by outcome, and its messages."""
    outcome = Outcome(messages=run.messages)
    with ledger.recorder.read() as tx:
        for part in select_outcome(tx, run.run_id):
            getattr(outcome, part.outcome).extend(msgspec.json.decode(part.items, type=list[ItemOutcome]))
    return outcome
