"""How does a ledger that an older program has made become one of this program?

Step by step, and each step in one transaction: whoever dies in the midst leaves the ledger as it was before the step. A step adds
what this program keeps beside the events, or keeps it in another way; no event, and nothing that a commit is sealed by, is ever
another one after it. Projections are not migrated: they are made from the events again.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from domain.store.cursor import Cursor
from domain.store.database import Database
from domain.store.schema import SCHEMA_VERSION, SchemaMismatch, require_version, schema_version
from domain.values import ProgressCallback, no_progress


class MigrationStep(Struct, frozen=True):
    """A ledger of the version before becomes one of `version`.

    A step says by itself what it does, and names no table or statement of this program, which will change: it is always carried
    out on the tables of its time. SQLite adds a column that is NOT NULL only with a default."""

    version: int
    does: str
    """For who waits for it."""
    actions: tuple[str | Callable[[Cursor], object], ...]
    """Statements, and what takes more than a statement."""


def _make_progress(tx: Cursor) -> None:
    # On SQLite it lies in the database beside, where it is made as soon as somebody needs it.
    if "heartbeats" in tx.dialect.table_names(tx):
        tx.execute(
            "CREATE UNLOGGED TABLE progress (run_id TEXT PRIMARY KEY, fence INTEGER NOT NULL,"
            " done INTEGER NOT NULL, total INTEGER NOT NULL)"
        )


STEPS: tuple[MigrationStep, ...] = (
    MigrationStep(
        5,
        "Commits tell the highest ids of commits and streams so far",
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
    MigrationStep(6, "Owners of runs tell how far they are", (_make_progress,)),
)
"""In the order of their versions. Version 4 is the first one that can be migrated."""


def found_version(database: Database) -> int | None:
    """None if the database holds nothing yet. Raises SchemaMismatch if it holds something else than a ledger."""
    with database.read_any_schema() as tx:
        return schema_version(tx) if tx.dialect.table_names(tx) else None


def steps_from(version: int, steps: Sequence[MigrationStep] = STEPS) -> list[MigrationStep]:
    """Those that are to be carried out. Raises SchemaMismatch if none lead from there to this program's version."""
    ahead = [step for step in steps if step.version > version]
    if [step.version for step in ahead] != list(range(version + 1, SCHEMA_VERSION + 1)):
        raise SchemaMismatch(
            f"This ledger has schema {version}; this program knows no way from there to {SCHEMA_VERSION}"
        )
    if not ahead:
        require_version(version)
    return ahead


def apply_steps(
    database: Database,
    step: MigrationStep,
    watch: ProgressCallback = no_progress,
    before: Callable[[], object] | None = None,
) -> bool:
    """False if somebody else has done it meanwhile. `before`: what to do first, when nobody can write any more."""
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
