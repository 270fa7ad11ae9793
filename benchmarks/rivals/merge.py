"""A rival for batches on PostgreSQL, as one would write it by hand: COPY into a staging table, then one MERGE.

A trigger for each statement keeps the history."""

from collections.abc import Mapping

import psycopg
from fastapi import FastAPI
from psycopg_pool import ConnectionPool

from api.http.paths import BATCH_PATH
from api.settings import Settings
from benchmarks.rivals.requests import Batch, Partner, Reply, content_of, reply

TABLES = """
    CREATE TABLE offers (
        offer_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        partner TEXT NOT NULL,
        external_id TEXT NOT NULL,
        status TEXT NOT NULL,
        content TEXT NOT NULL,
        UNIQUE (partner, external_id)
    );
    CREATE TABLE history (
        history_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        offer_id BIGINT NOT NULL,
        status TEXT NOT NULL,
        content TEXT NOT NULL,
        changed_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP
    );
    CREATE INDEX history_by_offer ON history (offer_id);
    CREATE FUNCTION keep_offers() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO history (offer_id, status, content) SELECT offer_id, status, content FROM changed;
            RETURN NULL;
        END $$;
    CREATE TRIGGER created_offers_kept AFTER INSERT ON offers REFERENCING NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION keep_offers();
    CREATE TRIGGER updated_offers_kept AFTER UPDATE ON offers REFERENCING NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION keep_offers();
"""
STAGING = "CREATE TEMP TABLE staging (external_id TEXT PRIMARY KEY, content TEXT NOT NULL) ON COMMIT DROP"
MERGE = """
    WITH merged AS (
        MERGE INTO offers o USING staging s ON o.partner = %s AND o.external_id = s.external_id
        WHEN MATCHED AND (o.status <> 'active' OR o.content <> s.content)
            THEN UPDATE SET status = 'active', content = s.content
        WHEN NOT MATCHED
            THEN INSERT (partner, external_id, status, content) VALUES (%s, s.external_id, 'active', s.content)
        RETURNING merge_action() AS action
    )
    SELECT action, count(*) FROM merged GROUP BY action
"""
PAUSE = """
    UPDATE offers o SET status = 'paused' WHERE o.partner = %s AND o.status = 'active'
    AND NOT EXISTS (SELECT 1 FROM staging s WHERE s.external_id = o.external_id)
"""


def app(settings: Settings) -> FastAPI:
    pool = _pool(settings)
    application = FastAPI()

    @application.post(BATCH_PATH)
    def post(partner: Partner, batch: Batch) -> Reply:
        sent = {item.externalId: content_of(item) for item in batch.offers}
        with pool.connection() as connection:
            return execute(connection, partner, sent, is_complete=batch.operation == "Synchronize")

    return application


def execute(connection: psycopg.Connection, partner: str, sent: Mapping[str, str], *, is_complete: bool) -> Reply:
    with connection.cursor() as cursor:
        cursor.execute(STAGING)
        with cursor.copy("COPY staging FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["text", "text"])
            for row in sent.items():
                copy.write_row(row)
        # Without statistics, the planner expects few rows and joins them one by one.
        cursor.execute("ANALYZE staging")
        actions: dict[str, int] = dict(cursor.execute(MERGE, (partner, partner)).fetchall())
        paused = cursor.execute(PAUSE, (partner,)).rowcount if is_complete else 0
    created, updated = actions.get("INSERT", 0), actions.get("UPDATE", 0)
    return reply(created=created, updated=updated, unchanged=len(sent) - created - updated, paused=paused)


def _pool(settings: Settings) -> ConnectionPool:
    """Creates the tables, and returns connections to them."""
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(f"CREATE SCHEMA {settings.database_schema}")
        connection.execute(f"SET search_path TO {settings.database_schema}")
        connection.execute(TABLES)
    options = {"options": f"-csearch_path={settings.database_schema}"}
    return ConnectionPool(settings.database_url, kwargs=options, min_size=1, max_size=16, open=True)
