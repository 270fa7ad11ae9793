"""Verifies the ledger: its files, commits against the hash chain, images against their digests, projections against events.

Projections are checked by replaying the events into temporary tables. These have the names of the live tables and hide
them from the code of the projection. Then both are compared row by row.
"""

import itertools
from collections.abc import Iterator, Sequence

from msgspec import Struct

from domain.ledgers.ledger import UNREACHABLE, OfferLedger
from domain.store.commit import current_head
from domain.store.cursor import Cursor, missing_indexes
from domain.store.database import NotChecked
from domain.store.errors import DamagedStorage
from domain.values import ProgressCallback, no_progress
from projections.maintenance.checks.commits import broken_commits
from projections.maintenance.checks.images import broken_images, images_of
from projections.maintenance.checks.references import wrong_references
from projections.maintenance.checks.runs import broken_runs
from projections.maintenance.checks.tables import different_columns, wrong_columns, wrong_indexes
from projections.maintenance.table_diff import MAX_DIFFERENCES, Difference, differing_rows
from projections.projection import Projection
from projections.projector import PROJECTIONS, ProjectionReplay

CONTENT = "the content of the tables"


class Verification(Struct, frozen=True, rename="camel"):
    """Result of a verification: up to `MAX_DIFFERENCES` differences, and the checks that were not possible.

    `damaged`: whether the database cannot read its own files. The content of the tables was then not checked."""

    differences: list[Difference]
    not_checked: list[NotChecked]
    damaged: bool = False


def verify(ledger: OfferLedger, on_progress: ProgressCallback = no_progress) -> list[Difference]:
    """Returns the differences that `verify_ledger` finds."""
    return verify_ledger(ledger, on_progress).differences


def verify_ledger(ledger: OfferLedger, on_progress: ProgressCallback = no_progress) -> Verification:
    """Checks the files of the database first. If they are sound, it compares the content of all tables.

    It writes nothing to the ledger."""
    storage = ledger.recorder.check_storage()
    not_checked = list(storage.not_checked)
    if storage.damage:
        return _damaged([], storage.damage, not_checked)
    found: list[Difference] = []
    try:
        _compare_content(ledger, found, on_progress)
    except DamagedStorage as error:
        return _damaged(found, [str(error)], not_checked)
    except UNREACHABLE:
        raise
    except Exception as error:  # noqa: BLE001 - rows changed by hand can hold anything
        found.append(Difference("events", {"unreadable": str(error)}, None))
    return Verification(found[:MAX_DIFFERENCES], not_checked)


def _damaged(found: Sequence[Difference], damage: Sequence[str], not_checked: Sequence[NotChecked]) -> Verification:
    differences = [*found, *(Difference("database", {"damage": text}, None) for text in damage)]
    missing = NotChecked(CONTENT, "the database is damaged")
    return Verification(differences[:MAX_DIFFERENCES], [*not_checked, missing], damaged=True)


def _compare_content(ledger: OfferLedger, found: list[Difference], on_progress: ProgressCallback) -> None:
    """Adds the differences to `found`, so that those before an error are kept."""
    with ledger.recorder.read() as tx:
        _collect(found, wrong_columns(tx))
        if found:
            return  # the statements below need these columns
        _collect(found, wrong_indexes(tx))
        _collect(found, broken_commits(tx))
        for projection in PROJECTIONS:
            tx.execute(projection.table.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
        _collect(found, broken_images(tx, _replay(ledger, tx, on_progress)))
        for projection in PROJECTIONS:
            _collect(found, _wrong_rows(tx, projection))
        # From here on, the names of the projections mean the recomputed tables.
        _collect(found, wrong_references(tx))
        _collect(found, broken_runs(tx))


def _collect(found: list[Difference], differences: Iterator[Difference]) -> None:
    found += itertools.islice(differences, MAX_DIFFERENCES)
    for _ in differences:
        pass  # a result must be read to its end before the connection can run another query


# Projections


def _replay(ledger: OfferLedger, tx: Cursor, on_progress: ProgressCallback) -> set[str]:
    """Applies every event of the ledger to the projections. Returns the digests of the images that events refer to."""
    referred: set[str] = set()
    done, total = 0, current_head(tx).position
    replay = ProjectionReplay()
    for entries in ledger.entries(tx):
        replay.project(tx, entries)
        referred.update(images_of(entries))
        done += len(entries)
        on_progress(done, total)
    replay.seal(tx)
    return referred


def _wrong_rows(tx: Cursor, projection: Projection) -> Iterator[Difference]:
    name, dialect = projection.name, tx.dialect
    found, expected = (dialect.columns(tx, prefix, name) for prefix in (dialect.live_prefix, dialect.temporary_prefix))
    if found != expected:
        yield from different_columns(name, found, expected)
    else:
        yield from differing_rows(tx, projection, f"{dialect.live_prefix}{name}", f"{dialect.temporary_prefix}{name}")
        for index in missing_indexes(dialect, tx, name, projection.indexes):
            yield Difference(name, {"built": False, "index": index}, {"built": True, "index": index})
