"""A rebuild yields the tables that the commits have written, for any events and any length of its chunks."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.events import OfferEvent
from domain.ledgers.ledger import Entry
from domain.store.commit import CommitContext
from domain.values import Channel, OfferKey
from projections.maintenance.rebuild import rebuild
from projections.offers import offer_periods
from projections.projector import ProjectionReplay
from tests.projections.offers.test_inventory import a_ledger
from tests.projections.test_projector import RecordingCursor
from tests.support.engine import examples
from tests.support.examples import EVERY_OFFER_EVENT, PARTNER, created
from tests.support.harness import OPERATOR
from tests.support.table_contents import projection_rows

OFFERS = [OfferKey(PARTNER, Channel.MERCHANT, "M", f"offer {number}").offer_uid for number in range(4)]
CHANGES = st.tuples(st.sampled_from(OFFERS), st.sampled_from(EVERY_OFFER_EVENT))
COMMITS = st.lists(st.lists(CHANGES, min_size=1, max_size=6), max_size=8)


@settings(max_examples=examples(60), deadline=None)
@given(COMMITS, st.integers(1, 12), st.integers(0, 4), st.sampled_from([1, 100]))
def test_rebuild_equals_the_commits_for_any_chunk_length(
    commits: list[list[tuple[UUID, OfferEvent]]], chunk: int, remembered: int, min_changes: int
) -> None:
    with a_ledger() as ledger, pytest.MonkeyPatch.context() as patch:
        patch.setattr("domain.ledgers.ledger.ENTRIES_PER_READ", chunk)
        patch.setattr(offer_periods, "MAX_REMEMBERED_OFFERS", remembered)
        patch.setattr(offer_periods, "MIN_CHANGES_TO_LOOK_UP", min_changes)
        versions = Counter[UUID]()
        for changes in commits:
            streams: list[tuple[UUID, int, list[OfferEvent]]] = []
            for uid, event in changes:
                # An offer begins with its creation.
                streams.append((uid, versions[uid], [event if versions[uid] else created()]))
                versions[uid] += 1
            with ledger.recorder.write() as tx:
                ledger.commit(tx, CommitContext(OPERATOR, PARTNER), streams)
        before = projection_rows(ledger)
        assert rebuild(ledger).differences == []
        assert projection_rows(ledger) == before


def replayed(chunks: Sequence[Sequence[Entry]]) -> tuple[list[tuple[object, ...]], int]:
    """Returns the periods after a replay of these chunks, and the number of its queries for earlier periods."""
    with a_ledger() as ledger, ledger.recorder.write() as tx:
        recording = RecordingCursor(tx)
        replay = ProjectionReplay([offer_periods.PROJECTION])
        for chunk in chunks:
            replay.project(recording, chunk)
        rows = tx.execute("SELECT * FROM offer_periods ORDER BY offer_id, version").fetchall()
        return [tuple(row) for row in rows], sum(sql.startswith("SELECT") for sql in recording.executed)


def test_replay_looks_up_forgotten_periods_only(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = [
        [Entry(version, offer, offer, version, created() if version == 1 else event) for offer in range(1, 6)]
        for version, event in enumerate(EVERY_OFFER_EVENT, 1)
    ]
    remembering, no_queries = replayed(chunks)
    monkeypatch.setattr(offer_periods, "MAX_REMEMBERED_OFFERS", 2)
    forgetting, queries = replayed(chunks)
    assert remembering == forgetting
    assert (no_queries, queries) == (0, len(chunks) - 1)
