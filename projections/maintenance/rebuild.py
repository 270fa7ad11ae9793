"""How is a projection made again while everyone goes on reading and writing?

In a shadow table: chunk by chunk, each read without the write lock and written in a short transaction. Then it is compared
with the live table, and takes its place. Until then the live table is left in peace, whatever happens.
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
from projections.maintenance.shadow_tables import SHADOW, RenamingCursor, free_index, leftovers, put_in_place
from projections.maintenance.table_diff import DIFFERENCES_SHOWN, Difference, differing_rows
from projections.projection import Projection
from projections.projector import PROJECTIONS, ProjectionReplay

FENCE = "rebuild_in_progress"
"""A table with the token of the newest rebuild; every transaction of an older one finds another there, or none."""
LOOKS = 20
"""How often a moment is sought in which nothing is written, before writers have to wait."""


class RebuildFailed(Exception):  # noqa: N818 - it says what the rebuild has
    """Nothing has been changed."""


class RebuildOvertaken(RebuildFailed):
    def __init__(self) -> None:
        super().__init__("Another rebuild has begun since; this one has changed nothing")


class RebuildIncomplete(RebuildFailed):
    def __init__(self, name: str, read: str) -> None:
        super().__init__(f"{name} reads {read}, which has not been built; rebuild both")


class Rebuilt(Struct, frozen=True, rename="camel"):
    """`differences`: up to a bound, where the tables that have been replaced were not what the events say."""

    position: int
    rebuilt: list[str]
    differences: list[Difference]


def rebuild(
    ledger: OfferLedger, watch: ProgressCallback = no_progress, projections: Sequence[Projection] = PROJECTIONS
) -> Rebuilt:
    """Makes projections anew from the first event on, and puts them in the place of the live ones.

    Raises RebuildLacks, and RebuildOvertaken if another rebuild begins meanwhile."""
    rebuilding = _Rebuilding(ledger, watch, projections)
    rebuilding.begin()
    try:
        rebuilding.follow()
        rebuilding.make_indexes()
        rebuilding.analyze()
        rebuilding.follow()
        differences = rebuilding.compare()
        return Rebuilt(rebuilding.switch(), [projection.name for projection in projections], differences)
    finally:
        with suppress(RebuildOvertaken, StorageError):
            rebuilding.clear_away()


class _Rebuilding:
    """One rebuild. `_position`: what the shadows show; all of it, when they are caught up."""

    def __init__(self, ledger: OfferLedger, watch: ProgressCallback, projections: Sequence[Projection]) -> None:
        self._ledger, self._watch, self._projections = ledger, watch, projections
        self._token, self._replay = token_hex(8), ProjectionReplay(projections)
        self._position = 0

    @retry_until_unlocked
    def begin(self) -> None:
        with self._ledger.recorder.write() as tx:
            self._require_what_is_read(tx)
            if FENCE in tx.dialect.table_names(tx):
                tx.dialect.lock_tables(tx, [FENCE])
                tx.execute(f"DROP TABLE {FENCE}")
            tx.execute(f"CREATE TABLE {FENCE} (token TEXT NOT NULL)")
            tx.execute(f"INSERT INTO {FENCE} VALUES (?)", (self._token,))
        self._drop_leftovers()
        with self._writing() as tx:
            for projection in self._projections:
                self._shadowing(tx).execute(projection.table)

    def follow(self) -> None:
        """Brings the shadows up to what the ledger shows, but for what is recorded meanwhile."""
        while True:
            with self._ledger.recorder.read() as tx:
                entries, position = self._ledger.next_entries(tx, self._position)
                head = current_head(tx).position
            if not entries:
                return
            with self._writing() as tx:
                self._replay.project(self._shadowing(tx), entries)
            self._position = position
            self._watch(position, head)
            if position >= head:
                return

    def make_indexes(self) -> None:
        for index in (index for projection in self._projections for index in projection.indexes):
            with self._writing() as tx:
                self._shadowing(tx).execute(free_index(tx, index))

    @retry_until_unlocked
    def analyze(self) -> None:
        # As it takes its time, and reads only: not with the ledger's lock.
        with self._ledger.recorder.bulk_write() as tx:
            self._require_token(tx)
            tx.dialect.analyze(tx, [f"{SHADOW}{projection.name}" for projection in self._projections])

    def compare(self) -> list[Difference]:
        """At a position that both tables show. It is in a snapshot of the very commit to which the shadows have been brought,
        and writers go on; only if others commit in between every time, they wait."""
        for _ in range(LOOKS):
            with self._writing() as tx:
                self._catch_up(tx)
            with self._ledger.recorder.read() as tx:
                if current_head(tx).position == self._position:
                    self._require_token(tx)
                    return self._differences(tx)
        with self._writing() as tx:
            self._catch_up(tx)
            return self._differences(tx)

    @retry_until_unlocked
    def switch(self) -> int:
        """Answers the position reached."""
        self.follow()
        # Whoever is storing a run has begun to write it into the tables that go.
        with self._ledger.recorder.exclusive_write() as tx:
            self._require_token(tx)
            # Who has begun to read has the head, and would find the new tables as far as they were filled by then.
            names = [projection.name for projection in self._projections]
            replaced = tx.dialect.table_names(tx).intersection(names)
            tx.dialect.lock_tables(tx, ["head", *sorted(replaced), *(f"{SHADOW}{name}" for name in names)])
            self._catch_up(tx)
            put_in_place(tx, self._projections)
        self._watch(self._position, self._position)
        return self._position

    def clear_away(self) -> None:
        self._drop_leftovers()
        self._drop(FENCE)

    def _catch_up(self, tx: Cursor) -> None:
        for entries in self._ledger.entries(tx, self._position):
            self._replay.project(self._shadowing(tx), entries)
        self._replay.seal(self._shadowing(tx))
        self._position = current_head(tx).position

    def _differences(self, tx: Cursor) -> list[Difference]:
        """A table that was not there, or was of another shape, has none."""
        found: list[Difference] = []
        for projection in self._projections:
            shadow = f"{SHADOW}{projection.name}"
            dialect = tx.dialect
            if dialect.columns(tx, dialect.live, projection.name) == dialect.columns(tx, dialect.live, shadow):
                found.extend(differing_rows(tx, projection, projection.name, shadow))
        return found[:DIFFERENCES_SHOWN]

    def _drop_leftovers(self) -> None:
        with self._ledger.recorder.read() as tx:
            names = leftovers(tx)
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

    def _require_what_is_read(self, tx: Cursor) -> None:
        there = tx.dialect.table_names(tx).union(projection.name for projection in self._projections)
        for projection in self._projections:
            for read in projection.reads:
                if read not in there:
                    raise RebuildIncomplete(projection.name, read)

    def _require_token(self, tx: Cursor) -> None:
        found = tx.execute(f"SELECT token FROM {FENCE}").fetchone() if FENCE in tx.dialect.table_names(tx) else None
        if found is None or found["token"] != self._token:
            raise RebuildOvertaken
