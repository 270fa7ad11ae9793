"""How is a run accepted, owned and finished? The decisions of `run.py`, each in its transaction."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from uuid import UUID

from msgspec import Struct

from domain import run as runs
from domain.ledger import OfferLedger, StorageError
from domain.offer import Offer
from domain.reconciliation import Plan
from domain.refusals import IdempotencyKeyReused, RunInProgress, RunNotYours
from domain.run import Lease, Outcome, Run, RunProblem, RunRequest
from domain.slots import require_slot, window_start
from domain.store.commit import CommitContext, head_of
from domain.store.cursor import Cursor
from domain.store.run_bodies import count_chunks, delete_abandoned, delete_body, find_chunk, insert_chunks
from domain.store.run_outcomes import insert_outcome
from domain.store.runs import (
    count_slots,
    find_request,
    find_run,
    find_unfinished,
    insert_run,
    is_held,
    overdue_runs,
    renew_lease,
    runs_of,
    update_run,
)
from domain.values import Channel, Clock, Origin

ABANDONED_AFTER = timedelta(hours=1)
"""An upload to which nothing has come for so long has failed."""


class Accepted(Struct, frozen=True):
    """The run of a request, and whether it had been accepted before."""

    run: Run
    replayed: bool


class RunLedger:
    """The runs of a ledger, in the hands of one owner: a process that carries runs out."""

    def __init__(self, ledger: OfferLedger, clock: Clock, owner: str, lease: timedelta) -> None:
        self.ledger = ledger
        self.owner = owner
        self.lease = lease
        self._clock = clock

    # The request

    def store_body(self, run_id: UUID, first: int, packed: Sequence[bytes]) -> None:
        """Puts chunks of a body beside those that came before, for a run that is not accepted yet."""
        with self.ledger.recorder.writing() as tx:
            insert_chunks(tx, run_id, first, packed, self._clock())

    def body(self, run_id: UUID) -> Iterator[bytes]:
        """The body as it was sent, in chunks; it is gone when the run is finished."""
        chunk = 0
        while True:
            with self.ledger.recorder.reading() as tx:
                found = find_chunk(tx, run_id, chunk)
            if found is None:
                return
            yield found
            chunk += 1

    def drop_body(self, run_id: UUID) -> None:
        """Removes what was stored for a run that was not accepted."""
        with self.ledger.recorder.writing() as tx:
            if find_run(tx, run_id) is None:
                delete_body(tx, run_id)

    # Its life

    def accept(self, request: RunRequest, channel: Channel, origin: Origin, packed: Sequence[bytes] = ()) -> Accepted:
        """Makes the request a run that this owner holds, once: the same request again is answered with that run.

        `packed`: the body, if it is not stored yet. Raises UnknownPartner, IdempotencyKeyReused, RunInProgress and
        NoSlotLeft, in this order."""
        with self.ledger.recorder.writing() as tx:
            now = self._clock()
            partner = self.ledger.require_partner(tx, request.partner)
            if earlier := find_request(tx, request.partner, channel, request.concurrency_request_id):
                if earlier.body_digest != request.body_digest and earlier.run_id != request.same_as:
                    raise IdempotencyKeyReused(earlier.run_id)
                return Accepted(earlier, replayed=True)
            if active := find_unfinished(tx, request.partner, channel):
                raise RunInProgress(active.run_id)
            used = count_slots(tx, request.partner, channel, request.operation, window_start(request.operation, now))
            require_slot(request.operation, partner.limit(request.operation), used, now)
            run = runs.accept(request, channel, origin, Lease(self.owner, now + self.lease, 1), now)
            insert_run(tx, run)
            insert_chunks(tx, run.run_id, 0, packed, now)
            if request.body_chunks not in {None, count_chunks(tx, run.run_id)}:
                raise StorageError("Parts of the request's body are missing")
        return Accepted(run, replayed=False)

    def claim(self, run_id: UUID) -> Run:
        """Begins to carry the run out, or takes it over. Raises RunNotYours."""
        with self.ledger.recorder.writing() as tx:
            run = find_run(tx, run_id)
            if run is None:
                raise RunNotYours(run_id)
            claimed = runs.claim(run, self.owner, self._clock(), self.lease)
            self._require_held(claimed, update_run(tx, claimed, run.lease.fence))
        return claimed

    def renew(self, run: Run) -> None:
        """Holds on to a run for another term. Raises RunNotYours."""
        with self.ledger.recorder.writing() as tx:
            self._require_held(run, renew_lease(tx, run, self._clock() + self.lease))

    def forgive(self, run: Run) -> None:
        """An attempt that was ended by the storage does not count. Raises RunNotYours."""
        with self.ledger.recorder.writing() as tx:
            forgiven = runs.forgive(run)
            self._require_held(run, update_run(tx, forgiven, run.lease.fence))

    def known_offers(self, run: Run, external_ids: Sequence[str] | None) -> dict[str, Offer]:
        """What a run is decided from: the partner's offers on its channel that are named, or all.

        No other run can change them while this one is held."""
        with self.ledger.recorder.reading() as tx:
            return dict(self.ledger.known_offers(tx, run.partner, run.channel, external_ids))

    def complete(self, run: Run, plan: Plan, request_digest: str) -> Run:
        """Stores what the run does, with its outcome, all at once. Raises RunNotYours if others have it by now."""
        with self.ledger.recorder.writing() as tx:
            self._require_held(run, is_held(tx, run))
            context = CommitContext(Origin(run.actor, run.source), run.partner, run.run_id)
            changes = ((change.key.offer_uid, change.version, change.events) for change in plan.changes)
            self.ledger.commit(tx, context, changes)
            return self._finish(tx, run, plan.outcome, request_digest)

    def fail(self, run: Run, problem: RunProblem) -> Run:
        """Gives a run up. Raises RunNotYours."""
        with self.ledger.recorder.writing() as tx:
            failed = runs.fail(run, problem, self._clock())
            self._require_held(run, update_run(tx, failed, run.lease.fence))
            delete_body(tx, run.run_id)
        return failed

    def _finish(self, tx: Cursor, run: Run, outcome: Outcome, request_digest: str) -> Run:
        finished = runs.complete(run, outcome, request_digest, head_of(tx).position, self._clock())
        self._require_held(run, update_run(tx, finished, run.lease.fence))
        insert_outcome(tx, run.run_id, outcome)
        delete_body(tx, run.run_id)
        return finished

    def _require_held(self, run: Run, held: bool) -> None:  # noqa: FBT001
        if not held:
            raise RunNotYours(run.run_id)

    # Looking after them

    def find(self, run_id: UUID) -> Run | None:
        with self.ledger.recorder.reading() as tx:
            return find_run(tx, run_id)

    def overdue(self) -> list[Run]:
        """Runs that nobody holds any more."""
        with self.ledger.recorder.reading() as tx:
            return overdue_runs(tx, self._clock())

    def release(self) -> None:
        """Lets go of everything that this owner holds, for others to take over at once."""
        with self.ledger.recorder.writing() as tx:
            for run in runs_of(tx, self.owner):
                update_run(tx, runs.release(run, self._clock()), run.lease.fence)

    def tidy(self) -> int:
        """Removes what uploads that never became runs have left behind; answers how many chunks."""
        with self.ledger.recorder.writing() as tx:
            return delete_abandoned(tx, self._clock() - ABANDONED_AFTER)
