"""Migrates a ledger from an older schema version to this program's version.

Each step is one transaction: if the process dies, the ledger is as it was before the step. A step adds or changes data beside the
events. It never changes an event or an input of the hash chain. Projections are not migrated: they are rebuilt from the events.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from domain.store.cursor import Cursor
from domain.store.database import Database
from domain.store.schema import SCHEMA_VERSION, NoLedger, OtherContent, SchemaMismatch, require_version, schema_version
from domain.values import ProgressCallback, no_progress


class MigrationStep(Struct, frozen=True):
    """Migrates a ledger to `version` from the version before.

    A step contains its own SQL. It must not import table definitions or statements of the program, because these change later
    and the step runs on the tables of its time. SQLite adds a NOT NULL column only with a default."""

    version: int
    description: str
    """Shown to the operator."""
    actions: tuple[str | Callable[[Cursor], object], ...]
    """SQL statements, and functions for changes that need more than one statement."""


def _make_progress(tx: Cursor) -> None:
    # On SQLite these tables are in the separate leases database, and are created at first use.
    if "heartbeats" in tx.dialect.table_names(tx):
        tx.execute(
            "CREATE UNLOGGED TABLE progress (run_id TEXT PRIMARY KEY, fence INTEGER NOT NULL,"
            " done INTEGER NOT NULL, total INTEGER NOT NULL)"
        )


STEPS: tuple[MigrationStep, ...] = (
    MigrationStep(
        5,
        "Adds the highest commit and stream ids so far to each commit",
        (
            "ALTER TABLE commits ADD COLUMN highest_commit_id INTEGER NOT NULL DEFAULT 0",
            "ALTER TABLE commits ADD COLUMN highest_stream_id INTEGER NOT NULL DEFAULT 0",
            """
            UPDATE commits SET highest_commit_id = so_far.highest_commit_id, highest_stream_id = so_far.highest_stream_id
            FROM (
                SELECT c.commit_id, max(c.commit_id) OVER (ORDER BY c.first_position) AS highest_commit_id,
                       max(max(e.stream_id)) OVER (ORDER BY c.first_position) AS highest_stream_id
                FROM commits c JOIN events e USING (commit_id)
                GROUP BY c.commit_id, c.first_position
            ) so_far
            WHERE so_far.commit_id = commits.commit_id
            """,
        ),
    ),
    MigrationStep(6, "Adds the progress of runs", (_make_progress,)),
    MigrationStep(
        7,
        "Adds the trace ids of requests to runs, and finds commits by them",
        (
            "ALTER TABLE runs ADD COLUMN traceparent TEXT",
            """
            CREATE INDEX commits_by_request ON commits (substr(traceparent, 4, 32), first_position)
            WHERE traceparent IS NOT NULL
            """,
        ),
    ),
    MigrationStep(
        8, "Finds commits by their source", ("CREATE INDEX commits_by_source ON commits (source, first_position)",)
    ),
    MigrationStep(
        9,
        "Adds the reasons of operators to commits, and the holds of offers",
        (
            "ALTER TABLE commits ADD COLUMN reason TEXT",
            # A projection. No older event is a hold, so the empty table is up to date, and nobody needs to rebuild it.
            """
            CREATE TABLE offer_holds (
                offer_id INTEGER NOT NULL,
                version INTEGER NOT NULL,
                commit_id INTEGER NOT NULL,
                held INTEGER NOT NULL,
                held_until INTEGER,
                PRIMARY KEY (offer_id, version)
            )
            """,
        ),
    ),
    MigrationStep(
        10,
        "Adds the undo of runs, and the reasons of runs",
        (
            "ALTER TABLE runs ADD COLUMN undo_of TEXT",
            "ALTER TABLE runs ADD COLUMN undone_by TEXT",
            "ALTER TABLE runs ADD COLUMN reason TEXT",
        ),
    ),
)
"""All steps, by ascending version. Version 4 is the oldest version that can be migrated."""


def find_schema_version(database: Database) -> int | None:
    """Returns None for an empty database. Raises SchemaMismatch if it contains something other than a ledger."""
    with database.read_any_schema() as tx:
        names = tx.dialect.table_names(tx)
        if not names or "schema_version" in names:
            return schema_version(tx) if names else None
    raise OtherContent(database.place())


def no_ledger(database: Database) -> NoLedger:
    """Returns the error for an empty database. It names the place, and other ledgers that the operator may have meant."""
    others = database.other_ledgers()
    hint = f". These schemas have a ledger: {', '.join(others)}" if others else ""
    return NoLedger(f"There is no ledger in {database.place()}{hint}")


def pending_steps(version: int, steps: Sequence[MigrationStep] = STEPS) -> list[MigrationStep]:
    """Returns the steps after `version`. Raises SchemaMismatch if they do not lead to this program's version."""
    pending = [step for step in steps if step.version > version]
    if [step.version for step in pending] != list(range(version + 1, SCHEMA_VERSION + 1)):
        raise SchemaMismatch(
            f"This ledger has schema {version}; this program can't migrate it to schema {SCHEMA_VERSION}"
        )
    if not pending:
        require_version(version)
    return pending


def apply_step(
    database: Database,
    step: MigrationStep,
    watch: ProgressCallback = no_progress,
    before: Callable[[], object] | None = None,
) -> bool:
    """Runs one step. Returns False if another process has already done it.

    `before` is called first, when no other process can write any more. `watch` gets the finished and the total actions."""
    with database.schema_change() as tx:
        if schema_version(tx) >= step.version:
            return False
        if before:
            before()
        for done, action in enumerate(step.actions):
            watch(done, len(step.actions))
            if isinstance(action, str):
                tx.execute(action)
            else:
                action(tx)
        tx.execute("UPDATE schema_version SET version = ?", (step.version,))
    watch(len(step.actions), len(step.actions))
    return True
