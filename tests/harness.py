"""A clock that stands where a test puts it, and a client of the real server."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2

from api.problems import BATCH_PATH
from domain.events import OfferEvent
from domain.ledger import OfferLedger
from domain.store.commit import CommitContext
from domain.values import OfferKey, Origin, Source

OPERATOR = Origin("olga", Source.CLI)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


class Caller:
    """Calls the real server with one token."""

    def __init__(self, base_url: str, secret: str | None) -> None:
        headers = {"Authorization": f"ApiToken {secret}"} if secret else {}
        self.http = httpx2.Client(base_url=base_url, headers=headers)

    def get(self, path: str, headers: dict[str, str] | None = None, **params: Any) -> httpx2.Response:
        return self.http.get(path, params=params, headers=headers)

    def send(self, content: bytes, **headers: str) -> httpx2.Response:
        """Posts a body to the batch endpoint."""
        given = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self.http.post(BATCH_PATH, content=content, headers=given)


Call = Callable[[str | None], Caller]
"""Gives a client of the running service with that secret."""

MakeToken = Callable[..., str]
"""Makes a token and gives its secret."""


def record(ledger: OfferLedger, key: OfferKey, *events: OfferEvent) -> UUID:
    """Puts the first events of an offer into the ledger: what has no door of its own yet comes in here."""
    with ledger.recorder.writing() as tx:
        ledger._commit(tx, CommitContext(OPERATOR), [(key.offer_uid, 0, events)])
    return key.offer_uid
