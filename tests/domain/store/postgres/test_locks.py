"""Who waits for whom on PostgreSQL, and for how long?"""

import threading
from collections.abc import Iterator

import pytest

from api.service import Service
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.ledgers.ledger import StorageError
from domain.ledgers.single_request_ledger import Busy
from domain.single_requests.group import Decided
from domain.single_requests.request import SingleRequest, TraceOutcome
from domain.store.cursor import Cursor
from domain.store.errors import TransactionRolledBack
from domain.store.postgres import locks
from domain.store.retry import TRIES, retry_transaction
from domain.values import Channel, Scope
from projections.maintenance.verification import verify
from tests.support.engine import IS_POSTGRES
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Clock
from tests.support.histories.runs import LEASE, accepted, plan, valid
from tests.support.histories.single_requests import merchant_key, put

OTHER = "kelp"
CUSTOM, MERCHANT = Scope(PARTNER, Channel.CUSTOM), Scope(PARTNER, Channel.MERCHANT)
CREATED = (TraceOutcome.CREATED, 1)

pytestmark = pytest.mark.skipif(not IS_POSTGRES, reason="It is about PostgreSQL.")


@pytest.fixture
def other(service: Service, clock: Clock) -> Iterator[Service]:
    """Another process with the same ledger."""
    service.ledger.handle(SetPartner(OTHER), OPERATOR)
    with open_service(service.settings, clock) as opened:
        yield opened
        assert verify(opened.ledger) == []


def outcomes(results: list[object]) -> list[object]:
    return [
        (result.trace.outcome, result.trace.version) if isinstance(result, Decided) and result.trace else result
        for result in results
    ]


def asked(partner: str = PARTNER) -> SingleRequest:
    return put(merchant_key("MO-1", partner=partner))


def end_connection(service: Service, tx: Cursor) -> None:
    pid = tx.execute("SELECT pg_backend_pid() AS pid").fetchone()["pid"]
    with service.ledger.recorder.read() as beside:
        beside.execute("SELECT pg_terminate_backend(?)", (pid,)).fetchall()


# Waiting


def test_while_a_run_is_stored_only_requests_of_its_scope_have_to_wait(service: Service, other: Service) -> None:
    with service.ledger.recorder.bulk_write(MERCHANT):
        results = other.single_requests.execute([asked(), asked(OTHER)])
        assert outcomes([*results]) == [Busy(MERCHANT), CREATED]


def test_a_batch_that_is_stored_keeps_no_request_on_the_other_channel(service: Service, other: Service) -> None:
    with service.ledger.recorder.bulk_write(CUSTOM):
        assert outcomes([*other.single_requests.execute([asked()])]) == [CREATED]


def test_requests_that_wait_are_carried_out_when_the_run_is_stored(service: Service, other: Service) -> None:
    results: list[object] = []
    with service.ledger.recorder.bulk_write(MERCHANT):
        waiting = threading.Thread(
            target=lambda: results.extend(other.single_requests.execute_after(MERCHANT, [asked()])), daemon=True
        )
        waiting.start()
        waiting.join(0.3)
        assert not results
        # Whoever waits so keeps nobody else waiting.
        assert outcomes([*service.single_requests.execute([asked(OTHER)])]) == [CREATED]
    waiting.join()
    assert outcomes(results) == [CREATED]


def test_who_must_be_alone_waits_for_who_is_storing(service: Service, other: Service) -> None:
    done = threading.Event()

    def be_alone() -> None:
        with other.ledger.recorder.exclusive_write():
            done.set()

    with service.ledger.recorder.bulk_write(CUSTOM):
        waiting = threading.Thread(target=be_alone, daemon=True)
        waiting.start()
        assert not done.wait(0.3)
        assert outcomes([*service.single_requests.execute([asked()])]) == [CREATED]
    assert done.wait(10)
    waiting.join()


def test_a_partner_s_settings_wait_for_its_run_and_nobody_waits_for_them(service: Service, other: Service) -> None:
    setting = threading.Thread(target=lambda: other.ledger.handle(SetPartner(PARTNER, rps=7), OPERATOR))
    with service.ledger.recorder.bulk_write(MERCHANT):
        setting.start()
        setting.join(0.5)
        assert setting.is_alive()
        assert outcomes([*service.single_requests.execute([asked(OTHER)])]) == [CREATED]
    setting.join()
    assert other.single_requests.terms(PARTNER)[0].rps == 7


# Standing still


def test_who_stands_still_while_storing_a_run_can_t_end_it_after_another_has_taken_it(
    service: Service, other: Service, clock: Clock
) -> None:
    run = service.runs.claim(accepted(service.runs).run_id)
    taken_over = []

    def stand_still() -> None:
        with service.ledger.recorder.bulk_write(run.scope) as tx:
            tx.execute("INSERT INTO streams (stream_uid) VALUES (?)", (b"of a run that is being stored",))
            clock.move(seconds=LEASE.total_seconds() + 1)
            taken = other.runs.claim(run.run_id)
            taken_over.append(other.runs.complete(taken, plan(other.runs, taken, [valid("TP-1")]), "digest"))
            tx.execute("SELECT 1")

    with pytest.raises(StorageError):
        stand_still()
    assert [one.counts and one.counts.created for one in taken_over] == [1]
    with service.ledger.recorder.read() as tx:
        assert tx.execute("SELECT count(*) AS n FROM streams WHERE length(stream_uid) <> 16").fetchone()["n"] == 0


def test_who_stands_still_with_the_ledgers_lock_loses_it(
    service: Service, other: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "STALLED_SECONDS", 0)
    results: list[object] = []

    def stand_still() -> None:
        with service.ledger.recorder.write() as tx:
            assert other.ledger.recorder.terminate_stalled_writers() == 1
            results.extend(other.single_requests.execute([asked()]))
            tx.execute("SELECT 1")

    with pytest.raises(TransactionRolledBack):
        stand_still()
    assert outcomes(results) == [CREATED]


def test_who_waits_for_the_lock_is_not_taken_for_one_who_stands_still(
    service: Service, other: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service.ledger.recorder.write():
        assert other.ledger.recorder.terminate_stalled_writers() == 0
    monkeypatch.setattr(locks, "STALLED_SECONDS", 0)
    assert other.ledger.recorder.terminate_stalled_writers() == 0


# Lost connections


def test_what_a_lost_connection_has_undone_is_done_again(service: Service, other: Service) -> None:
    losses = iter([True, True, False])

    @retry_transaction
    def work() -> int:
        with service.ledger.recorder.write() as tx:
            if next(losses):
                end_connection(other, tx)
            return int(tx.execute("SELECT 7 AS n").fetchone()["n"])

    assert work() == 7


def test_after_some_tries_it_is_told(service: Service, other: Service) -> None:
    tries = []

    @retry_transaction
    def work() -> None:
        with service.ledger.recorder.write() as tx:
            tries.append(1)
            end_connection(other, tx)
            tx.execute("SELECT 1")

    with pytest.raises(TransactionRolledBack):
        work()
    assert len(tries) == TRIES


def test_a_connection_that_was_lost_while_nobody_used_it_is_not_noticed(service: Service, other: Service) -> None:
    with service.ledger.recorder.write() as tx:
        pid = tx.execute("SELECT pg_backend_pid() AS pid").fetchone()["pid"]
    with other.ledger.recorder.read() as tx:
        tx.execute("SELECT pg_terminate_backend(?)", (pid,)).fetchall()
    assert outcomes([*service.single_requests.execute([asked()])]) == [CREATED]
