"""How does a request become events?

The `eventsourcing` application of this service. It puts the envelope around the facts (stream, version, commit),
and sees to it that events, projections and the record of the request are written in one transaction.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import reduce
from itertools import islice
from typing import Any, NamedTuple, Protocol, assert_never
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import IntegrityError, PersistenceError
from eventsourcing.utils import Environment, EnvType
from msgspec import Struct

from domain.access import partner as partners
from domain.access import token
from domain.access.partner import Partner, SetPartner
from domain.access.token import CreateToken, RevokeToken
from domain.events import Event
from domain.offers.offer import Offer
from domain.refusals import UnknownPartner
from domain.store import errors
from domain.store.commit import CommitContext, current_head
from domain.store.cursor import Cursor
from domain.store.database import DatabaseLocation
from domain.store.mapper import LedgerMapper, VersionedEvent, decode_event
from domain.store.recorder import LedgerFactory, LedgerRecorder
from domain.store.retry import retry_transaction
from domain.values import Channel, Clock, Origin, Scope, partner_uid, token_uid

ENTRIES_PER_READ = 5_000
EVENTS_PER_WRITE = 2_000

StorageError = PersistenceError
"""What every method here raises if the database can't do its part; nothing has been changed then."""

OutcomeUnknown = errors.OutcomeUnknown
"""The StorageError of which nobody knows whether something has been changed."""

VersionConflict = IntegrityError
"""The StorageError of an event that is not the next one of its stream, or of what is there already."""

Command = SetPartner | CreateToken | RevokeToken


class Entry(Struct, frozen=True):
    """A recorded event with its place: in its commit (`ordinal` from 0) and in its stream (`version` from 1)."""

    commit_id: int
    ordinal: int
    stream_id: int
    version: int
    event: Event


StreamAppends = Iterable[tuple[UUID, int, Sequence[Event]]]
"""The events that streams get, each after its present version."""

CommitKinds = Mapping[int, Collection[type[Event]]]
"""Which types of events are in commits, by their ids, in the order of the ledger."""

Gathered = Mapping[str, Sequence[Sequence[Any]]]
"""Rows of values, by the projection that has told them."""


class ProjectionSink(Protocol):
    """What follows the ledger, inside the transactions of the entries."""

    def project(self, tx: Cursor, entries: Sequence[Entry], /) -> None:
        """Brings the projections up to date with some of a commit's entries, in their order."""

    def gather(self, tx: Cursor, kinds: CommitKinds, /) -> Gathered:
        """All entries of some commits are projected: what can be told before they have their places, of what depends on those
        before."""

    def seal(self, tx: Cursor, gathered: Gathered, /) -> None:
        """They have their places."""


KnownOffersQuery = Callable[[Cursor, str, Channel, Collection[str] | None], Mapping[Any, Offer]]
"""A partner's offers on a channel: those of the externalIds that are named, or all. By externalId on the custom channel, by
(merchantId, externalId) on the merchant channel."""


class LedgerReader(Protocol):
    """Where those read who only look: the ledger, or a copy of it."""

    def read(self) -> AbstractContextManager[Cursor]:
        """A transaction that sees one snapshot, none older than those before."""

    def now(self, tx: Cursor, /) -> datetime:
        """Not before anything that has been recorded: what a caller has seen has happened."""

    def settle(self, moment: datetime, /) -> None:
        """Returns when no snapshot can tell any more of before a moment, which has passed."""


class OfferLedger(Application[UUID]):
    name = "offer_ledger"
    recorder: LedgerRecorder

    def __init__(
        self,
        place: DatabaseLocation,
        clock: Clock | None,
        followers: ProjectionSink,
        known_offers: KnownOffersQuery,
    ) -> None:
        super().__init__(
            {
                "PERSISTENCE_MODULE": f"{LedgerFactory.__module__}:{LedgerFactory.__qualname__}",
                "MAPPER_TOPIC": f"{LedgerMapper.__module__}:{LedgerMapper.__qualname__}",
                LedgerFactory.URL: place.url,
                LedgerFactory.SCHEMA: place.schema,
                LedgerFactory.CONNECTIONS: str(place.connections),
            }
        )
        self.recorder.clock = clock
        self._followers = followers
        self.known_offers = known_offers

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """The library's settings come from here alone: what else is in the process's environment is not for it."""
        return Environment(name, env)

    # Requests

    @retry_transaction
    def handle(self, command: Command, origin: Origin) -> list[Event]:
        """Carries out a request to one aggregate and answers what happened; raises Refused."""
        uid, initial, evolve, decide = _aggregate(command)
        # Who stores a merchant's new offers counts them in the partner's row.
        after = Scope(command.name, Channel.MERCHANT) if isinstance(command, SetPartner) else None
        with self.recorder.write(after) as tx:
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
        now, newest = self.recorder.now(tx), current_head(tx).recorded_at
        return max(now, newest) if newest else now

    def settle(self, moment: datetime) -> None:
        self.recorder.settle(moment)

    # Events

    def entries(self, tx: Cursor, after: int = 0) -> Iterator[list[Entry]]:
        """What was recorded after a position, in the order of the ledger, in lists of bounded length."""
        some, after = self.next_entries(tx, after)
        while some:
            yield some
            some, after = self.next_entries(tx, after)

    def next_entries(self, tx: Cursor, after: int) -> tuple[list[Entry], int]:
        """The first of these lists, and the position of its last entry; none is empty but that at the end."""
        stored = self.recorder.select_entries(tx, after, ENTRIES_PER_READ)
        entries = [
            Entry(s.commit_id, s.ordinal, s.stream_id, s.version, decode_event(s.topic, s.state)) for s in stored
        ]
        return entries, stored[-1].position if stored else after

    def state(self, tx: Cursor, uid: UUID, evolve: Callable[[Any, Any], Any], initial: Any) -> tuple[int, Any]:
        """How many events a stream has, and the state that they lead to."""
        return self.states(tx, [uid], evolve, initial).get(uid, (0, initial))

    def states(
        self, tx: Cursor, uids: Collection[UUID], evolve: Callable[[Any, Any], Any], initial: Any
    ) -> dict[UUID, tuple[int, Any]]:
        """The same for many; of those that have events."""
        found: dict[UUID, tuple[int, Any]] = {}
        for uid, stored in self.recorder.select_streams(tx, uids):
            _, state = found.get(uid, (0, initial))
            found[uid] = (stored.originator_version, evolve(state, decode_event(stored.topic, stored.state)))
        return found

    def commit(self, tx: Cursor, context: CommitContext, streams: StreamAppends) -> None:
        """Stores the events of several streams as one commit, and brings the projections up to date. Of many events, only some
        are in memory at a time; without any, there is no commit."""
        self.commit_each(tx, [(context, streams)])

    def commit_each(self, tx: Cursor, commits: Sequence[tuple[CommitContext, StreamAppends]]) -> None:
        """The same for commits that follow each other."""
        recorded = (
            (number, VersionedEvent(uid, version, event))
            for number, (_, streams) in enumerate(commits)
            for uid, present, events in streams
            for version, event in enumerate(events, present + 1)
        )
        kinds: dict[int, set[type[Event]]] = {}
        if not (some := list(islice(recorded, EVENTS_PER_WRITE))):
            return
        writer = self.recorder.begin_commits(tx, [context for context, _ in commits])
        while some:
            places = writer.append([(number, self.mapper.to_stored_event(r)) for number, r in some])
            entries = [Entry(*place, r.originator_version, r.event) for place, (_, r) in zip(places, some, strict=True)]
            self._followers.project(tx, entries)
            for entry in entries:
                kinds.setdefault(entry.commit_id, set()).add(type(entry.event))
            some = list(islice(recorded, EVENTS_PER_WRITE))
        # Others wait from the one to the other, so this is short.
        gathered = self._followers.gather(tx, kinds)
        writer.seal()
        self._followers.seal(tx, gathered)


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
