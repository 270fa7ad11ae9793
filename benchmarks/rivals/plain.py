"""A rival of FastAPI and the eventsourcing library, used as in its tutorial.

Each offer is an aggregate that is loaded from the repository, changed and saved."""

from collections import defaultdict
from collections.abc import Sequence
from threading import Lock
from uuid import UUID, uuid4, uuid5

import psycopg
from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, event
from fastapi import FastAPI
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from api.http.paths import BATCH_PATH
from api.settings import Settings
from benchmarks.rivals.requests import OFFER_PATH, Batch, MerchantOffer, Partner, Reply, content_of, reply

ACTIVE, PAUSED = "active", "paused"
MAX_SAVED_AT_ONCE = 200
"""The maximum on PostgreSQL: with more, a call of the library never returns. A batch is not one transaction there."""
NAMESPACE = UUID("5d7de1b6-8a34-4b5e-9f6a-3f1f3fd3a1f0")


class Offer(Aggregate):
    @event("Created")
    def __init__(self, partner: str, merchant_id: str, external_id: str, content: str) -> None:
        self.partner, self.merchant_id, self.external_id = partner, merchant_id, external_id
        self.content, self.status = content, ACTIVE

    @staticmethod
    def create_id(partner: str, merchant_id: str, external_id: str) -> UUID:
        return uuid5(NAMESPACE, f"{partner}/{merchant_id}/{external_id}")

    @event("Updated")
    def update(self, content: str) -> None:
        self.content, self.status = content, ACTIVE

    @event("Paused")
    def pause(self) -> None:
        self.status = PAUSED


class Offers(Application[UUID]):
    """The application of the rival. `_active`: the ids of active offers of batches by partner.

    The library has no query for them."""

    def __init__(self, env: dict[str, str], *, all_at_once: bool) -> None:
        super().__init__(env)
        self._all_at_once = all_at_once
        self._active: defaultdict[str, set[UUID]] = defaultdict(set)

    def execute(self, partner: str, batch: Batch) -> Reply:
        counts = {"created": 0, "updated": 0, "unchanged": 0}
        changed: list[Offer] = []
        sent: set[UUID] = set()
        for item in batch.offers:
            outcome, offer = self._changed(partner, "", item.externalId, content_of(item))
            counts[outcome] += 1
            sent.add(offer.id)
            if offer.pending_events:
                changed.append(offer)
        missing = self._active[partner] - sent if batch.operation == "Synchronize" else set()
        for uid in missing:
            offer = self.repository.get(uid)
            offer.pause()
            changed.append(offer)
        self._save(changed)
        self._active[partner] = self._active[partner] - missing | sent
        return reply(paused=len(missing), **counts)

    def put(self, partner: str, merchant_id: str, external_id: str, content: str) -> None:
        self._save([self._changed(partner, merchant_id, external_id, content)[1]])

    def _changed(self, partner: str, merchant_id: str, external_id: str, content: str) -> tuple[str, Offer]:
        try:
            offer: Offer = self.repository.get(Offer.create_id(partner, merchant_id, external_id))
        except AggregateNotFoundError:
            return "created", Offer(partner, merchant_id, external_id, content)
        if (offer.status, offer.content) == (ACTIVE, content):
            return "unchanged", offer
        offer.update(content)
        return "updated", offer

    def _save(self, offers: Sequence[Offer]) -> None:
        step = len(offers) if self._all_at_once else MAX_SAVED_AT_ONCE
        for first in range(0, len(offers), step or 1):
            self.save(*offers[first : first + step])


def app(settings: Settings) -> FastAPI:
    offers, one_batch = Offers(_environment(settings), all_at_once=not settings.is_shared), Lock()
    application = FastAPI()

    @application.post(BATCH_PATH)
    def post(partner: Partner, batch: Batch) -> Reply:
        with one_batch:
            return offers.execute(partner, batch)

    @application.put(OFFER_PATH, status_code=202)
    def put(partner: Partner, merchant_id: str, external_id: str, offer: MerchantOffer) -> dict[str, str]:
        offers.put(partner, merchant_id, external_id, offer.model_dump_json())
        return {"trace_id": str(uuid4())}

    return application


def _environment(settings: Settings) -> dict[str, str]:
    if not settings.is_shared:
        return {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": settings.database_url.removeprefix("sqlite:///"),
        }
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(settings.database_schema)))
    parameters = conninfo_to_dict(settings.database_url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(parameters["dbname"]),
        "POSTGRES_HOST": str(parameters["host"]),
        "POSTGRES_PORT": str(parameters.get("port", 5432)),
        "POSTGRES_USER": str(parameters["user"]),
        "POSTGRES_SCHEMA": settings.database_schema,
        "POSTGRES_PASSWORD": str(parameters.get("password", "")),
    }
