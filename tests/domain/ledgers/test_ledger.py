"""Tests of OfferLedger: commands, commits of runs, projections and reading."""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from domain.access.partner import SetPartner
from domain.access.token import CreateToken, RevokeToken
from domain.ledgers.ledger import Entry, OfferLedger
from domain.ledgers.run_ledger import AcceptedRun
from domain.refusals import IdempotencyKeyReused, RunLimitReached, UnknownPartner
from domain.runs.batch_reconciliation import InvalidItem, SentItem, ValidItem, reconcile
from domain.runs.run import Batch, OutcomeCounts, RunRequest
from domain.store.commit import current_head
from domain.store.cursor import Cursor
from domain.store.database import DatabaseLocation
from domain.values import Operation, Role
from projections import projector
from projections.access import partners
from projections.offers import decision_state
from projections.offers.changed_offers import changed_offers
from tests.support.examples import CONTENT, KEY, OTHER_CONTENT, PARTNER, PAUSED, RESUMED, created, sent_content, updated
from tests.support.harness import FEED, OPERATOR, Clock, run_ledger

VALID = ValidItem("TP-1", sent_content(CONTENT))
CHANGED = ValidItem("TP-1", sent_content(OTHER_CONTENT))
OTHER = ValidItem("TP-2", sent_content(CONTENT))
INVALID = InvalidItem("TP-1", ("offerData: required",))


def run(
    ledger: OfferLedger,
    items: Sequence[SentItem],
    operation: Operation = Operation.SYNCHRONIZE,
    request_id: UUID | None = None,
    body_digest: str = "d",
    partner: str = PARTNER,
) -> AcceptedRun:
    """Accepts and completes a run with items that are already validated."""
    runs = run_ledger(ledger)
    request = RunRequest(uuid4(), partner, Batch(operation, request_id or uuid4()), body_digest, body_bytes=1)
    accepted = runs.accept(request, FEED)
    if accepted.replayed:
        return accepted
    plan = reconcile(partner, operation, items, runs.known_offers(accepted.run, None))
    return AcceptedRun(runs.complete(accepted.run, plan, "d"), replayed=False)


def position(ledger: OfferLedger) -> int:
    return ledger.recorder.max_notification_id() or 0


def offer_events(ledger: OfferLedger, uid: UUID = KEY.offer_uid) -> list[object]:
    return [recorded.event for recorded in ledger.events.get(uid)]  # type: ignore[attr-defined]


def test_batch_adds_events_to_the_streams_of_its_offers(ledger: OfferLedger) -> None:
    run(ledger, [VALID])
    run(ledger, [OTHER])
    run(ledger, [CHANGED, OTHER])
    assert offer_events(ledger) == [created(), PAUSED, RESUMED, updated()]


def test_run_has_one_commit_with_actor_source_and_run_id(ledger: OfferLedger) -> None:
    accepted = run(ledger, [VALID, OTHER])
    with ledger.recorder.read() as tx:
        row = tx.execute("SELECT * FROM commits ORDER BY first_position DESC").fetchone()
    assert (row["event_count"], row["partner"], row["actor"], row["source"], row["run_id"]) == (
        2,
        PARTNER,
        "tide-feed",
        "custom",
        str(accepted.run.run_id),
    )


def test_run_without_events_has_no_commit(ledger: OfferLedger) -> None:
    run(ledger, [VALID])
    before = position(ledger)
    run(ledger, [VALID])
    assert position(ledger) == before


def test_repeated_request_returns_its_run(ledger: OfferLedger) -> None:
    request_id = uuid4()
    first = run(ledger, [VALID], request_id=request_id)
    run(ledger, [CHANGED])
    repeated = run(ledger, [VALID], request_id=request_id)
    assert (repeated.run, repeated.replayed, first.replayed) == (first.run, True, False)
    assert offer_events(ledger) == [created(), updated()]


def test_request_id_can_not_be_used_for_another_batch(ledger: OfferLedger) -> None:
    request_id = uuid4()
    first = run(ledger, [VALID], request_id=request_id, body_digest="one")
    with pytest.raises(IdempotencyKeyReused) as refused:
        run(ledger, [CHANGED], request_id=request_id, body_digest="other")
    assert refused.value.run_id == first.run.run_id
    assert offer_events(ledger) == [created()]


def test_partners_can_use_the_same_request_id(ledger: OfferLedger) -> None:
    request_id = uuid4()
    ledger.handle(SetPartner("harbor"), OPERATOR)
    run(ledger, [VALID], request_id=request_id)
    assert not run(ledger, [VALID], request_id=request_id, partner="harbor").replayed


def test_run_of_an_unknown_partner_is_refused(ledger: OfferLedger) -> None:
    with pytest.raises(UnknownPartner):
        run(ledger, [VALID], partner="nobody")


def test_run_limit_applies_to_one_calendar_window(ledger: OfferLedger, clock: Clock) -> None:
    ledger.handle(SetPartner(PARTNER, synchronize_per_day=1), OPERATOR)
    run(ledger, [VALID])
    with pytest.raises(RunLimitReached):
        run(ledger, [CHANGED])
    clock.move(days=1)
    run(ledger, [CHANGED])
    assert offer_events(ledger) == [created(), updated()]


def test_operations_have_independent_run_limits(ledger: OfferLedger) -> None:
    ledger.handle(SetPartner(PARTNER, synchronize_per_day=1, insert_per_hour=1), OPERATOR)
    run(ledger, [VALID])
    assert run(ledger, [CHANGED], Operation.INSERT).run.counts == OutcomeCounts(updated=1)


def test_run_without_valid_items_does_not_count(ledger: OfferLedger) -> None:
    ledger.handle(SetPartner(PARTNER, synchronize_per_day=1), OPERATOR)
    run(ledger, [INVALID])
    assert run(ledger, [VALID]).run.counts == OutcomeCounts(created=1)


def test_replay_does_not_count(ledger: OfferLedger) -> None:
    ledger.handle(SetPartner(PARTNER, synchronize_per_day=1), OPERATOR)
    request_id = uuid4()
    run(ledger, [VALID], request_id=request_id)
    assert run(ledger, [VALID], request_id=request_id).replayed


def test_token_needs_a_registered_partner(ledger: OfferLedger) -> None:
    with pytest.raises(UnknownPartner):
        ledger.handle(CreateToken("t", Role.PARTNER, "nobody", "00", 0, None), OPERATOR)


def test_command_without_effect_is_not_recorded(ledger: OfferLedger) -> None:
    before = position(ledger)
    assert ledger.handle(SetPartner(PARTNER), OPERATOR) == []
    assert position(ledger) == before


def test_settings_and_tokens_are_recorded_as_events(ledger: OfferLedger) -> None:
    ledger.handle(CreateToken("t", Role.AUDITOR, None, "00", 0, None), OPERATOR)
    ledger.handle(RevokeToken("t"), OPERATOR)
    with ledger.recorder.read() as tx:
        topics = [entry.event.TOPIC for entries in ledger.entries(tx) for entry in entries]
    assert topics == ["PartnerRegistered", "TokenCreated", "TokenRevoked"]


def test_entries_have_their_ordinals_and_versions(ledger: OfferLedger) -> None:
    run(ledger, [VALID])
    run(ledger, [OTHER])
    with ledger.recorder.read() as tx:
        entries: list[Entry] = [entry for batch in ledger.entries(tx, after=1) for entry in batch]
    assert [(e.event.TOPIC, e.ordinal, e.version) for e in entries] == [
        ("OfferCreated", 0, 1),
        ("OfferCreated", 0, 1),
        ("OfferPaused", 1, 2),
    ]


def test_failing_projection_rolls_back_the_run(tmp_path: Path, clock: Clock) -> None:
    class FailForOffers:
        gather, seal = staticmethod(projector.gather), staticmethod(projector.seal)

        def project(self, tx: Cursor, entries: Sequence[Entry], /) -> None:
            projector.project(tx, entries)
            if any(entry.event.TOPIC == "OfferCreated" for entry in entries):
                raise RuntimeError

    ledger = OfferLedger(
        DatabaseLocation(f"{tmp_path}/ledger.db"),
        clock,
        FailForOffers(),
        decision_state.known_offers,
        partners.all_names,
        changed_offers,
    )
    ledger.recorder.prepare_schema(projector.tables())
    ledger.handle(SetPartner(PARTNER), OPERATOR)
    with pytest.raises(RuntimeError):
        run(ledger, [VALID])
    with ledger.recorder.read() as tx:
        row_counts = [
            tx.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("inventory", "run_outcomes")
        ]
        assert (row_counts, current_head(tx).position) == ([0, 0], 1)
        assert [tuple(row) for row in tx.execute("SELECT state, counts FROM runs")] == [("accepted", None)]
    ledger.close()


def test_library_ignores_environment_variables(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSISTENCE_MODULE", "eventsourcing.popo")
    monkeypatch.setenv("OFFER_LEDGER_COMPRESSOR_TOPIC", "eventsourcing.compressor:ZlibCompressor")
    ledger = OfferLedger(
        DatabaseLocation(f"{tmp_path}/ledger.db"),
        clock,
        projector.Projector(),
        decision_state.known_offers,
        partners.all_names,
        changed_offers,
    )
    ledger.recorder.prepare_schema(projector.tables())
    ledger.handle(SetPartner(PARTNER), OPERATOR)
    assert b"tidepool" in ledger.recorder.select_notifications(1, 1)[0].state
    ledger.close()


def test_commit_has_the_partner_of_settings_or_token(ledger: OfferLedger) -> None:
    ledger.handle(CreateToken("t", Role.PARTNER, PARTNER, "00", 0, None), OPERATOR)
    ledger.handle(RevokeToken("t"), OPERATOR)
    ledger.handle(CreateToken("books", Role.AUDITOR, None, "01", 0, None), OPERATOR)
    with ledger.recorder.read() as tx:
        recorded = [row["partner"] for row in tx.execute("SELECT partner FROM commits ORDER BY first_position")]
    assert recorded == [PARTNER, PARTNER, PARTNER, None]
