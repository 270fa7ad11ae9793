"""Rebuilds beside long readers on PostgreSQL, such as a dump or an export: the rebuild waits, and no other process
does."""

import threading

import pytest

from domain.ledgers.ledger import OfferLedger
from domain.store import retry
from domain.store.commit import current_head
from domain.values import Channel, OfferKey
from projections.maintenance.rebuild import rebuild
from projections.maintenance.shadow_tables import SHADOW_PREFIX, leftover_tables
from projections.maintenance.verification import verify
from tests.support.engine import only_postgres
from tests.support.examples import EVERY_OFFER_EVENT, PARTNER
from tests.support.harness import record
from tests.support.waiting import wait_until

pytestmark = only_postgres


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "UNLOCK_POLL_SECONDS", 0.01)


def record_an_offer(ledger: OfferLedger, name: str) -> None:
    record(ledger, OfferKey(PARTNER, Channel.MERCHANT, "M", name), *EVERY_OFFER_EVENT)


def test_rebuild_waits_for_a_reader_while_others_write(ledger: OfferLedger, caplog: pytest.LogCaptureFixture) -> None:
    record_an_offer(ledger, "before")
    rebuilding = threading.Thread(target=rebuild, args=(ledger,))
    with ledger.recorder.read() as tx:
        before = tx.execute("SELECT count(*) FROM inventory").fetchone()[0]
        rebuilding.start()
        wait_until(lambda: "waiting until it is free" in caplog.text)
        record_an_offer(ledger, "while it waits")
        assert tx.execute("SELECT count(*) FROM inventory").fetchone()[0] == before
    rebuilding.join()
    assert caplog.text.count("waiting until it is free") == 1
    assert verify(ledger) == []
    with ledger.recorder.read() as tx:
        assert leftover_tables(tx) == []


def test_running_reader_keeps_the_old_tables(ledger: OfferLedger, caplog: pytest.LogCaptureFixture) -> None:
    record_an_offer(ledger, "before")
    rebuilding = threading.Thread(target=rebuild, args=(ledger,))
    with ledger.recorder.read() as tx:
        assert current_head(tx).position
        rebuilding.start()
        wait_until(lambda: "waiting until it is free" in caplog.text or not rebuilding.is_alive())
        assert tx.execute("SELECT count(*) FROM inventory").fetchone()[0] == 1
    rebuilding.join()


def test_rebuild_waits_for_a_reader_of_its_shadow_tables(ledger: OfferLedger, caplog: pytest.LogCaptureFixture) -> None:
    record_an_offer(ledger, "before")
    dump_started, dump_may_end = threading.Event(), threading.Event()

    def dump() -> None:
        with ledger.recorder.bulk_write() as tx:
            tx.execute(f"LOCK TABLE {SHADOW_PREFIX}inventory IN ACCESS SHARE MODE").fetchone()
            dump_started.set()
            dump_may_end.wait()

    dumping = threading.Thread(target=dump)

    def start_dump(_done: int, _total: int) -> None:
        if not dump_started.is_set():
            dumping.start()
            dump_started.wait()

    rebuilding = threading.Thread(target=rebuild, args=(ledger, start_dump))
    rebuilding.start()
    wait_until(lambda: "waiting until it is free" in caplog.text)
    record_an_offer(ledger, "while it waits")
    dump_may_end.set()
    rebuilding.join()
    dumping.join()
    assert verify(ledger) == []


def test_rebuild_leaves_statistics_for_the_new_tables(ledger: OfferLedger) -> None:
    record_an_offer(ledger, "before")
    rebuild(ledger)
    with ledger.recorder.read() as tx:
        rows = tx.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > 0").fetchall()
    assert {"inventory", "offer_periods"} <= {row["relname"] for row in rows}
