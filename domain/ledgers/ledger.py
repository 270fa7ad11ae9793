"""The event store of the service: reads streams, and writes commits with their projections.

`OfferLedger` is the application class of the `eventsourcing` library. It adds stream, version and commit to events, and
writes events and projections in one transaction.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import reduce
from itertools import islice
from typing import Any, NamedTuple, Protocol, assert_never
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import IntegrityError, InterfaceError, OperationalError, PersistenceError
from eventsourcing.utils import Environment, EnvType
from msgspec import Struct

from domain.access import partner as partners
from domain.access import token
from domain.access.partner import Partner, SetPartner
from domain.access.token import CreateToken, RevokeToken
from domain.events import Event
from domain.offers.offer import Offer
from domain.refusals import UnknownPartner
from domain.runs.undo import ChangedOffer
from domain.store.commit import CommitContext, NewEvent, ledger_name
from domain.store.cursor import Cursor
from domain.store.database import DatabaseLocation
from domain.store.mapper import LedgerMapper, decode_event, encode_event
from domain.store.recorder import LedgerFactory, LedgerRecorder
from domain.store.retry import retry_transaction
from domain.store.stored_events import select_entries, select_streams
from domain.values import Channel, Clock, Origin, Scope, partner_uid, token_uid

ENTRIES_PER_READ = 5_000
EVENTS_PER_WRITE = 2_000

StorageError = PersistenceError
"""Every method here raises it if the database fails; nothing has been changed then."""

VersionConflict = IntegrityError
"""StorageError if an event is not the next one of its stream, or if a row already exists."""

UNREACHABLE = (OperationalError, InterfaceError)
"""Types of StorageError that say nothing about the content of the database: it is locked or cannot be reached."""

Command = SetPartner | CreateToken | RevokeToken


class Entry(Struct, gc=False):
    """A recorded event with its number in its commit (`ordinal`, from 0) and in its stream (`version`, from 1)."""

    commit_id: int
    ordinal: int
    stream_id: int
    version: int
    event: Event
    names: str | None = None
    """The searched names of its content, once a projection has computed them for all."""


StreamAppends = Iterable[tuple[UUID | bytes, int, Sequence[Event]]]
"""Events to append: stream id (its bytes will do), current version of the stream, events."""

CommitKinds = Mapping[int, Collection[type[Event]]]
"""Event types in each commit, by commit id, in the order of the ledger."""

GatheredRows = Mapping[str, Sequence[Sequence[Any]]]
"""Rows that projections prepared for `ProjectionSink.seal`, by projection name."""


class ProjectionSink(Protocol):
    """Receives the entries of each commit, in the transaction that writes them."""

    def project(self, tx: Cursor, entries: Sequence[Entry], /) -> None:
        """Updates the projections with a batch of entries, in their order."""

    def gather(self, tx: Cursor, kinds: CommitKinds, /) -> GatheredRows:
        """Prepares rows that depend on earlier commits, after all entries of the commits have been projected.

        It runs before the commits have their positions and the ledger lock, to keep `seal` short."""

    def seal(self, tx: Cursor, gathered: GatheredRows, /) -> None:
        """Stores the prepared rows, now that the commits have their positions."""


KnownOffersQuery = Callable[[Cursor, str, Channel, Collection[str] | None], dict[Any, Offer]]
"""Returns a partner's offers on a channel: those with the given externalIds, or all if these are None.

The keys are externalIds on the custom channel, and (merchantId, externalId) on the merchant channel."""

PartnerNamesQuery = Callable[[Cursor], Iterable[str]]
"""Returns the names of all registered partners."""

ChangedOffersQuery = Callable[[Cursor, UUID], list[ChangedOffer]]
"""Returns the offers that a run has changed, in the order of its events."""


class LedgerReader(Protocol):
    """Read access to the ledger or a replica of it."""

    def read(self) -> AbstractContextManager[Cursor]:
        """Starts a transaction that reads one snapshot. It is never older than the snapshots before it."""

    def now(self, tx: Cursor, /) -> datetime:
        """Returns the time of the ledger's clock. Recorded times may be ahead of it, if the clock was ahead before."""

    def name_in(self, tx: Cursor, /) -> str:
        """Returns the ledger's name, as `ledger_name` does. One process reads it once: no restore replaces a ledger in use."""

    def wait_until_past(self, time: datetime, /) -> None:
        """Waits until no further commit can be recorded before a time. The time must have passed."""


class OfferLedger(Application[UUID]):
    name = "offer_ledger"
    recorder: LedgerRecorder

    def __init__(
        self,
        location: DatabaseLocation,
        clock: Clock | None,
        projections: ProjectionSink,
        known_offers: KnownOffersQuery,
        partner_names: PartnerNamesQuery,
        changed_offers: ChangedOffersQuery,
    ) -> None:
        super().__init__(
            {
                "PERSISTENCE_MODULE": f"{LedgerFactory.__module__}:{LedgerFactory.__qualname__}",
                "MAPPER_TOPIC": f"{LedgerMapper.__module__}:{LedgerMapper.__qualname__}",
                LedgerFactory.URL: location.url,
                LedgerFactory.SCHEMA: location.schema,
                LedgerFactory.CONNECTIONS: str(location.connections),
            }
        )
        self.recorder.clock = clock
        self._projections = projections
        self.known_offers = known_offers
        self.partner_names = partner_names
        self.changed_offers = changed_offers
        self._name = ""

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """Ignores the process's environment variables: all settings of the library come from the constructor."""
        return Environment(name, env)

    # Requests

    @retry_transaction
    def handle(self, command: Command, origin: Origin) -> list[Event]:
        """Executes a command on one aggregate and returns its events. Raises Refused."""
        uid, initial, evolve, decide = _aggregate(command)
        # A run that stores new merchant-channel offers also updates their count in the partner's row: wait for it.
        scope = Scope(command.name, Channel.MERCHANT) if isinstance(command, SetPartner) else None
        with self.recorder.write(scope) as tx:
            if isinstance(command, CreateToken) and command.partner is not None:
                self.require_partner(tx, command.partner)
            version, state = self.state(tx, uid, evolve, initial)
            events: list[Event] = decide(state, command)
            partner = command.name if isinstance(command, SetPartner) else reduce(evolve, events, state).partner
            self.commit(tx, CommitContext(origin, partner), [(uid, version, events)])
        return events

    def require_partner(self, tx: Cursor, name: str) -> Partner:
        """Raises UnknownPartner."""
        partner: Partner = self.state(tx, partner_uid(name), partners.evolve, partners.UNKNOWN_PARTNER)[1]
        if not partner.registered:
            raise UnknownPartner(name)
        return partner

    # Reading

    def read(self) -> AbstractContextManager[Cursor]:
        return self.recorder.read()

    def now(self, tx: Cursor) -> datetime:
        return self.recorder.now(tx)

    def name_in(self, tx: Cursor) -> str:
        if not self._name:
            self._name = ledger_name(tx)
        return self._name

    @property
    def has_database_clock(self) -> bool:
        """True if the time is that of the database's host, not of this process."""
        return self.recorder.clock is None

    def wait_until_past(self, time: datetime) -> None:
        self.recorder.wait_until_past(time)

    # Events

    def entries(self, tx: Cursor, after: int = 0) -> Iterator[list[Entry]]:
        """Returns the entries after a position, in the order of the ledger, in lists of bounded length."""
        entries, after = self.next_entries(tx, after)
        while entries:
            yield entries
            entries, after = self.next_entries(tx, after)

    def next_entries(self, tx: Cursor, after: int) -> tuple[list[Entry], int]:
        """Returns the next list of entries and the position of its last one. Only the list at the end is empty."""
        stored = select_entries(tx, after, ENTRIES_PER_READ)
        entries = [
            Entry(s.commit_id, s.ordinal, s.stream_id, s.version, decode_event(s.topic, s.state)) for s in stored
        ]
        return entries, stored[-1].position if stored else after

    def state(self, tx: Cursor, uid: UUID, evolve: Callable[[Any, Any], Any], initial: Any) -> tuple[int, Any]:
        """Returns the version of a stream, which is the number of its events, and its state."""
        return self.states(tx, [uid], evolve, initial).get(uid, (0, initial))

    def states(
        self, tx: Cursor, uids: Collection[UUID], evolve: Callable[[Any, Any], Any], initial: Any
    ) -> dict[UUID, tuple[int, Any]]:
        """Returns version and state per stream id; ids without events are left out."""
        states: dict[UUID, tuple[int, Any]] = {}
        for uid, stored in select_streams(tx, uids):
            _, state = states.get(uid, (0, initial))
            states[uid] = (stored.originator_version, evolve(state, decode_event(stored.topic, stored.state)))
        return states

    def commit(self, tx: Cursor, context: CommitContext, streams: StreamAppends) -> None:
        """Stores the events of several streams as one commit, and updates the projections.

        Only EVENTS_PER_WRITE events are in memory at a time. Without events, there is no commit."""
        self.commit_each(tx, [(context, streams)])

    def commit_each(self, tx: Cursor, commits: Sequence[tuple[CommitContext, StreamAppends]]) -> None:
        """Stores several commits in their order, each like `commit`."""
        recorded = (
            (number, uid if isinstance(uid, bytes) else uid.bytes, version, event)
            for number, (_, streams) in enumerate(commits)
            for uid, current, events in streams
            for version, event in enumerate(events, current + 1)
        )
        kinds: dict[int, set[type[Event]]] = {}
        if not (batch := list(islice(recorded, EVENTS_PER_WRITE))):
            return
        writer = self.recorder.begin_commits(tx, [context for context, _ in commits])
        while batch:
            places = writer.append(
                [
                    (number, NewEvent(uid, version, event.TOPIC, encode_event(event)))
                    for number, uid, version, event in batch
                ]
            )
            entries = [
                Entry(*place, version, event) for place, (_, _, version, event) in zip(places, batch, strict=True)
            ]
            self._projections.project(tx, entries)
            for entry in entries:
                kinds.setdefault(entry.commit_id, set()).add(type(entry.event))
            batch = list(islice(recorded, EVENTS_PER_WRITE))
        # From the first `seal` on, other writers wait for this transaction. All that can be prepared happens before it.
        gathered = self._projections.gather(tx, kinds)
        writer.seal()
        self._projections.seal(tx, gathered)


class _Aggregate(NamedTuple):
    uid: UUID
    initial: Any
    evolve: Callable[[Any, Any], Any]
    decide: Callable[[Any, Any], Any]


def _aggregate(command: Command) -> _Aggregate:
    match command:
        case SetPartner(name=name):
            return _Aggregate(partner_uid(name), partners.UNKNOWN_PARTNER, partners.evolve, partners.set_partner)
        case CreateToken(name=name):
            return _Aggregate(token_uid(name), token.UNKNOWN_TOKEN, token.evolve, token.create_token)
        case RevokeToken(name=name):
            return _Aggregate(token_uid(name), token.UNKNOWN_TOKEN, token.evolve, token.revoke_token)
        case _:
            assert_never(command)
