"""Oldest supported version of PostgreSQL. `make test-long` runs all tests on it."""

import pytest
from eventsourcing.persistence import OperationalError

from api.settings import Settings
from api.wiring import open_service
from domain.store.postgres import connections
from domain.store.postgres.connections import OLDEST_POSTGRES
from projections.maintenance.rebuild import rebuild
from projections.maintenance.verification import verify
from tests.support.harness import Clock
from tests.support.histories.full_ledger import record_everything
from tests.support.table_contents import change_by_hand


def test_oldest_postgresql_finds_and_repairs_a_difference(oldest: Settings) -> None:
    clock = Clock()
    with open_service(oldest, clock) as service:
        record_everything(service, clock)
        assert verify(service.ledger) == []
        change_by_hand(service.ledger, "UPDATE inventory SET status = 'deleted' WHERE external_id = 'TP-1'")
        assert len(verify(service.ledger)) == 1
        assert len(rebuild(service.ledger).differences) == 1
        assert verify(service.ledger) == []


def test_older_postgresql_is_refused_in_one_sentence(oldest: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "OLDEST_POSTGRES", OLDEST_POSTGRES + 1)
    with pytest.raises(OperationalError) as refusal, open_service(oldest, Clock()):
        pass
    assert str(refusal.value) == "The server is PostgreSQL 15; a ledger needs PostgreSQL 16 or newer"
