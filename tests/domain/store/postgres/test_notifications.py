"""Listeners on PostgreSQL are notified of commits, and fall back to polling if notifications do not arrive."""

from collections.abc import Iterator
from contextlib import closing, suppress
from uuid import uuid4

import pytest
from eventsourcing.persistence import StoredEvent

from api.settings import Settings
from domain.store.database import CommitNotifications
from domain.store.factory import open_database
from domain.store.postgres import notifications
from domain.store.postgres.notifications import PostgresNotifications
from domain.store.recorder import LedgerRecorder
from tests.support.engine import only_postgres
from tests.support.postgres.listeners import listeners, terminate
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = only_postgres


def commit(recorder: LedgerRecorder) -> None:
    recorder.insert_events([StoredEvent(uuid4(), 1, "OfferResumed", b"{}")])


def forever() -> bool:
    return False


@pytest.fixture
def recorder(settings: Settings) -> Iterator[LedgerRecorder]:
    with closing(LedgerRecorder(open_database(settings.database_location))) as recorder:
        recorder.prepare_schema(())
        yield recorder


@pytest.fixture
def listener(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommitNotifications]:
    """Notifications of another process."""
    monkeypatch.setattr(notifications, "LISTEN_TIMEOUT_SECONDS", PATIENCE_SECONDS)
    database = open_database(settings.database_location)
    with closing(database), closing(database.notifications()) as notifications_there:
        assert notifications_there.wait(forever)
        yield notifications_there


def test_listener_is_notified_of_commits_only(
    recorder: LedgerRecorder, listener: CommitNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(recorder)
    commit(recorder)
    assert listener.wait(forever)
    monkeypatch.setattr(notifications, "LISTEN_TIMEOUT_SECONDS", 0.2)
    assert not listener.wait(forever)


def test_rolled_back_transaction_is_not_notified(
    recorder: LedgerRecorder, listener: CommitNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "LISTEN_TIMEOUT_SECONDS", 0.2)
    with suppress(ZeroDivisionError), recorder.write() as tx:
        recorder.insert_events([StoredEvent(uuid4(), 1, "OfferResumed", b"{}")], transaction=tx)
        raise ZeroDivisionError
    assert not listener.wait(forever)


def test_wait_returns_when_it_is_over(listener: CommitNotifications, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "LISTEN_TIMEOUT_SECONDS", 600)
    calls: list[bool] = []

    def is_over() -> bool:
        calls.append(True)
        return len(calls) > 1

    assert not listener.wait(is_over)


def test_lost_connection_is_replaced_and_notified(
    settings: Settings, recorder: LedgerRecorder, listener: CommitNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "RELISTEN_DELAY_SECONDS", 0)
    lost = listeners(settings)
    terminate(settings, lost)
    assert listener.wait(forever)  # a notification may have been lost
    assert listener.wait(forever)
    assert len(listeners(settings)) == len(lost) == 1
    commit(recorder)
    assert listener.wait(forever)


def test_listener_polls_after_a_missed_notification(
    settings: Settings, recorder: LedgerRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "LISTEN_TIMEOUT_SECONDS", 0.2)
    with closing(PostgresNotifications(settings.database_url, f"not {settings.database_schema}")) as deaf:
        assert deaf.wait(forever)
        commit(recorder)
        assert not deaf.wait(forever)
        deaf.report_missed()
        assert [deaf.wait(forever) for _ in range(3)] == [True] * 3


def test_late_notification_is_not_missed(
    settings: Settings, recorder: LedgerRecorder, listener: CommitNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "NOTIFY_TIMEOUT_SECONDS", PATIENCE_SECONDS)
    commit(recorder)
    listener.report_missed()
    assert len(listeners(settings)) == 1


def test_listener_polls_if_the_server_is_unreachable() -> None:
    with closing(PostgresNotifications("postgresql://nobody@127.0.0.1:1/nothing", "nothing")) as listener:
        assert [listener.wait(forever) for _ in range(3)] == [True] * 3
