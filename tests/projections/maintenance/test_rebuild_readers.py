"""On PostgreSQL, who reads for long (a dump, an export) can't have the table taken away: does a rebuild wait, and nobody else?"""

import threading

import pytest

from domain.ledgers.ledger import OfferLedger
from domain.store import retry
from domain.store.commit import current_head
from domain.values import Channel, OfferKey
from projections.maintenance.rebuild import rebuild
from projections.maintenance.shadow_tables import SHADOW, leftovers
from projections.maintenance.verification import verify
from tests.support.engine import only_postgres
from tests.support.examples import EVERY_OFFER_EVENT, PARTNER
from tests.support.harness import record
from tests.support.processes.fault_server import until

pytestmark = only_postgres


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "UNLOCK_POLL_SECONDS", 0.01)


def bring_an_offer(ledger: OfferLedger, name: str) -> None:
    record(ledger, OfferKey(PARTNER, Channel.MERCHANT, "M", name), *EVERY_OFFER_EVENT)


def test_a_rebuild_waits_for_a_reader_and_others_write_meanwhile(
    ledger: OfferLedger, caplog: pytest.LogCaptureFixture
) -> None:
    bring_an_offer(ledger, "before")
    rebuilding = threading.Thread(target=rebuild, args=(ledger,))
    with ledger.recorder.read() as tx:
        before = tx.execute("SELECT count(*) FROM inventory").fetchone()[0]
        rebuilding.start()
        until(lambda: "is waited for" in caplog.text)
        bring_an_offer(ledger, "while it waits")
        assert tx.execute("SELECT count(*) FROM inventory").fetchone()[0] == before
    rebuilding.join()
    assert caplog.text.count("is waited for") == 1
    assert verify(ledger) == []
    with ledger.recorder.read() as tx:
        assert leftovers(tx) == []


def test_who_has_begun_to_read_does_not_find_tables_that_were_filled_since(
    ledger: OfferLedger, caplog: pytest.LogCaptureFixture
) -> None:
    bring_an_offer(ledger, "before")
    rebuilding = threading.Thread(target=rebuild, args=(ledger,))
    with ledger.recorder.read() as tx:
        assert current_head(tx).position
        rebuilding.start()
        until(lambda: "is waited for" in caplog.text or not rebuilding.is_alive())
        assert tx.execute("SELECT count(*) FROM inventory").fetchone()[0] == 1
    rebuilding.join()


def test_a_rebuild_waits_for_who_has_what_it_has_made(ledger: OfferLedger, caplog: pytest.LogCaptureFixture) -> None:
    bring_an_offer(ledger, "before")
    began, ended = threading.Event(), threading.Event()

    def dump() -> None:
        with ledger.recorder.bulk_write() as tx:
            tx.execute(f"LOCK TABLE {SHADOW}inventory IN ACCESS SHARE MODE").fetchone()
            began.set()
            ended.wait()

    dumping = threading.Thread(target=dump)

    def watch(_done: int, _total: int) -> None:
        if not began.is_set():
            dumping.start()
            began.wait()

    rebuilding = threading.Thread(target=rebuild, args=(ledger, watch))
    rebuilding.start()
    until(lambda: "is waited for" in caplog.text)
    bring_an_offer(ledger, "while it waits")
    ended.set()
    rebuilding.join()
    dumping.join()
    assert verify(ledger) == []


def test_after_a_rebuild_it_is_known_how_the_tables_are_filled(ledger: OfferLedger) -> None:
    bring_an_offer(ledger, "before")
    rebuild(ledger)
    with ledger.recorder.read() as tx:
        rows = tx.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > 0").fetchall()
    assert {"inventory", "offer_periods"} <= {row["relname"] for row in rows}
