"""Recorder of the eventsourcing library: opens transactions on the ledger, appends commits and reads events.

Commits get consecutive positions, one commit after the other. Any number of readers see snapshots. All changes of one request
are in one transaction: either all of them are committed or none.
"""

from collections.abc import Sequence
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

from domain.store.commit import CommitContext, current_head
from domain.store.commit_writer import CommitWriter
from domain.store.cursor import Cursor
from domain.store.database import CommitNotifications, Database, DatabaseLocation, StorageCheck
from domain.store.factory import open_database
from domain.store.migrations import find_schema_version, no_ledger
from domain.store.records.heartbeats import Heartbeats
from domain.store.records.secrets import make_secrets
from domain.store.schema import TABLES, require_schema, require_version
from domain.store.stored_events import new_event_of, read_notifications, select_stream
from domain.values import Clock, Scope


class LedgerRecorder(ApplicationRecorder):
    """Application recorder of the library whose unit of writing is a commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.heartbeats = Heartbeats(database)
        self.clock: Clock | None = None
        """None means the database's clock, which all processes share."""

    # Transactions

    def write(self, after: Scope | None = None) -> AbstractContextManager[Cursor]:
        """Opens a transaction that holds the ledger lock from its start, and commits at its end.

        With a scope, it first waits, without the lock, for a bulk write of that scope."""
        return self._database.write(after)

    def bulk_write(self, scope: Scope | None = None) -> AbstractContextManager[Cursor]:
        """Opens a long transaction, which takes the ledger lock only when its commit is sealed.

        No other transaction changes offers of the scope while it runs."""
        return self._database.bulk_write(scope)

    def exclusive_write(self) -> AbstractContextManager[Cursor]:
        """Opens a transaction that waits until no bulk write runs in any scope, and holds the ledger lock."""
        return self._database.exclusive_write()

    def terminate_scope_writer(self, scope: Scope) -> int:
        """Terminates connections that run a bulk write in a scope, after its run has got another owner. Returns their number."""
        return self._database.terminate_scope_writer(scope)

    def terminate_stalled_writers(self) -> int:
        """Terminates stalled connections that hold the ledger lock. Returns their number."""
        return self._database.terminate_stalled_writers()

    def read(self) -> AbstractContextManager[Cursor]:
        """Opens a read-only transaction: all its statements see one snapshot."""
        return self._database.read()

    def wait_until_past(self, time: datetime) -> None:
        """Waits until no further commit can be recorded before `time`, which must have passed.

        A commit gets its recorded time when it is sealed, but is visible only after its transaction ends. Taking the ledger
        lock waits for that. Raises StorageError if `time` has not passed by the ledger's clock, which may differ from this
        host's."""
        with self.read() as tx:
            newest = current_head(tx).recorded_at
        if newest is None or newest < time:
            with self.write() as tx:
                now = self.now(tx)
            if now < time:
                raise OperationalError(f"The clock of this host is {time - now} ahead of the clock of the ledger")

    def newest_position(self) -> int:
        """Returns the position of the newest commit."""
        return self._database.newest_position()

    def check_storage(self) -> StorageCheck:
        """Checks the files of the database, as far as the database can. It reads all of them, and changes nothing."""
        return self._database.check_storage()

    def notifications(self) -> CommitNotifications:
        return self._database.notifications()

    def close(self) -> None:
        self._database.close()

    # Schema

    def require_ledger(self) -> None:
        """Raises NoLedger for an empty database, and SchemaMismatch if it contains anything but a matching ledger."""
        version = find_schema_version(self._database)
        if version is None:
            raise no_ledger(self._database)
        require_version(version)

    def prepare_schema(self, projection_tables: Sequence[str]) -> bool:
        """Creates the tables in an empty database, and returns True if it did.

        Raises SchemaMismatch if the database contains anything but a matching ledger."""
        version = find_schema_version(self._database)
        if version is not None:
            require_version(version)
            return False
        with self._database.schema_change() as tx:
            # Another process may have created the tables, before this one got the lock.
            if is_empty := not tx.dialect.table_names(tx):
                for statement in self._database.create_statements([*TABLES, *projection_tables]):
                    tx.execute(statement)
                make_secrets(tx)
            require_schema(tx)
            return is_empty

    # Writing

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        transaction: Cursor | None = None,
        context: CommitContext | None = None,
        **unknown: Any,
    ) -> Sequence[int]:
        """Stores the events as one commit and returns their positions; joins `transaction` if one is passed.

        Raises IntegrityError if an event is not the next one of its stream.
        """
        if unknown:
            raise TypeError(f"Unknown arguments: {', '.join(unknown)}")
        if not stored_events:
            return []
        with nullcontext(transaction) if transaction else self.write() as tx:
            commit = self.begin_commits(tx, [context or CommitContext()])
            commit.append([(0, new_event_of(event)) for event in stored_events])
            (first_position,) = commit.seal()
            return list(range(first_position, first_position + len(stored_events)))

    def begin_commits(self, tx: Cursor, contexts: Sequence[CommitContext]) -> CommitWriter:
        """Returns a writer for commits whose events come in batches. Only one writer may be open in a transaction."""
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
            return select_stream(tx, uid, gt=gt, lte=lte, desc=desc, limit=limit)

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
            return read_notifications(tx, after, limit, stop, topics)

    def max_notification_id(self) -> int | None:
        with self.read() as tx:
            return current_head(tx).position or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        raise NotImplementedError("Subscriptions are not supported; read the entries of the ledger")


class LedgerFactory(InfrastructureFactory[TrackingRecorder]):
    """Provides the library's application with one recorder. Projections join its transactions and need no recorder."""

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
        raise NotImplementedError(f"A separate recorder for {purpose} is not supported")

    def tracking_recorder(self, tracking_recorder_class: type[TrackingRecorder] | None = None) -> TrackingRecorder:
        raise NotImplementedError(f"{tracking_recorder_class or 'A tracking recorder'} is not supported")

    def process_recorder(self) -> ProcessRecorder:
        raise NotImplementedError("A process recorder is not supported")
