"""Which primary records does a ledger hold?

The commit is the unit of record: events carry (commit, ordinal), and a position is the commit's first position plus
the ordinal, so that bulk rows need not know their place in the ledger while they are written. Times are microseconds
since 1970. `highest_…`: of all commits until this one; ids are given before places are, so they may come in another order.
"""

from collections.abc import Sequence
from typing import Any

from eventsourcing.persistence import PersistenceError

from domain.store.cursor import Cursor

SCHEMA_VERSION = 6

TABLES = (
    "CREATE TABLE schema_version (version INTEGER NOT NULL)",
    """
    CREATE TABLE head (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        position INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL,
        chain BLOB NOT NULL
    )""",
    """
    CREATE TABLE commits (
        commit_id INTEGER PRIMARY KEY,
        first_position INTEGER NOT NULL UNIQUE,
        event_count INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL UNIQUE,
        partner TEXT,
        actor TEXT NOT NULL,
        source TEXT NOT NULL,
        run_id TEXT,
        trace_id TEXT,
        traceparent TEXT,
        digest BLOB NOT NULL,
        chain BLOB NOT NULL,
        highest_commit_id INTEGER NOT NULL DEFAULT 0,
        highest_stream_id INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX commits_by_partner ON commits (partner, first_position)",
    "CREATE INDEX commits_by_actor ON commits (actor, first_position)",
    "CREATE INDEX commits_by_run ON commits (run_id, first_position) WHERE run_id IS NOT NULL",
    "CREATE INDEX commits_by_trace ON commits (trace_id, first_position) WHERE trace_id IS NOT NULL",
    """
    CREATE TABLE streams (
        stream_id INTEGER PRIMARY KEY,
        stream_uid BLOB NOT NULL UNIQUE
    )""",
    """
    CREATE TABLE events (
        commit_id INTEGER NOT NULL,
        ordinal INTEGER NOT NULL,
        stream_id INTEGER NOT NULL,
        version INTEGER NOT NULL,
        topic TEXT NOT NULL,
        state BLOB NOT NULL,
        UNIQUE (stream_id, version),
        UNIQUE (commit_id, ordinal)
    )""",
    """
    CREATE TABLE runs (
        run_seq INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL UNIQUE,
        partner TEXT NOT NULL,
        channel TEXT NOT NULL,
        request_key TEXT NOT NULL,
        operation TEXT,
        concurrency_request_id TEXT,
        file_name TEXT,
        file_date TEXT,
        source TEXT NOT NULL,
        actor TEXT NOT NULL,
        body_digest TEXT NOT NULL,
        body_bytes INTEGER NOT NULL,
        accepted_at INTEGER NOT NULL,
        accepted_position INTEGER NOT NULL,
        owner TEXT NOT NULL,
        lease_until INTEGER NOT NULL,
        fence INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        state TEXT NOT NULL,
        is_counted BOOLEAN NOT NULL,
        request_digest TEXT,
        finished_at INTEGER,
        counts TEXT,
        messages TEXT NOT NULL,
        position INTEGER,
        problem TEXT
    )""",
    # Failed runs give their request back.
    "CREATE UNIQUE INDEX runs_by_request ON runs (partner, channel, request_key) WHERE state <> 'failed'",
    "CREATE INDEX runs_by_partner ON runs (partner)",
    "CREATE INDEX runs_by_request_id ON runs (concurrency_request_id)",
    "CREATE UNIQUE INDEX runs_unfinished ON runs (partner, channel) WHERE state IN ('accepted', 'running')",
    "CREATE INDEX runs_not_completed ON runs (run_seq) WHERE state <> 'completed'",
    "CREATE INDEX runs_by_slot ON runs (partner, channel, operation, accepted_at)",
    "CREATE INDEX runs_by_file_date ON runs (partner, file_date) WHERE file_date IS NOT NULL",
    """
    CREATE TABLE run_bodies (
        run_id TEXT NOT NULL,
        chunk INTEGER NOT NULL,
        stored_at INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        PRIMARY KEY (run_id, chunk)
    )""",
    """
    CREATE TABLE run_outcomes (
        run_seq INTEGER NOT NULL,
        first_item INTEGER NOT NULL,
        item_count INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        items BLOB NOT NULL,
        PRIMARY KEY (run_seq, first_item)
    )""",
    """
    CREATE TABLE traces (
        trace_seq INTEGER PRIMARY KEY,
        trace_id TEXT NOT NULL UNIQUE,
        partner TEXT NOT NULL,
        offer_uid BLOB NOT NULL,
        outcome TEXT NOT NULL,
        version INTEGER NOT NULL,
        warnings TEXT,
        actor TEXT NOT NULL,
        accepted_at INTEGER NOT NULL,
        traceparent TEXT
    )""",
    """
    CREATE TABLE quota_use (
        partner TEXT NOT NULL,
        day INTEGER NOT NULL,
        used INTEGER NOT NULL,
        PRIMARY KEY (partner, day)
    )""",
    """
    CREATE TABLE images (
        image_id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        literal BLOB NOT NULL
    )""",
    """
    CREATE TABLE secrets (
        name TEXT PRIMARY KEY,
        secret BLOB NOT NULL
    )""",
    f"INSERT INTO schema_version VALUES ({SCHEMA_VERSION})",
    "INSERT INTO head VALUES (1, 0, 0, x'')",
)


UNLOGGED_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS heartbeats (
        run_id TEXT PRIMARY KEY,
        fence INTEGER NOT NULL,
        lease_until INTEGER NOT NULL
    )""",
    """
    CREATE TABLE IF NOT EXISTS progress (
        run_id TEXT PRIMARY KEY,
        fence INTEGER NOT NULL,
        done INTEGER NOT NULL,
        total INTEGER NOT NULL
    )""",
)
"""Beside the primary records: which runs have owners that are at work, and how far they are. On SQLite an older program may find
them, after a backup: no column is ever added to one, there may be another table."""


NEWEST_POSITION = "SELECT position FROM head"

VERSIONS = "SELECT version FROM schema_version"
"""Asked at the start of every transaction: a process that goes on over a migration must not work with what it doesn't know."""


class SchemaMismatch(PersistenceError):  # noqa: N818 - names what is the case, as a refusal does
    """The database holds no ledger of the schema that this program works with."""


class OlderLedger(SchemaMismatch):
    """It holds one that an older program has made."""


def schema_version(tx: Cursor) -> int:
    """Raises SchemaMismatch if the database does not hold a ledger."""
    if "schema_version" not in tx.dialect.table_names(tx):
        raise SchemaMismatch("The database holds something else than a ledger")
    return _only_one(tx.execute(VERSIONS).fetchall())


def require_schema(tx: Cursor) -> None:
    """Raises SchemaMismatch."""
    require_version(schema_version(tx))


def require_versions(rows: Sequence[Sequence[Any]]) -> None:
    """Raises SchemaMismatch unless the rows that VERSIONS has found say what they should."""
    require_version(_only_one(rows))


def require_version(found: int) -> None:
    """Raises SchemaMismatch."""
    if found < SCHEMA_VERSION:
        raise OlderLedger(f"This ledger has schema {found}; this program works with schema {SCHEMA_VERSION}")
    if found > SCHEMA_VERSION:
        raise SchemaMismatch(
            f"This ledger has schema {found}; this program is older, and knows schema {SCHEMA_VERSION}"
        )


def _only_one(rows: Sequence[Sequence[Any]]) -> int:
    match [row[0] for row in rows]:
        case [int(version)]:
            return version
        case versions:
            found = " and ".join(map(str, versions)) or "unknown"
            raise SchemaMismatch(f"This ledger has schema {found}; this program works with schema {SCHEMA_VERSION}")
