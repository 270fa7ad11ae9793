"""Who listens to PostgreSQL is told of each commit, and knows when nothing may be told any more."""

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
from tests.support.postgres.listeners import end, listeners

pytestmark = only_postgres


def commit(recorder: LedgerRecorder) -> None:
    recorder.insert_events([StoredEvent(uuid4(), 1, "OfferResumed", b"{}")])


def forever() -> bool:
    return False


@pytest.fixture
def recorder(settings: Settings) -> Iterator[LedgerRecorder]:
    with closing(LedgerRecorder(open_database(settings.database_location))) as found:
        found.prepare_schema(())
        yield found


@pytest.fixture
def news(settings: Settings) -> Iterator[CommitNotifications]:
    """Of another process."""
    database = open_database(settings.database_location)
    with closing(database), closing(database.notifications()) as listening:
        assert listening.wait(forever)
        yield listening


def test_a_commit_is_told_and_silence_is_not_taken_for_one(
    recorder: LedgerRecorder, news: CommitNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(recorder)
    commit(recorder)
    assert news.wait(forever)
    monkeypatch.setattr(notifications, "LOOKS_WHILE_LISTENING_SECONDS", 0.2)
    assert not news.wait(forever)


def test_what_was_rolled_back_is_not_told(
    recorder: LedgerRecorder, news: CommitNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "LOOKS_WHILE_LISTENING_SECONDS", 0.2)
    with suppress(ZeroDivisionError), recorder.write() as tx:
        recorder.insert_events([StoredEvent(uuid4(), 1, "OfferResumed", b"{}")], transaction=tx)
        raise ZeroDivisionError
    assert not news.wait(forever)


def test_whoever_waits_is_let_go_when_it_is_over(news: CommitNotifications, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "LOOKS_WHILE_LISTENING_SECONDS", 600)
    asked: list[bool] = []

    def is_over() -> bool:
        asked.append(True)
        return len(asked) > 1

    assert not news.wait(is_over)


def test_a_connection_that_is_lost_is_made_again_and_hears(
    settings: Settings, recorder: LedgerRecorder, news: CommitNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "LISTENS_AGAIN_AFTER_SECONDS", 0)
    lost = listeners(settings)
    end(settings, lost)
    assert news.wait(forever)  # something may have been told meanwhile
    assert news.wait(forever)
    assert len(listeners(settings)) == len(lost) == 1
    commit(recorder)
    assert news.wait(forever)


def test_who_has_missed_something_listens_no_more_for_a_while(
    settings: Settings, recorder: LedgerRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "LOOKS_WHILE_LISTENING_SECONDS", 0.2)
    with closing(PostgresNotifications(settings.database_url, f"not {settings.database_schema}")) as deaf:
        assert deaf.wait(forever)
        commit(recorder)
        assert not deaf.wait(forever)
        deaf.missed()
        assert [deaf.wait(forever) for _ in range(3)] == [True] * 3


def test_what_was_only_late_is_not_missed(
    settings: Settings, recorder: LedgerRecorder, news: CommitNotifications
) -> None:
    commit(recorder)
    news.missed()
    assert len(listeners(settings)) == 1


def test_where_nobody_answers_it_is_time_to_look_all_the_same() -> None:
    with closing(PostgresNotifications("postgresql://nobody@127.0.0.1:1/nothing", "nothing")) as news:
        assert [news.wait(forever) for _ in range(3)] == [True] * 3
