"""A rival of FastAPI and SQLAlchemy: each offer is a row that is upserted, and a trigger stores its history."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    bindparam,
    create_engine,
    event,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from api.http.paths import BATCH_PATH
from api.settings import Settings
from benchmarks.rivals.requests import OFFER_PATH, Batch, MerchantOffer, Partner, Reply, content_of, reply

_metadata = MetaData()
OFFERS = Table(
    "offers",
    _metadata,
    Column("offer_id", Integer, primary_key=True),
    Column("partner", String, nullable=False),
    Column("merchant_id", String, nullable=False),
    Column("external_id", String, nullable=False),
    Column("status", String, nullable=False),
    Column("content", String, nullable=False),
    UniqueConstraint("partner", "merchant_id", "external_id"),
)
HISTORY = Table(
    "history",
    _metadata,
    Column("history_id", Integer, primary_key=True),
    Column("offer_id", Integer, nullable=False, index=True),
    Column("status", String, nullable=False),
    Column("content", String, nullable=False),
    Column("changed_at", String, nullable=False, server_default=text("CURRENT_TIMESTAMP")),
)
KEEP = "INSERT INTO history (offer_id, status, content) VALUES (new.offer_id, new.status, new.content)"
TRIGGERS = {
    "sqlite": [f"CREATE TRIGGER offers_{how} AFTER {how} ON offers BEGIN {KEEP}; END" for how in ("INSERT", "UPDATE")],
    "postgresql": [
        f"CREATE FUNCTION keep_offer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {KEEP}; RETURN new; END $$",
        "CREATE TRIGGER offers_kept AFTER INSERT OR UPDATE ON offers FOR EACH ROW EXECUTE FUNCTION keep_offer()",
    ],
}
ACTIVE, PAUSED = "active", "paused"


def app(settings: Settings) -> FastAPI:
    database = _database(settings)
    application = FastAPI()

    @application.post(BATCH_PATH)
    def post(partner: Partner, batch: Batch) -> Reply:
        with database.begin() as connection:
            return execute(connection, partner, batch)

    @application.put(OFFER_PATH, status_code=202)
    def put(partner: Partner, merchant_id: str, external_id: str, offer: MerchantOffer) -> dict[str, str]:
        with database.begin() as connection:
            _upsert(connection, [_row(partner, merchant_id, external_id, offer.model_dump_json())])
        return {"trace_id": str(uuid4())}

    return application


def execute(connection: Connection, partner: str, batch: Batch) -> Reply:
    mine = (OFFERS.c.partner == partner) & (OFFERS.c.merchant_id == "")
    rows = connection.execute(select(OFFERS.c.external_id, OFFERS.c.status, OFFERS.c.content).where(mine))
    known = {external_id: (status, content) for external_id, status, content in rows}
    sent = {item.externalId: content_of(item) for item in batch.offers}
    created = [name for name in sent if name not in known]
    updated = [name for name in sent if name in known and known[name] != (ACTIVE, sent[name])]
    missing: list[str] = []
    if batch.operation == "Synchronize":
        missing = [name for name, (status, _) in known.items() if status == ACTIVE and name not in sent]
    _upsert(connection, [_row(partner, "", name, sent[name]) for name in (*created, *updated)])
    if missing:
        paused = update(OFFERS).where(mine, OFFERS.c.external_id == bindparam("name")).values(status=PAUSED)
        connection.execute(paused, [{"name": name} for name in missing])
    unchanged = len(sent) - len(created) - len(updated)
    return reply(created=len(created), updated=len(updated), unchanged=unchanged, paused=len(missing))


def _row(partner: str, merchant_id: str, external_id: str, content: str) -> dict[str, str]:
    return {
        "partner": partner,
        "merchant_id": merchant_id,
        "external_id": external_id,
        "status": ACTIVE,
        "content": content,
    }


def _upsert(connection: Connection, rows: Sequence[dict[str, str]]) -> None:
    if not rows:
        return
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(OFFERS)
    new = {"status": insert.excluded.status, "content": insert.excluded.content}
    connection.execute(
        insert.on_conflict_do_update(index_elements=["partner", "merchant_id", "external_id"], set_=new), rows
    )


def _database(settings: Settings) -> Engine:
    if settings.is_shared:
        url = settings.database_url.replace("postgresql://", "postgresql+psycopg://")
        engine = create_engine(url, connect_args={"options": f"-csearch_path={settings.database_schema}"}, pool_size=16)
    else:
        engine = create_engine(settings.database_url, pool_size=16)
        event.listen(engine, "connect", _set_ledger_durability)
    with engine.begin() as connection:
        if settings.is_shared:
            connection.execute(text(f"CREATE SCHEMA {settings.database_schema}"))
        _metadata.create_all(connection)
        for trigger in TRIGGERS[engine.dialect.name]:
            connection.execute(text(trigger))
    return engine


def _set_ledger_durability(connection: Any, _: object) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 60000"):
        connection.execute(f"PRAGMA {pragma}")
