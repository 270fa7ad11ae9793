"""Decides in a transaction whether a request becomes a run, repeats an earlier one, or is refused."""

from datetime import datetime
from typing import assert_never

from domain.access.partner import Partner
from domain.ledgers.ledger import PartnerNamesQuery
from domain.refusals import IdempotencyKeyReused, NothingToUndo, RunInProgress
from domain.runs.file_names import latest_file_date, require_file_date, require_file_order, require_own_prefix
from domain.runs.run import Batch, OffersFile, RunRequest, Undo
from domain.runs.run_limits import limit_window, require_slot
from domain.store.cursor import Cursor
from domain.store.records.runs import (
    EarlierRun,
    count_used_slots,
    find_batch,
    find_file,
    find_undo,
    find_unfinished,
    newest_file_date,
)
from domain.values import Channel


def find_earlier_run(tx: Cursor, request: RunRequest) -> EarlierRun | None:
    """Returns the last run of the same request. Raises IdempotencyKeyReused, and NothingToUndo for an undo."""
    match request.input:
        case OffersFile() as file:
            return find_file(tx, request.partner, file, request.body_digest)
        case Batch() as batch:
            earlier = find_batch(tx, request.partner, batch)
        case Undo() as undo:
            return _find_earlier_undo(tx, request.partner, undo)
        case _:
            assert_never(request.input)
    if earlier and earlier.run.body_digest != request.body_digest and earlier.run.run_id != request.equivalent_run_id:
        raise IdempotencyKeyReused(earlier.run.run_id)
    return earlier


def _find_earlier_undo(tx: Cursor, partner: str, undo: Undo) -> EarlierRun | None:
    """Raises NothingToUndo if the earlier undo has been undone: then that is the run to undo."""
    earlier = find_undo(tx, partner, undo)
    if earlier and earlier.undone_by:
        raise NothingToUndo(f"run {earlier.undone_by} has undone the undo of this run; undo that run instead")
    return EarlierRun(earlier, is_newest=True) if earlier else None


def require_acceptable(
    tx: Cursor, request: RunRequest, partner: Partner, partner_names: PartnerNamesQuery, now: datetime
) -> None:
    """Raises RunInProgress, then RunLimitReached for a batch. An undo needs no slot.

    For a file, it raises FileDatedAhead, FileOfAnotherPartner, RunInProgress, FileSuperseded, in this order."""
    name = request.partner
    match request.input:
        case Batch(operation=operation) as batch:
            _require_none_unfinished(tx, name, batch.CHANNEL)
            used = count_used_slots(tx, name, batch.CHANNEL, operation, limit_window(operation, now))
            require_slot(operation, partner.limit(operation), used, now)
        case OffersFile(dated=dated) as file:
            require_file_date(dated, now.date())
            require_own_prefix(file.name, name, partner_names(tx))
            _require_none_unfinished(tx, name, file.CHANNEL)
            # A file may have been accepted while the clock was ahead. It must not block the files of its earlier days.
            require_file_order(dated, newest_file_date(tx, name, latest_file_date(now.date())))
        case Undo(channel=channel):
            _require_none_unfinished(tx, name, channel)
        case _:
            assert_never(request.input)


def _require_none_unfinished(tx: Cursor, partner: str, channel: Channel) -> None:
    if active := find_unfinished(tx, partner, channel):
        raise RunInProgress(active.run_id)
