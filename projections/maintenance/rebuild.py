"""Rebuilds projections from the events while readers and writers continue.

A rebuild fills shadow tables chunk by chunk: it reads each chunk without the write lock and writes it in a short
transaction. It then compares each shadow table with the live table and replaces the live table by it. Until then it
does not change the live table.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from secrets import token_hex

from msgspec import Struct

from domain.ledgers.ledger import OfferLedger, StorageError
from domain.store.commit import current_head
from domain.store.cursor import Cursor
from domain.store.retry import retry_transaction, retry_until_unlocked
from domain.values import ProgressCallback, no_progress
from projections.maintenance.shadow_tables import (
    SHADOW_PREFIX,
    RenamingCursor,
    leftover_tables,
    swap_in,
    with_free_index_name,
)
from projections.maintenance.table_diff import MAX_DIFFERENCES, Difference, differing_rows
from projections.projection import Projection
from projections.projector import PROJECTIONS, ProjectionReplay

REBUILD_MARKER = "rebuild_in_progress"
"""A table with the token of the newest rebuild. An older rebuild stops when a transaction finds another token, or
none."""
COMPARE_ATTEMPTS = 20
"""Attempts to compare in a snapshot without commits in between, before the comparison makes writers wait."""


class RebuildFailed(Exception):
    """The rebuild stopped. The live tables are unchanged."""


class RebuildOvertaken(RebuildFailed):
    def __init__(self) -> None:
        super().__init__("Another rebuild has started in the meantime; this one has changed nothing")


class RebuildIncomplete(RebuildFailed):
    def __init__(self, name: str, missing: str) -> None:
        super().__init__(f"{name} reads {missing}, which has no table yet; rebuild both")


class RebuildResult(Struct, frozen=True, rename="camel"):
    """`differences` lists up to `MAX_DIFFERENCES` places where the replaced tables contradicted the events."""

    position: int
    rebuilt: list[str]
    differences: list[Difference]


def rebuild(
    ledger: OfferLedger, on_progress: ProgressCallback = no_progress, projections: Sequence[Projection] = PROJECTIONS
) -> RebuildResult:
    """Rebuilds projections from the first event on and replaces the live tables.

    Raises RebuildIncomplete if a projection reads another one that has no table and is not rebuilt with it, and
    RebuildOvertaken if another rebuild starts in the meantime."""
    rebuilding = _Rebuilding(ledger, on_progress, projections)
    rebuilding.start()
    try:
        rebuilding.catch_up()
        rebuilding.create_indexes()
        rebuilding.analyze()
        rebuilding.catch_up()
        differences = rebuilding.compare()
        return RebuildResult(rebuilding.switch(), [projection.name for projection in projections], differences)
    finally:
        with suppress(RebuildOvertaken, StorageError):
            rebuilding.clean_up()


class _Rebuilding:
    """One rebuild. `_position` is the position up to which the shadow tables have the events."""

    def __init__(self, ledger: OfferLedger, on_progress: ProgressCallback, projections: Sequence[Projection]) -> None:
        self._ledger, self._on_progress, self._projections = ledger, on_progress, projections
        self._token, self._replay = token_hex(8), ProjectionReplay(projections)
        self._position = 0

    @retry_until_unlocked
    def start(self) -> None:
        with self._ledger.recorder.write() as tx:
            self._require_read_tables(tx)
            if REBUILD_MARKER in tx.dialect.table_names(tx):
                tx.dialect.lock_tables(tx, [REBUILD_MARKER])
                tx.execute(f"DROP TABLE {REBUILD_MARKER}")
            tx.execute(f"CREATE TABLE {REBUILD_MARKER} (token TEXT NOT NULL)")
            tx.execute(f"INSERT INTO {REBUILD_MARKER} VALUES (?)", (self._token,))
        self._drop_leftovers()
        with self._writing() as tx:
            for projection in self._projections:
                self._shadowing(tx).execute(projection.table)

    def catch_up(self) -> None:
        """Applies recorded events to the shadow tables, up to the newest event of the last read."""
        while True:
            with self._ledger.recorder.read() as tx:
                entries, position = self._ledger.next_entries(tx, self._position)
                head = current_head(tx).position
            if not entries:
                return
            with self._writing() as tx:
                self._replay.project(self._shadowing(tx), entries)
            self._position = position
            self._on_progress(position, head)
            if position >= head:
                return

    def create_indexes(self) -> None:
        for index in (index for projection in self._projections for index in projection.indexes):
            with self._writing() as tx:
                self._shadowing(tx).execute(with_free_index_name(tx, index))

    @retry_until_unlocked
    def analyze(self) -> None:
        # Without the ledger lock: ANALYZE is slow and only reads.
        with self._ledger.recorder.bulk_write() as tx:
            self._require_token(tx)
            tx.dialect.analyze(tx, [f"{SHADOW_PREFIX}{projection.name}" for projection in self._projections])

    def compare(self) -> list[Difference]:
        """Compares the shadow tables with the live tables at the same position.

        Usually it compares in a snapshot that ends with the commit to which the shadow tables were brought, and writers
        continue. If other commits intervene in every attempt, it holds the write lock."""
        for _ in range(COMPARE_ATTEMPTS):
            with self._writing() as tx:
                self._complete(tx)
            with self._ledger.recorder.read() as tx:
                if current_head(tx).position == self._position:
                    self._require_token(tx)
                    return self._differences(tx)
        with self._writing() as tx:
            self._complete(tx)
            return self._differences(tx)

    @retry_until_unlocked
    def switch(self) -> int:
        """Replaces the live tables by the shadow tables. Returns the position of the ledger."""
        self.catch_up()
        # Exclusive: a process that is storing a run has already written to the old tables.
        with self._ledger.recorder.exclusive_write() as tx:
            self._require_token(tx)
            # Locking "head" waits for running readers, which have all read it. Such a reader could otherwise open a new
            # table and see only the rows that existed when its snapshot was taken.
            names = [projection.name for projection in self._projections]
            replaced = tx.dialect.table_names(tx).intersection(names)
            tx.dialect.lock_tables(tx, ["head", *sorted(replaced), *(f"{SHADOW_PREFIX}{name}" for name in names)])
            self._complete(tx)
            swap_in(tx, self._projections)
        self._on_progress(self._position, self._position)
        return self._position

    def clean_up(self) -> None:
        self._drop_leftovers()
        self._drop(REBUILD_MARKER)

    def _complete(self, tx: Cursor) -> None:
        """Applies all remaining events and seals the last commit, so that the shadow tables are complete."""
        for entries in self._ledger.entries(tx, self._position):
            self._replay.project(self._shadowing(tx), entries)
        self._replay.seal(self._shadowing(tx))
        self._position = current_head(tx).position

    def _differences(self, tx: Cursor) -> list[Difference]:
        """Returns the differences of tables with equal columns. A new or changed table has none."""
        differences: list[Difference] = []
        for projection in self._projections:
            shadow = f"{SHADOW_PREFIX}{projection.name}"
            dialect = tx.dialect
            if dialect.columns(tx, dialect.live_prefix, projection.name) == dialect.columns(
                tx, dialect.live_prefix, shadow
            ):
                differences.extend(differing_rows(tx, projection, projection.name, shadow))
        return differences[:MAX_DIFFERENCES]

    def _drop_leftovers(self) -> None:
        with self._ledger.recorder.read() as tx:
            names = leftover_tables(tx)
        for name in names:
            self._drop(name)

    @retry_transaction
    def _drop(self, name: str) -> None:
        with self._writing() as tx:
            tx.dialect.lock_tables(tx, [name])
            tx.execute(f'DROP TABLE "{name}"')

    def _shadowing(self, tx: Cursor) -> RenamingCursor:
        return RenamingCursor(tx, self._projections)

    @contextmanager
    def _writing(self) -> Iterator[Cursor]:
        with self._ledger.recorder.write() as tx:
            self._require_token(tx)
            yield tx

    def _require_read_tables(self, tx: Cursor) -> None:
        tables = tx.dialect.table_names(tx).union(projection.name for projection in self._projections)
        for projection in self._projections:
            for name in projection.reads:
                if name not in tables:
                    raise RebuildIncomplete(projection.name, name)

    def _require_token(self, tx: Cursor) -> None:
        is_running = REBUILD_MARKER in tx.dialect.table_names(tx)
        row = tx.execute(f"SELECT token FROM {REBUILD_MARKER}").fetchone() if is_running else None
        if row is None or row["token"] != self._token:
            raise RebuildOvertaken
