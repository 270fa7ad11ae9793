"""Accepts, claims and finishes runs: each decision of `domain.runs.run` in a transaction."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.ledgers.ledger import OfferLedger, StorageError, StreamAppends
from domain.ledgers.run_acceptance import find_earlier_run, require_acceptable
from domain.offers.images import Image
from domain.offers.offer import Offer
from domain.refusals import LeaseLost
from domain.runs import run as runs
from domain.runs.plan import Plan
from domain.runs.run import Lease, Outcome, Progress, Run, RunProblem, RunRequest, RunState
from domain.store.commit import CommitContext, current_head, has_commits_since, streams_changed_since
from domain.store.cursor import Cursor
from domain.store.errors import TransactionRolledBack
from domain.store.records.images import insert_images
from domain.store.records.run_bodies import count_chunks, delete_body, find_chunk, insert_chunks, unaccepted_bodies
from domain.store.records.run_outcomes import insert_outcome
from domain.store.records.runs import (
    find_run,
    insert_run,
    is_lease_held,
    overdue_runs,
    unfinished_runs_of,
    update_run,
)
from domain.store.retry import retry_transaction
from domain.values import Channel, Origin, PartnerSettings

IMAGES_PER_WRITE = 100

PlanFunction = Callable[[Mapping[Any, Offer], Collection[UUID], PartnerSettings], Plan]
"""Returns the plan of a run.

The parameters are the known offers as in KnownOffersQuery, the offerUids changed since the run was accepted, and the
partner's settings."""


class PreparedRun(Struct, frozen=True):
    """The outcome of a run, and its events, which may be read from the database while they are stored."""

    outcome: Outcome
    appends: StreamAppends


class AcceptedRun(Struct, frozen=True):
    """The run of a request. `replayed`: whether an earlier request created it."""

    run: Run
    replayed: bool


class EarlierOffers(Struct, frozen=True):
    """The offers of a partner on a channel as of a position of the ledger, by the keys of KnownOffersQuery."""

    position: int
    offers: dict[Any, Offer]


class RunLedger:
    """The runs of a ledger, for one owner: a process that executes runs."""

    def __init__(self, ledger: OfferLedger, owner: str, lease: timedelta) -> None:
        self.ledger = ledger
        self.owner = owner
        self.lease = lease
        self._heartbeats = ledger.recorder.heartbeats

    # Bodies

    @retry_transaction
    def store_body(self, run_id: UUID, first: int, packed: Sequence[bytes]) -> None:
        """Stores chunks of a body for a run that is not accepted yet. `first` is the number of the first chunk."""
        with self.ledger.recorder.bulk_write() as tx:
            insert_chunks(tx, run_id, first, packed, self.ledger.recorder.now(tx))

    def body(self, run_id: UUID) -> Iterator[bytes]:
        """Returns the body as sent, in chunks; nothing once the run has finished."""
        chunk = 0
        while True:
            with self.ledger.recorder.read() as tx:
                content = find_chunk(tx, run_id, chunk)
            if content is None:
                return
            yield content
            chunk += 1

    @retry_transaction
    def drop_body(self, run_id: UUID) -> None:
        """Deletes the stored chunks of a run that was not accepted."""
        with self.ledger.recorder.write() as tx:
            if find_run(tx, run_id) is None:
                delete_body(tx, run_id)

    # Life cycle

    @retry_transaction
    def accept(self, request: RunRequest, origin: Origin, packed: Sequence[bytes] = ()) -> AcceptedRun:
        """Creates a run for the request, with a lease for this owner. A repeated request returns the existing run.

        `packed`: chunks of the body, if it is not stored yet. Raises UnknownPartner, and the exceptions of
        `find_earlier_run` and `require_acceptable`, in this order."""
        with self.ledger.recorder.write() as tx:
            now = self.ledger.recorder.now(tx)
            partner = self.ledger.require_partner(tx, request.partner)
            earlier = find_earlier_run(tx, request)
            if earlier and earlier.is_newest:
                return AcceptedRun(earlier.run, replayed=True)
            require_acceptable(tx, request, partner, self.ledger.partner_names, now)
            run = runs.accept(request, origin, Lease(self.owner, now + self.lease, 1), now, current_head(tx).position)
            insert_run(tx, run, earlier.run.run_id if earlier else None)
            insert_chunks(tx, run.run_id, 0, packed, now)
            if request.body_chunks not in {None, count_chunks(tx, run.run_id)}:
                raise StorageError("Parts of the request's body are missing")
        return AcceptedRun(run, replayed=False)

    def claim(self, run_id: UUID) -> Run:
        """Starts an attempt to execute the run, and takes over its lease if necessary. Raises LeaseLost."""
        claimed = self._claim(run_id)
        # A previous owner can no longer store the run, but may have stalled while storing it, and hold locks.
        retry_transaction(self.ledger.recorder.terminate_scope_writer)(claimed.scope)
        return claimed

    @retry_transaction
    def _claim(self, run_id: UUID) -> Run:
        with self.ledger.recorder.write() as tx:
            run = find_run(tx, run_id)
            if run is None:
                raise LeaseLost(run_id)
            now = self.ledger.recorder.now(tx)
            claimed = runs.claim(self._with_renewed_lease(run, now), self.owner, now, self.lease)
            self._require_held(claimed, held=update_run(tx, claimed, run.lease.fence))
        return claimed

    def renew(self, run: Run, progress: Progress | None = None) -> None:
        """Renews the lease and stores the progress, without waiting for other writers. Raises LeaseLost."""
        with self.ledger.recorder.read() as tx:
            self._require_held(run, held=is_lease_held(tx, run))
            until = self.ledger.recorder.now(tx) + self.lease
        self._heartbeats.renew(run, until, progress)

    @retry_transaction
    def refund_attempt(self, run: Run) -> None:
        """Stops counting an attempt that failed because of the storage. Raises LeaseLost."""
        with self.ledger.recorder.write() as tx:
            refunded = runs.refund_attempt(run)
            self._require_held(run, held=update_run(tx, refunded, run.lease.fence))

    def all_offers(self, tx: Cursor, partner: str, channel: Channel) -> EarlierOffers:
        """Returns all offers of a partner on a channel, before a run that may need them is accepted."""
        return EarlierOffers(current_head(tx).position, self.ledger.known_offers(tx, partner, channel, None))

    def known_offers(
        self, run: Run, external_ids: Sequence[str] | None = None, before: EarlierOffers | None = None
    ) -> dict[Any, Offer]:
        """Returns the partner's offers on the run's channel, as in KnownOffersQuery: those named, or all.

        `before`: all of them as of an earlier position. If no commit has concerned the partner since, they are returned.
        While this owner has the lease, no other run can change them. On the merchant channel, single requests can."""
        with self.ledger.recorder.read() as tx:
            if before and not has_commits_since(tx, run.partner, before.position):
                return before.offers
            return self.ledger.known_offers(tx, run.partner, run.channel, external_ids)

    @retry_transaction
    def complete(self, run: Run, plan: Plan, request_digest: str) -> Run:
        """Stores the changes and the outcome of the run in one transaction. Raises LeaseLost."""
        with self._deleting_heartbeat(run), self.ledger.recorder.bulk_write(run.scope) as tx:
            self._require_held(run, held=is_lease_held(tx, run))
            return self._store_outcome(tx, run, _prepared(plan), request_digest)

    @retry_transaction
    def prepare_and_complete(self, run: Run, prepare: Callable[[Cursor], PreparedRun]) -> Run:
        """Prepares the changes of a run without a body and stores them, in one transaction.

        No other request can change the scope in between. Raises LeaseLost, and what `prepare` raises."""
        with self._deleting_heartbeat(run), self.ledger.recorder.bulk_write(run.scope) as tx:
            self._require_held(run, held=is_lease_held(tx, run))
            return self._store_outcome(tx, run, prepare(tx), run.body_digest)

    @retry_transaction
    def decide_and_complete(self, run: Run, decide: PlanFunction, *, brings_images: bool = False) -> Run:
        """Computes the plan and stores it, in one transaction, for offers that single requests can change too.

        No other request can change the scope in between. `brings_images`: whether the plan can have images.
        Raises LeaseLost."""
        stored = self._store_images(run, decide) if brings_images else set()
        with self._deleting_heartbeat(run), self.ledger.recorder.bulk_write(run.scope) as tx:
            self._require_held(run, held=is_lease_held(tx, run))
            plan, settings = self._plan(tx, run, decide)
            insert_images(tx, [image for image in _images(plan) if image.digest not in stored])
            finished = self._store_outcome(tx, run, _prepared(plan), run.body_digest)
            if self.ledger.require_partner(tx, run.partner).settings != settings:
                raise TransactionRolledBack("The partner's settings changed while the run was being stored")
        return finished

    def _plan(self, tx: Cursor, run: Run, decide: PlanFunction) -> tuple[Plan, PartnerSettings]:
        settings = self.ledger.require_partner(tx, run.partner).settings
        known = self.ledger.known_offers(tx, run.partner, run.channel, None)
        return decide(known, streams_changed_since(tx, run.partner, run.accepted_position), settings), settings

    def _store_images(self, run: Run, decide: PlanFunction) -> set[str]:
        """Stores the images of the run's plan, as computed now, in short transactions; returns their digests.

        A request that stores the same image waits only for one of these, not until the whole run is stored."""
        with self.ledger.recorder.read() as tx:
            images = {image.digest: image for image in _images(self._plan(tx, run, decide)[0])}
        remaining = iter(sorted(images))
        while batch := list(islice(remaining, IMAGES_PER_WRITE)):
            with self.ledger.recorder.bulk_write() as tx:
                self._require_held(run, held=is_lease_held(tx, run))
                insert_images(tx, [images[digest] for digest in batch])
        return set(images)

    @retry_transaction
    def fail(self, run: Run, problem: RunProblem) -> Run:
        """Marks the run as failed. Raises LeaseLost."""
        with self._deleting_heartbeat(run), self.ledger.recorder.write() as tx:
            failed = runs.fail(run, problem, self.ledger.recorder.now(tx))
            self._require_held(run, held=update_run(tx, failed, run.lease.fence))
            delete_body(tx, run.run_id)
        return failed

    def _store_outcome(self, tx: Cursor, run: Run, prepared: PreparedRun, request_digest: str) -> Run:
        context = CommitContext(Origin(run.actor, run.source, run.traceparent, run.reason), run.partner, run.run_id)
        insert_outcome(tx, run.run_id, prepared.outcome)
        delete_body(tx, run.run_id)
        self.ledger.commit(tx, context, prepared.appends)
        # With the ledger lock, no other process can take over the run. An earlier takeover has increased its fence.
        tx.dialect.acquire_ledger_lock(tx)
        now = self.ledger.recorder.now(tx)
        finished = runs.complete(run, prepared.outcome, request_digest, current_head(tx).position, now)
        self._require_held(run, held=update_run(tx, finished, run.lease.fence))
        return finished

    @contextmanager
    def _deleting_heartbeat(self, run: Run) -> Iterator[None]:
        yield
        with suppress(StorageError):
            self._heartbeats.delete(run)

    def _with_renewed_lease(self, run: Run, now: datetime) -> Run:
        return self._heartbeats.with_renewed_lease(run, now, self.lease)

    def _require_held(self, run: Run, *, held: bool) -> None:
        if not held:
            raise LeaseLost(run.run_id)

    # Queries and maintenance

    def find(self, run_id: UUID) -> Run | None:
        with self.ledger.recorder.read() as tx:
            return find_run(tx, run_id)

    def progress(self, run: Run) -> Progress | None:
        """Returns the progress of a running run, of any owner; None if it is not reported or can't be read."""
        with suppress(StorageError):
            return self._heartbeats.find_progress(run) if run.state is RunState.RUNNING else None
        return None

    def find_overdue(self) -> list[Run]:
        """Returns unfinished runs whose lease has expired, or has an end that a clock that was ahead has set."""
        with self.ledger.recorder.read() as tx:
            now = self.ledger.recorder.now(tx)
            candidates = overdue_runs(tx, now, now + self.lease)
        return [run for run in candidates if self._with_renewed_lease(run, now).lease.until <= now]

    @retry_transaction
    def release(self) -> None:
        """Releases all runs of this owner, for other processes to take over at once."""
        with self.ledger.recorder.write() as tx:
            now = self.ledger.recorder.now(tx)
            for run in unfinished_runs_of(tx, self.owner):
                update_run(tx, runs.release(run, now), run.lease.fence)

    @retry_transaction
    def unaccepted_uploads(self) -> dict[UUID, int]:
        """Returns the stored bodies that are not accepted yet or never will be, and the number of chunks of each."""
        with self.ledger.recorder.read() as tx:
            return unaccepted_bodies(tx)


def _prepared(plan: Plan) -> PreparedRun:
    changes = ((change.key.offer_uid_bytes, change.version, change.events) for change in plan.changes)
    return PreparedRun(plan.outcome, changes)


def _images(plan: Plan) -> Iterator[Image]:
    return (image for change in plan.changes for image in change.images)
