"""Tables of a ledger's primary records, and the check of the schema version.

The commit is the unit of record. An event row has its commit and ordinal, and its position is the commit's first position
plus the ordinal. So events can be written before the commit has a position. Times are microseconds since 1970.
`highest_commit_id` and `highest_stream_id` are the maximum up to and including this commit: ids are assigned before
positions, so they are not ascending in position order.
"""

from collections.abc import Sequence
from typing import Any

from eventsourcing.persistence import PersistenceError

from domain.store.cursor import Cursor

SCHEMA_VERSION = 10

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
        highest_stream_id INTEGER NOT NULL DEFAULT 0,
        reason TEXT
    )""",
    "CREATE INDEX commits_by_partner ON commits (partner, first_position)",
    "CREATE INDEX commits_by_actor ON commits (actor, first_position)",
    "CREATE INDEX commits_by_source ON commits (source, first_position)",
    "CREATE INDEX commits_by_run ON commits (run_id, first_position) WHERE run_id IS NOT NULL",
    "CREATE INDEX commits_by_trace ON commits (trace_id, first_position) WHERE trace_id IS NOT NULL",
    # The trace id of a traceparent, which has the form 00-TRACE_ID-PARENT_ID-FLAGS.
    "CREATE INDEX commits_by_request ON commits (substr(traceparent, 4, 32), first_position) WHERE traceparent IS NOT NULL",
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
        problem TEXT,
        traceparent TEXT,
        undo_of TEXT,
        undone_by TEXT,
        reason TEXT
    )""",
    # A failed run does not count: its request can be sent again.
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
"""Leases and progress of running runs: not primary records. On SQLite, after a backup is restored, an older program may open
these tables. So an existing table never gets a new column; new data goes into a new table."""


SELECT_NEWEST_POSITION = "SELECT position FROM head"

SELECT_SCHEMA_VERSION = "SELECT version FROM schema_version"
"""Runs at the start of every transaction: a process that is still open after a migration must not use a newer schema."""


class SchemaMismatch(PersistenceError):
    """The database does not contain a ledger with this program's schema version."""


class NoLedger(SchemaMismatch):
    """The checked place contains no ledger, and one can be created there. The message names the place."""


class OtherContent(SchemaMismatch):
    """The database contains something other than a ledger."""

    def __init__(self, place: str) -> None:
        super().__init__(f"The database contains something other than a ledger: {place}")


class OlderLedger(SchemaMismatch):
    """The ledger has an older schema version, which `offer-ledger migrate` can update."""


def schema_version(tx: Cursor) -> int:
    """Returns the stored version. Raises SchemaMismatch if the database does not contain a ledger."""
    if "schema_version" not in tx.dialect.table_names(tx):
        raise SchemaMismatch("The database contains something other than a ledger")
    return _only_one(tx.execute(SELECT_SCHEMA_VERSION).fetchall())


def require_schema(tx: Cursor) -> None:
    """Raises SchemaMismatch unless the database contains a ledger with this program's schema version."""
    require_version(schema_version(tx))


def require_version_rows(rows: Sequence[Sequence[Any]]) -> None:
    """Checks the rows of SELECT_SCHEMA_VERSION. Raises SchemaMismatch unless it is one row with this program's version."""
    require_version(_only_one(rows))


def require_version(version: int) -> None:
    """Raises OlderLedger for an older version, and SchemaMismatch for a newer one."""
    if version < SCHEMA_VERSION:
        raise OlderLedger(f"This ledger has schema {version}; this program works with schema {SCHEMA_VERSION}")
    if version > SCHEMA_VERSION:
        raise SchemaMismatch(
            f"This ledger has schema {version}; this program is older and works with schema {SCHEMA_VERSION}"
        )


def _only_one(rows: Sequence[Sequence[Any]]) -> int:
    match [row[0] for row in rows]:
        case [int(version)]:
            return version
        case versions:
            found = " and ".join(map(str, versions)) or "unknown"
            raise SchemaMismatch(f"This ledger has schema {found}; this program works with schema {SCHEMA_VERSION}")
