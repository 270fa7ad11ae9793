"""Locks between transactions on PostgreSQL, and recovery from stalled and lost connections."""

import threading
from collections.abc import Iterator

import pytest

from api.service import Service
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.ledgers.ledger import StorageError
from domain.ledgers.single_request_ledger import Busy
from domain.single_requests.group import RequestDecision
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
from tests.support.histories.runs import LEASE, accepted_run, plan, valid_item
from tests.support.histories.single_requests import merchant_key, put
from tests.support.waiting import PATIENCE_SECONDS

OTHER = "kelp"
CUSTOM, MERCHANT = Scope(PARTNER, Channel.CUSTOM), Scope(PARTNER, Channel.MERCHANT)
CREATED = (TraceOutcome.CREATED, 1)

pytestmark = pytest.mark.skipif(not IS_POSTGRES, reason="Needs PostgreSQL.")


@pytest.fixture
def other(service: Service, clock: Clock) -> Iterator[Service]:
    """Another process with the same ledger."""
    service.ledger.handle(SetPartner(OTHER), OPERATOR)
    with open_service(service.settings, clock) as other_service:
        yield other_service
        assert verify(other_service.ledger) == []


def outcomes(results: list[object]) -> list[object]:
    return [
        (result.trace.outcome, result.trace.version) if isinstance(result, RequestDecision) else result
        for result in results
    ]


def a_request(partner: str = PARTNER) -> SingleRequest:
    return put(merchant_key("MO-1", partner=partner))


def terminate_connection(service: Service, tx: Cursor) -> None:
    pid = tx.execute("SELECT pg_backend_pid() AS pid").fetchone()["pid"]
    with service.ledger.recorder.read() as beside:
        beside.execute("SELECT pg_terminate_backend(?)", (pid,)).fetchall()


# Waiting


def test_bulk_write_blocks_only_requests_of_its_scope(service: Service, other: Service) -> None:
    with service.ledger.recorder.bulk_write(MERCHANT):
        results = other.single_requests.execute([a_request(), a_request(OTHER)])
        assert outcomes([*results]) == [Busy(MERCHANT), CREATED]


def test_bulk_write_does_not_block_the_other_channel(service: Service, other: Service) -> None:
    with service.ledger.recorder.bulk_write(CUSTOM):
        assert outcomes([*other.single_requests.execute([a_request()])]) == [CREATED]


def test_waiting_requests_are_executed_after_the_bulk_write(service: Service, other: Service) -> None:
    results: list[object] = []
    with service.ledger.recorder.bulk_write(MERCHANT):
        waiting = threading.Thread(
            target=lambda: results.extend(other.single_requests.execute_after(MERCHANT, [a_request()])), daemon=True
        )
        waiting.start()
        waiting.join(0.3)
        assert not results
        # A waiting request blocks no other scope.
        assert outcomes([*service.single_requests.execute([a_request(OTHER)])]) == [CREATED]
    waiting.join()
    assert outcomes(results) == [CREATED]


def test_exclusive_write_waits_for_a_bulk_write(service: Service, other: Service) -> None:
    done = threading.Event()

    def write_exclusively() -> None:
        with other.ledger.recorder.exclusive_write():
            done.set()

    with service.ledger.recorder.bulk_write(CUSTOM):
        waiting = threading.Thread(target=write_exclusively, daemon=True)
        waiting.start()
        assert not done.wait(0.3)
        assert outcomes([*service.single_requests.execute([a_request()])]) == [CREATED]
    assert done.wait(PATIENCE_SECONDS)
    waiting.join()


def test_settings_change_waits_for_a_run_and_blocks_nothing(service: Service, other: Service) -> None:
    setting = threading.Thread(target=lambda: other.ledger.handle(SetPartner(PARTNER, rps=7), OPERATOR))
    with service.ledger.recorder.bulk_write(MERCHANT):
        setting.start()
        setting.join(0.5)
        assert setting.is_alive()
        assert outcomes([*service.single_requests.execute([a_request(OTHER)])]) == [CREATED]
    setting.join()
    assert other.single_requests.terms(PARTNER)[0].rps == 7


# Stalled connections


def test_stalled_bulk_write_is_rolled_back_after_a_takeover(service: Service, other: Service, clock: Clock) -> None:
    run = service.runs.claim(accepted_run(service.runs).run_id)
    taken_over = []

    def stall() -> None:
        with service.ledger.recorder.bulk_write(run.scope) as tx:
            tx.execute("INSERT INTO streams (stream_uid) VALUES (?)", (b"of a run that is being stored",))
            clock.move(seconds=LEASE.total_seconds() + 1)
            claimed = other.runs.claim(run.run_id)
            taken_over.append(other.runs.complete(claimed, plan(other.runs, claimed, [valid_item("TP-1")]), "digest"))
            tx.execute("SELECT 1")

    with pytest.raises(StorageError):
        stall()
    assert [completed.counts and completed.counts.created for completed in taken_over] == [1]
    with service.ledger.recorder.read() as tx:
        assert tx.execute("SELECT count(*) AS n FROM streams WHERE length(stream_uid) <> 16").fetchone()["n"] == 0


def test_stalled_holder_of_the_ledger_lock_is_terminated(
    service: Service, other: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "STALLED_SECONDS", 0)
    results: list[object] = []

    def stall() -> None:
        with service.ledger.recorder.write() as tx:
            assert other.ledger.recorder.terminate_stalled_writers() == 1
            results.extend(other.single_requests.execute([a_request()]))
            tx.execute("SELECT 1")

    with pytest.raises(TransactionRolledBack):
        stall()
    assert outcomes(results) == [CREATED]


def test_active_or_idle_connections_are_not_terminated(
    service: Service, other: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service.ledger.recorder.write():
        assert other.ledger.recorder.terminate_stalled_writers() == 0
    monkeypatch.setattr(locks, "STALLED_SECONDS", 0)
    assert other.ledger.recorder.terminate_stalled_writers() == 0


# Lost connections


def test_transaction_of_a_lost_connection_is_retried(service: Service, other: Service) -> None:
    losses = iter([True, True, False])

    @retry_transaction
    def work() -> int:
        with service.ledger.recorder.write() as tx:
            if next(losses):
                terminate_connection(other, tx)
            return int(tx.execute("SELECT 7 AS n").fetchone()["n"])

    assert work() == 7


def test_error_is_raised_after_the_last_retry(service: Service, other: Service) -> None:
    tries = []

    @retry_transaction
    def work() -> None:
        with service.ledger.recorder.write() as tx:
            tries.append(1)
            terminate_connection(other, tx)
            tx.execute("SELECT 1")

    with pytest.raises(TransactionRolledBack):
        work()
    assert len(tries) == TRIES


def test_connection_lost_while_idle_is_replaced(service: Service, other: Service) -> None:
    with service.ledger.recorder.write() as tx:
        pid = tx.execute("SELECT pg_backend_pid() AS pid").fetchone()["pid"]
    with other.ledger.recorder.read() as tx:
        tx.execute("SELECT pg_terminate_backend(?)", (pid,)).fetchall()
    assert outcomes([*service.single_requests.execute([a_request()])]) == [CREATED]
