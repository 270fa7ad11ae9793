"""How are commits written and read?

Commits get their places one after the other, and any number of readers see snapshots of their own. Everything that a
request changes is written in one transaction, so it is there together or not at all.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    Notification,
    OperationalError,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    TrackingRecorder,
)
from eventsourcing.utils import Environment, EnvType

from domain.store.commit import CommitContext, StoredEntry, current_head
from domain.store.commit_writer import CommitWriter
from domain.store.cursor import Cursor
from domain.store.database import CommitNotifications, Database, DatabaseLocation
from domain.store.factory import open_database
from domain.store.records.events import selected_members
from domain.store.records.heartbeats import Heartbeats
from domain.store.records.secrets import make_secrets
from domain.store.schema import TABLES, require_schema
from domain.values import Clock, Scope


class LedgerRecorder(ApplicationRecorder):
    """The library's application recorder over commits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.heartbeats = Heartbeats(database)
        self.clock: Clock | None = None
        """None: the database's own, which all processes share."""

    # Transactions

    def write(self, after: Scope | None = None) -> AbstractContextManager[Cursor]:
        """A transaction that holds the ledger's lock from its start, and commits at its end. With a scope, it waits first,
        without the lock, for whoever is storing much there."""
        return self._database.write(after)

    def bulk_write(self, scope: Scope | None = None) -> AbstractContextManager[Cursor]:
        """A transaction that is long, and takes the ledger's lock when its commit is sealed. Others do not change the offers
        of the scope meanwhile."""
        return self._database.bulk_write(scope)

    def exclusive_write(self) -> AbstractContextManager[Cursor]:
        """A transaction that holds the lock, while nobody is storing anything anywhere."""
        return self._database.exclusive_write()

    def terminate_scope_writer(self, scope: Scope) -> int:
        """Ends the connections of those who are storing something in a scope, which is theirs no more; answers how many."""
        return self._database.terminate_scope_writer(scope)

    def terminate_stalled_writers(self) -> int:
        """The same for those who hold the ledger's lock and stand still."""
        return self._database.terminate_stalled_writers()

    def read(self) -> AbstractContextManager[Cursor]:
        """A transaction that sees one snapshot."""
        return self._database.read()

    def settle(self, moment: datetime) -> None:
        """Returns when no commit can come any more that is recorded before a moment, which has passed: a time is taken when
        a commit is sealed, and the commit is seen when the transaction of its group ends. Raises StorageError if it has not
        passed by the ledger's clock, which is another one than this host's."""
        with self.read() as tx:
            newest = current_head(tx).recorded_at
        if newest is None or newest < moment:
            with self.write() as tx:
                now = self.now(tx)
            if now < moment:
                raise OperationalError(f"The clock of this host is ahead of the ledger's, by {moment - now}")

    def newest_position(self) -> int:
        """At which everything can be seen that has been committed by now."""
        return self._database.newest_position()

    def notifications(self) -> CommitNotifications:
        return self._database.notifications()

    def close(self) -> None:
        self._database.close()

    # Schema

    def prepare_schema(self, projection_tables: Sequence[str]) -> None:
        """Creates the tables on an empty database; raises SchemaMismatch for one that holds something else."""
        with self._database.read_any_schema() as tx:
            if tx.dialect.table_names(tx):
                require_schema(tx)
                return
        with self._database.schema_change() as tx:
            if not tx.dialect.table_names(tx):
                for statement in self._database.create_statements([*TABLES, *projection_tables]):
                    tx.execute(statement)
                make_secrets(tx)
            require_schema(tx)

    # Writing

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        transaction: Cursor | None = None,
        context: CommitContext | None = None,
        **unknown: Any,
    ) -> Sequence[int]:
        """Stores the events as one commit and answers their positions; joins `transaction` if it is given.

        Raises IntegrityError if an event is not the next one of its stream.
        """
        if unknown:
            raise TypeError(f"Not known here: {', '.join(unknown)}")
        if not stored_events:
            return []
        with nullcontext(transaction) if transaction else self.write() as tx:
            commit = self.begin_commits(tx, [context or CommitContext()])
            commit.append([(0, event) for event in stored_events])
            (first_position,) = commit.seal()
            return list(range(first_position, first_position + len(stored_events)))

    def begin_commits(self, tx: Cursor, contexts: Sequence[CommitContext]) -> CommitWriter:
        """For events that come bit by bit, and nothing else in between."""
        return CommitWriter(tx, lambda: self.now(tx), contexts)

    def now(self, tx: Cursor) -> datetime:
        return self.clock() if self.clock else tx.now()

    # Reading

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        uid = originator_id if isinstance(originator_id, UUID) else UUID(originator_id)
        with self.read() as tx:
            return self.select_stream(tx, uid, gt=gt, lte=lte, desc=desc, limit=limit)

    def select_stream(
        self,
        tx: Cursor,
        uid: UUID,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[StoredEvent]:
        """The events of a stream, as a transaction sees them; the bounds are those of `select_events`."""
        rows = tx.execute(
            "SELECT e.version, e.topic, CAST(e.state AS BLOB) AS state FROM streams s JOIN events e USING (stream_id)"
            " WHERE s.stream_uid = ? AND e.version > ? AND e.version <= ?"
            f" ORDER BY e.version {'DESC' if desc else 'ASC'} LIMIT ?",
            (uid.bytes, *_bounds(gt, lte), NO_LIMIT if limit is None else limit),
        )
        return [StoredEvent(uid, row["version"], row["topic"], row["state"]) for row in rows]

    def select_streams(self, tx: Cursor, uids: Collection[UUID]) -> Iterator[tuple[UUID, StoredEvent]]:
        """The events of several streams, each stream's in their order."""
        if not uids:
            return
        among, values = tx.dialect.in_list([uid.bytes for uid in uids])
        rows = tx.execute(
            "SELECT s.stream_uid, e.version, e.topic, CAST(e.state AS BLOB) AS state FROM streams s JOIN events e USING (stream_id)"
            f" WHERE s.stream_uid {among} ORDER BY e.stream_id, e.version",
            values,
        )
        for row in rows:
            uid = UUID(bytes=row["stream_uid"])
            yield uid, StoredEvent(uid, row["version"], row["topic"], row["state"])

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        after = (start or 1) - inclusive_of_start
        with self.read() as tx:
            return [
                Notification(
                    originator_id=UUID(bytes=row["stream_uid"]),
                    originator_version=row["version"],
                    topic=row["topic"],
                    state=row["state"],
                    id=row["position"],
                )
                for row in _entry_rows(tx, after, limit, NO_LIMIT if stop is None else stop, topics)
            ]

    def select_entries(self, tx: Cursor, after: int, limit: int) -> list[StoredEntry]:
        """The entries that follow a position, in the order of the ledger."""
        return [
            StoredEntry(
                row["position"],
                row["commit_id"],
                row["ordinal"],
                row["stream_id"],
                row["version"],
                row["topic"],
                row["state"],
                row["recorded_at"],
            )
            for row in _entry_rows(tx, after, limit)
        ]

    def max_notification_id(self) -> int | None:
        with self.read() as tx:
            return current_head(tx).position or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        raise NotImplementedError("Follow the ledger by its entries")


NO_LIMIT = 2**62


def _bounds(gt: int | None, lte: int | None) -> tuple[int, int]:
    return (-1 if gt is None else gt, NO_LIMIT if lte is None else lte)


def _entry_rows(tx: Cursor, after: int, limit: int, stop: int = NO_LIMIT, topics: Sequence[str] = ()) -> Cursor:
    # The commit that holds the first wanted position is found first, so that a large one is not read from its start.
    of_topics = f" AND e.topic IN ({','.join('?' * len(topics))})" if topics else ""
    some, values = selected_members("c", after, stop, limit, topics)
    return tx.execute(
        "SELECT c.first_position + e.ordinal AS position, c.commit_id, c.recorded_at, e.ordinal, e.stream_id, s.stream_uid,"
        " e.version, e.topic, CAST(e.state AS BLOB) AS state"
        " FROM commits c CROSS JOIN events e USING (commit_id) JOIN streams s USING (stream_id)"
        " WHERE c.first_position >= coalesce((SELECT max(first_position) FROM commits WHERE first_position <= ?), 0)"
        f" AND c.first_position <= ? AND {some}{of_topics} ORDER BY c.first_position, e.ordinal LIMIT ?",
        (after + 1, stop, *values, *topics, limit),
    )


class LedgerFactory(InfrastructureFactory[TrackingRecorder]):
    """Gives the library's application its one recorder; projections need no others, they join its transactions."""

    URL, SCHEMA, CONNECTIONS = "URL", "SCHEMA", "CONNECTIONS"

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        url, schema, connections = (self.env.get(name) or "" for name in (self.URL, self.SCHEMA, self.CONNECTIONS))
        self._recorder = LedgerRecorder(open_database(DatabaseLocation(url, schema, int(connections))))

    def application_recorder(self) -> LedgerRecorder:
        return self._recorder

    def close(self) -> None:
        self._recorder.close()

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        raise NotImplementedError(f"This ledger keeps no {purpose} apart")

    def tracking_recorder(self, tracking_recorder_class: type[TrackingRecorder] | None = None) -> TrackingRecorder:
        raise NotImplementedError(f"This ledger has no {tracking_recorder_class or 'tracking recorder'}")

    def process_recorder(self) -> ProcessRecorder:
        raise NotImplementedError("This ledger has no process recorder")
