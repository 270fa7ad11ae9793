"""How is a run accepted, owned and finished? The decisions of `run.py`, each in its transaction."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import islice
from typing import Any, assert_never
from uuid import UUID

from msgspec import Struct

from domain.ledgers.ledger import OfferLedger, StorageError
from domain.offers.images import Image
from domain.offers.offer import Offer
from domain.refusals import IdempotencyKeyReused, LeaseLost, RunInProgress
from domain.runs import run as runs
from domain.runs.file_reconciliation import require_file_order
from domain.runs.plan import Plan
from domain.runs.run import Batch, Lease, OffersFile, Progress, Run, RunProblem, RunRequest, RunState, request_key
from domain.runs.run_limits import require_slot, window_start
from domain.store.commit import CommitContext, changed_since, current_head
from domain.store.cursor import Cursor
from domain.store.errors import TransactionRolledBack
from domain.store.records.images import insert_images
from domain.store.records.run_bodies import count_chunks, delete_abandoned, delete_body, find_chunk, insert_chunks
from domain.store.records.run_outcomes import insert_outcome
from domain.store.records.runs import (
    count_slots,
    find_request,
    find_run,
    find_unfinished,
    insert_run,
    is_held,
    newest_file_date,
    overdue_runs,
    runs_of,
    update_run,
)
from domain.store.retry import retry_transaction
from domain.values import Origin, PartnerSettings

IMAGES_PER_WRITE = 100
ABANDONED_AFTER = timedelta(hours=1)
"""An upload to which nothing has come for so long has failed."""

Decide = Callable[[Mapping[Any, Offer], Collection[UUID], PartnerSettings], Plan]
"""What a run does, by the offers as KnownOffers has them, and those of them that were changed since it was accepted, by
their offerUids."""


class Accepted(Struct, frozen=True):
    """The run of a request, and whether it had been accepted before."""

    run: Run
    replayed: bool


class RunLedger:
    """The runs of a ledger, in the hands of one owner: a process that carries runs out."""

    def __init__(self, ledger: OfferLedger, owner: str, lease: timedelta) -> None:
        self.ledger = ledger
        self.owner = owner
        self.lease = lease
        self._heartbeats = ledger.recorder.heartbeats

    # The request

    @retry_transaction
    def store_body(self, run_id: UUID, first: int, packed: Sequence[bytes]) -> None:
        """Puts chunks of a body beside those that came before, for a run that is not accepted yet."""
        with self.ledger.recorder.bulk_write() as tx:
            insert_chunks(tx, run_id, first, packed, self.ledger.recorder.now(tx))

    def body(self, run_id: UUID) -> Iterator[bytes]:
        """The body as it was sent, in chunks; it is gone when the run is finished."""
        chunk = 0
        while True:
            with self.ledger.recorder.read() as tx:
                found = find_chunk(tx, run_id, chunk)
            if found is None:
                return
            yield found
            chunk += 1

    @retry_transaction
    def drop_body(self, run_id: UUID) -> None:
        """Removes what was stored for a run that was not accepted."""
        with self.ledger.recorder.write() as tx:
            if find_run(tx, run_id) is None:
                delete_body(tx, run_id)

    # Its life

    @retry_transaction
    def accept(self, request: RunRequest, origin: Origin, packed: Sequence[bytes] = ()) -> Accepted:
        """Makes the request a run that this owner holds, once: the same request again is answered with that run.

        `packed`: the body, if it is not stored yet. Raises UnknownPartner, IdempotencyKeyReused, RunInProgress, and
        NoSlotLeft or FileSuperseded, in this order."""
        asked, channel = request.input, request.input.CHANNEL
        with self.ledger.recorder.write() as tx:
            now = self.ledger.recorder.now(tx)
            partner = self.ledger.require_partner(tx, request.partner)
            if earlier := find_request(tx, request.partner, channel, request_key(asked, request.body_digest)):
                if earlier.body_digest != request.body_digest and earlier.run_id != request.is_same_as:
                    raise IdempotencyKeyReused(earlier.run_id)
                return Accepted(earlier, replayed=True)
            if active := find_unfinished(tx, request.partner, channel):
                raise RunInProgress(active.run_id)
            match asked:
                case Batch(operation=operation):
                    used = count_slots(tx, request.partner, channel, operation, window_start(operation, now))
                    require_slot(operation, partner.limit(operation), used, now)
                case OffersFile(dated=dated):
                    require_file_order(dated, newest_file_date(tx, request.partner))
                case _:
                    assert_never(asked)
            run = runs.accept(request, origin, Lease(self.owner, now + self.lease, 1), now, current_head(tx).position)
            insert_run(tx, run)
            insert_chunks(tx, run.run_id, 0, packed, now)
            if request.body_chunks not in {None, count_chunks(tx, run.run_id)}:
                raise StorageError("Parts of the request's body are missing")
        return Accepted(run, replayed=False)

    def claim(self, run_id: UUID) -> Run:
        """Begins to carry the run out, or takes it over. Raises RunNotYours."""
        claimed = self._claim(run_id)
        # Whoever had begun to store it can't end that any more, but may stand still in the midst of it.
        retry_transaction(self.ledger.recorder.terminate_scope_writer)(claimed.scope)
        return claimed

    @retry_transaction
    def _claim(self, run_id: UUID) -> Run:
        with self.ledger.recorder.write() as tx:
            run = find_run(tx, run_id)
            if run is None:
                raise LeaseLost(run_id)
            now = self.ledger.recorder.now(tx)
            claimed = runs.claim(self._heartbeats.renewed(run), self.owner, now, self.lease)
            self._require_held(claimed, update_run(tx, claimed, run.lease.fence))
        return claimed

    def renew(self, run: Run, progress: Progress | None = None) -> None:
        """Holds on to a run for another term, and tells how far it is, whoever is writing meanwhile. Raises RunNotYours."""
        with self.ledger.recorder.read() as tx:
            self._require_held(run, is_held(tx, run))
            until = self.ledger.recorder.now(tx) + self.lease
        self._heartbeats.beat(run, until, progress)

    @retry_transaction
    def forgive(self, run: Run) -> None:
        """An attempt that was ended by the storage does not count. Raises RunNotYours."""
        with self.ledger.recorder.write() as tx:
            forgiven = runs.forgive(run)
            self._require_held(run, update_run(tx, forgiven, run.lease.fence))

    def known_offers(self, run: Run, external_ids: Sequence[str] | None = None) -> Mapping[Any, Offer]:
        """The partner's offers on the run's channel that are named, or all, as KnownOffers has them.

        No other run can change them while this one is held; single requests can, on the merchant channel."""
        with self.ledger.recorder.read() as tx:
            return self.ledger.known_offers(tx, run.partner, run.channel, external_ids)

    @retry_transaction
    def complete(self, run: Run, plan: Plan, request_digest: str) -> Run:
        """Stores what the run does, with its outcome, all at once. Raises RunNotYours if others have it by now."""
        with self._ending(run), self.ledger.recorder.bulk_write(run.scope) as tx:
            self._require_held(run, is_held(tx, run))
            return self._store(tx, run, plan, request_digest)

    @retry_transaction
    def decide_and_complete(self, run: Run, decide: Decide, *, brings_images: bool = False) -> Run:
        """The same for offers that single requests change too: decided where nobody can come between.

        `brings_images`: whether what is decided may have some."""
        stored = self._store_images(run, decide) if brings_images else set()
        with self._ending(run), self.ledger.recorder.bulk_write(run.scope) as tx:
            self._require_held(run, is_held(tx, run))
            plan, settings = self._decided(tx, run, decide)
            insert_images(tx, [image for image in _images(plan) if image.digest not in stored])
            finished = self._store(tx, run, plan, run.body_digest)
            if self.ledger.require_partner(tx, run.partner).settings != settings:
                raise TransactionRolledBack("The settings that the run was decided by have changed meanwhile")
        return finished

    def _decided(self, tx: Cursor, run: Run, decide: Decide) -> tuple[Plan, PartnerSettings]:
        settings = self.ledger.require_partner(tx, run.partner).settings
        known = self.ledger.known_offers(tx, run.partner, run.channel, None)
        return decide(known, changed_since(tx, run.partner, run.accepted_position), settings), settings

    def _store_images(self, run: Run, decide: Decide) -> set[str]:
        """Puts the images of what the run does, as it looks by now, beside the events; answers their digests. Whoever brings
        the same image waits until it is there: so it is there before all the rest."""
        with self.ledger.recorder.read() as tx:
            images = {image.digest: image for image in _images(self._decided(tx, run, decide)[0])}
        remaining = iter(sorted(images))
        while some := list(islice(remaining, IMAGES_PER_WRITE)):
            with self.ledger.recorder.bulk_write() as tx:
                self._require_held(run, is_held(tx, run))
                insert_images(tx, [images[digest] for digest in some])
        return set(images)

    @retry_transaction
    def fail(self, run: Run, problem: RunProblem) -> Run:
        """Gives a run up. Raises RunNotYours."""
        with self._ending(run), self.ledger.recorder.write() as tx:
            failed = runs.fail(run, problem, self.ledger.recorder.now(tx))
            self._require_held(run, update_run(tx, failed, run.lease.fence))
            delete_body(tx, run.run_id)
        return failed

    def _store(self, tx: Cursor, run: Run, plan: Plan, request_digest: str) -> Run:
        context = CommitContext(Origin(run.actor, run.source), run.partner, run.run_id)
        insert_outcome(tx, run.run_id, plan.outcome)
        delete_body(tx, run.run_id)
        changes = ((change.key.offer_uid, change.version, change.events) for change in plan.changes)
        self.ledger.commit(tx, context, changes)
        # From here on nobody takes the run over; whoever has done so has given it another fence.
        tx.dialect.acquire_ledger_lock(tx)
        now = self.ledger.recorder.now(tx)
        finished = runs.complete(run, plan.outcome, request_digest, current_head(tx).position, now)
        self._require_held(run, update_run(tx, finished, run.lease.fence))
        return finished

    @contextmanager
    def _ending(self, run: Run) -> Iterator[None]:
        yield
        with suppress(StorageError):
            self._heartbeats.forget(run)

    def _require_held(self, run: Run, held: bool) -> None:  # noqa: FBT001
        if not held:
            raise LeaseLost(run.run_id)

    # Looking after them

    def find(self, run_id: UUID) -> Run | None:
        with self.ledger.recorder.read() as tx:
            return find_run(tx, run_id)

    def progress(self, run: Run) -> Progress | None:
        """How far a run is that is carried out, by whichever owner; None where that has not been told, or can't be read."""
        with suppress(StorageError):
            return self._heartbeats.progress(run) if run.state is RunState.RUNNING else None
        return None

    def overdue(self) -> list[Run]:
        """Runs that nobody holds any more."""
        with self.ledger.recorder.read() as tx:
            now = self.ledger.recorder.now(tx)
            unheard = overdue_runs(tx, now)
        return [run for run in unheard if self._heartbeats.renewed(run).lease.until <= now]

    @retry_transaction
    def release(self) -> None:
        """Lets go of everything that this owner holds, for others to take over at once."""
        with self.ledger.recorder.write() as tx:
            now = self.ledger.recorder.now(tx)
            for run in runs_of(tx, self.owner):
                update_run(tx, runs.release(run, now), run.lease.fence)

    @retry_transaction
    def tidy(self) -> int:
        """Removes what uploads that never became runs have left behind; answers how many chunks."""
        with self.ledger.recorder.write() as tx:
            return delete_abandoned(tx, self.ledger.recorder.now(tx) - ABANDONED_AFTER)


def _images(plan: Plan) -> Iterator[Image]:
    return (image for change in plan.changes for image in change.images)
