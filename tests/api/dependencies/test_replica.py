"""What has been seen is read from a hot standby, a real one; what it can't answer, the primary does."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from fastapi import Request

from api.dependencies import replica
from api.dependencies.read_routing import RoutedReads, fall_back_to_primary
from api.dependencies.replica import Replica, replica_of, require_replica_of
from api.http.ledger_position import LEDGER_POSITION
from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.access.token import RevokeToken
from domain.ledgers.ledger import StorageError
from domain.store import schema
from domain.store.cursor import Cursor
from domain.values import Role, utc_text
from projections.maintenance.rebuild import rebuild
from tests.support.calls.merchants import merchant_offer, put
from tests.support.calls.positions import event_paths, get_with_position, position_of, request_paths
from tests.support.calls.publishers import activate, problem
from tests.support.engine import IS_POSTGRES, postgres_url
from tests.support.harness import OPERATOR, Call, Caller, Clock, MakeToken
from tests.support.postgres.private_server import PrivatePostgres
from tests.support.processes.fault_server import PATIENCE_SECONDS, until
from tests.support.processes.shell import by_hand, require_refusal, run_script

OFFERS, EVENTS = "/api/v1/offers", "/api/v1/audit/events"
PAST = (
    "/api/v1/offers?asOf={time}",
    "/api/v1/offers?asOfPosition={position}",
    "/api/v1/offers/counts?asOf={time}",
    "/api/v1/audit/events?to={time}",
    "/api/v1/audit/events?afterPosition={position}",
    "/api/v1/audit/diff?from={time}",
    "/api/v1/audit/diff?fromPosition=0&toPosition={position}",
    "/api/v1/audit/changed-verdicts?from=1970-01-01T00:00:00Z&to={time}",
    "/api/v1/redemption-windows?at={time}",
)
RETRY_SECONDS = 0.1
NOT_LONG_SECONDS = 8.0

pytestmark = pytest.mark.skipif(not IS_POSTGRES, reason="It is about PostgreSQL.")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # Sockets are in it, whose paths must be short.
    with tempfile.TemporaryDirectory(prefix="olpg") as found:
        yield Path(found)


@pytest.fixture(scope="module")
def primary(folder: Path) -> Iterator[PrivatePostgres]:
    found = PrivatePostgres(folder / "data")
    yield found
    found.stop()


@pytest.fixture(scope="module")
def standby(primary: PrivatePostgres, folder: Path) -> Iterator[PrivatePostgres]:
    with primary.standby(folder / "copy") as found:
        yield found


@pytest.fixture
def settings(primary: PrivatePostgres, standby: PrivatePostgres) -> Settings:
    return Settings(database_url=primary.url, replica_url=standby.url, database_schema=f"test_{uuid4().hex}")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "REPLICA_RETRY_SECONDS", RETRY_SECONDS)


def head_there(standby: PrivatePostgres, settings: Settings) -> int:
    with suppress(psycopg.errors.UndefinedTable), psycopg.connect(standby.url) as connection:
        row = connection.execute(f"SELECT position FROM {settings.database_schema}.head").fetchone()
        return int(row[0]) if row else 0
    return 0


@contextmanager
def standing_still(standby: PrivatePostgres, settings: Settings, position: int) -> Iterator[None]:
    """It has replayed up to there, and does not go on."""
    until(lambda: head_there(standby, settings) == position)
    with psycopg.connect(standby.url, autocommit=True) as connection:
        connection.execute("SELECT pg_wal_replay_pause()")
        state = "SELECT pg_get_wal_replay_pause_state()"
        until(lambda: connection.execute(state).fetchone() == ("paused",))
        yield
        with suppress(psycopg.OperationalError):  # one that has died goes on when it comes back
            connection.execute("SELECT pg_wal_replay_resume()")


def until_answered_by_it(caller: Caller, seen: int) -> None:
    """It stands still there, and the ledger has grown."""
    until(lambda: position_of(get_with_position(caller, OFFERS, seen)) == seen)


def change(partner: Caller) -> int:
    """The position at which it can be seen."""
    reply = put(partner, merchant_offer(offerName=uuid4().hex))
    assert reply.status_code == 202
    return position_of(reply)


def test_what_a_caller_has_seen_is_read_from_the_standby_and_all_else_from_the_primary(
    standby: PrivatePostgres, settings: Settings, partner: Caller, auditor: Caller, busy: str
) -> None:
    seen = position_of(get_with_position(auditor, OFFERS))
    with standing_still(standby, settings, seen):
        newer = change(partner)
        until_answered_by_it(auditor, seen)
        for path in event_paths(auditor, busy):
            answers = [get_with_position(auditor, path, position) for position in (seen, newer, None)]
            assert [(answer.status_code, position_of(answer)) for answer in answers] == [
                (200, seen),
                (200, newer),
                (200, newer),
            ], path
        long = [
            get_with_position(auditor, EVENTS, position, Accept="application/x-ndjson")
            for position in (seen, newer, None)
        ]
        assert [len(answer.text.splitlines()) for answer in long] == [seen, newer, newer]
        assert problem(get_with_position(auditor, OFFERS, newer + 1))[2] == [f"/header/{LEDGER_POSITION}"]
    until(lambda: head_there(standby, settings) == newer)
    assert get_with_position(auditor, OFFERS, newer).json() == get_with_position(auditor, OFFERS).json()


def test_the_past_up_to_where_the_standby_has_it_is_read_there_and_what_may_be_longer_from_the_primary(
    standby: PrivatePostgres, settings: Settings, partner: Caller, auditor: Caller, clock: Clock
) -> None:
    change(partner)
    clock.move(seconds=10)
    seen = change(partner)
    ten = timedelta(seconds=10)
    with standing_still(standby, settings, seen):
        clock.move(seconds=10)
        newer = change(partner)
        until_answered_by_it(auditor, seen)
        for path in PAST:
            there, beyond = (
                get_with_position(auditor, path.format(time=utc_text(time), position=position), seen)
                for time, position in ((clock.now - ten, seen), (clock.now, newer))
            )
            assert (there.status_code, position_of(there)) == (200, seen), path
            assert (beyond.status_code, position_of(beyond)) == (200, newer), path


def test_the_next_page_of_what_the_standby_does_not_have_yet_is_read_from_the_primary(
    standby: PrivatePostgres, settings: Settings, partner: Caller, publisher: Caller, auditor: Caller, busy: str
) -> None:
    seen = position_of(get_with_position(auditor, OFFERS))
    lists = (
        "/api/v1/audit/diff?fromPosition=0&limit=1",
        "/api/v1/redemption-windows?limit=1",
        f"{EVENTS}?limit={seen + 1}",
    )
    with standing_still(standby, settings, seen):
        change(partner)
        assert put(partner, offer="another").status_code == 202
        assert activate(publisher, busy, "C-2").status_code == 201
        until_answered_by_it(auditor, seen)
        for path in lists:
            following = get_with_position(auditor, path).links["next"]["url"]
            expected, found = get_with_position(auditor, following), get_with_position(auditor, following, seen)
            assert found.json()["items"], path
            assert (found.status_code, found.json()) == (200, expected.json()), path
        rest = get_with_position(auditor, following, seen, Accept="application/x-ndjson")
        assert len(rest.text.splitlines()) == len(expected.json()["items"])


def test_what_became_of_a_request_is_told_by_the_primary_for_it_changes_without_a_new_position(
    standby: PrivatePostgres, settings: Settings, partner: Caller, auditor: Caller, busy: str
) -> None:
    assert busy
    seen = position_of(get_with_position(auditor, OFFERS))
    with standing_still(standby, settings, seen):
        same = put(partner)  # it is so already
        assert position_of(same) == seen
        newer = change(partner)
        until_answered_by_it(auditor, seen)
        for path in (same.headers["Location"], *request_paths(auditor)):
            answer = get_with_position(auditor, path, seen)
            assert (answer.status_code, position_of(answer)) == (200, newer), path


def test_a_feed_that_may_still_grow_there_is_read_from_the_primary(
    standby: PrivatePostgres, settings: Settings, auditor: Caller, offer: str, clock: Clock
) -> None:
    assert offer
    clock.move(days=1)
    seen = position_of(get_with_position(auditor, OFFERS))
    until(lambda: head_there(standby, settings) == seen)
    assert (
        get_with_position(auditor, "/api/v1/partner/redemptions?date=2026-11-22&partner=tidepool", seen).status_code
        == 200
    )


def test_a_token_that_is_revoked_is_worthless_though_the_standby_does_not_know(
    standby: PrivatePostgres, settings: Settings, service: Service, call: Call, token: MakeToken, auditor: Caller
) -> None:
    books = call(token(Role.AUDITOR, name="books"))
    seen = position_of(get_with_position(books, OFFERS))
    with standing_still(standby, settings, seen):
        service.ledger.handle(RevokeToken("books"), OPERATOR)
        until_answered_by_it(auditor, seen)
        assert get_with_position(books, OFFERS, seen).status_code == 401


def test_when_the_standby_dies_nobody_is_refused_or_waits_long_and_it_is_read_again_when_it_is_back(
    standby: PrivatePostgres,
    settings: Settings,
    partner: Caller,
    auditor: Caller,
    busy: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = position_of(get_with_position(auditor, OFFERS))
    paths = event_paths(auditor, busy)
    with standing_still(standby, settings, seen):
        newer = change(partner)
        until_answered_by_it(auditor, seen)
        caplog.clear()
        standby.kill()
        began = time.monotonic()
        answers = [get_with_position(auditor, path, seen) for path in paths]
        assert {(answer.status_code, position_of(answer)) for answer in answers} == {(200, newer)}
        assert time.monotonic() - began < NOT_LONG_SECONDS
        until(lambda: "The standby can't be read" in caplog.text)
        standby.restart()
        until(lambda: "The standby can be read again" in caplog.text)
    until(lambda: head_there(standby, settings) == newer)
    with standing_still(standby, settings, newer):
        change(partner)
        until_answered_by_it(auditor, newer)


@contextmanager
def looked_after(service: Service) -> Iterator[Replica]:
    found = replica_of(service)
    assert found
    with found.open():
        yield found


def test_a_standby_that_has_never_been_there_is_told_of_once(
    settings: Settings, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = settings.model_copy(update={"replica_url": "postgresql://127.0.0.1:1/ledger"})
    with open_service(nowhere, clock) as service:
        require_replica_of(service)  # it may come later
        with looked_after(service) as found:
            until(lambda: "The standby can't be read" in caplog.text)
            time.sleep(3 * RETRY_SECONDS)
            assert not found.is_available
    assert caplog.text.count("The standby can't be read") == 1


def test_what_the_standby_breaks_off_is_answered_by_the_primary_from_the_start(
    primary: PrivatePostgres, standby: PrivatePostgres, settings: Settings, service: Service
) -> None:
    seen = service.ledger.recorder.max_notification_id() or 0
    request, begun = Request({"type": "http", "state": {}}), list[RoutedReads]()

    def do_away_with_what_it_looks_at() -> None:
        with psycopg.connect(primary.url, autocommit=True) as connection:
            connection.execute(f"UPDATE {settings.database_schema}.head SET recorded_at = recorded_at")
            connection.execute(f"VACUUM {settings.database_schema}.head")

    @fall_back_to_primary
    def route(reads: RoutedReads) -> str:
        begun.append(reads)
        with reads.read() as tx:
            if reads is by_primary:
                return "by the primary"
            do_away_with_what_it_looks_at()
            tx.execute(f"SELECT pg_sleep({PATIENCE_SECONDS})")
        return "by the standby"

    until(lambda: head_there(standby, settings) == seen)
    with looked_after(service) as found:
        until(lambda: found.is_available)
        by_primary = RoutedReads(request, service.ledger, service.ledger.read, seen)
        by_standby = RoutedReads(request, service.ledger, found.read, seen, fallback=by_primary)
        assert route(reads=by_standby) == "by the primary"
        assert found.is_available
    assert begun == [by_standby, by_primary]


def test_what_a_rebuild_has_put_in_place_since_is_not_found_by_who_has_begun_to_read_there(
    standby: PrivatePostgres, settings: Settings, service: Service, offer: str
) -> None:
    def count(tx: Cursor) -> int:
        return int(tx.execute("SELECT count(*) FROM inventory").fetchone()[0])

    def read_after_a_rebuild(found: Replica) -> None:
        with found.read() as tx:
            rebuild(service.ledger)
            until(lambda: is_replayed(service, standby, settings))
            assert count(tx) == 1

    assert offer
    until(lambda: head_there(standby, settings) == service.ledger.recorder.max_notification_id())
    with looked_after(service) as found:
        until(lambda: found.is_available)
        with pytest.raises(StorageError):
            read_after_a_rebuild(found)
        with found.read() as tx:
            assert count(tx) == 1


def is_replayed(service: Service, standby: PrivatePostgres, settings: Settings) -> bool:
    """Which table the inventory is has been told to the standby."""
    told = "SELECT to_regclass(%s)::oid::bigint"
    name = f"{settings.database_schema}.inventory"
    found = []
    for url in (service.settings.database_url, standby.url):
        with psycopg.connect(url) as connection:
            found.append(connection.execute(told, (name,)).fetchone())
    return found[0] == found[1]


def test_nobody_waits_long_for_a_table_that_is_being_taken_away_there(
    primary: PrivatePostgres, standby: PrivatePostgres, settings: Settings, service: Service
) -> None:
    until(lambda: head_there(standby, settings) == service.ledger.recorder.max_notification_id())
    with looked_after(service) as found, psycopg.connect(primary.url) as losing, psycopg.connect(standby.url) as there:
        until(lambda: found.is_available)
        losing.execute(f"LOCK TABLE {settings.database_schema}.head IN ACCESS EXCLUSIVE MODE")
        losing.execute("SELECT pg_switch_wal()")
        told = "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock'"
        until(lambda: there.execute(told).fetchone() is not None)
        began = time.monotonic()
        with pytest.raises(StorageError), found.read():
            pass
        assert time.monotonic() - began < NOT_LONG_SECONDS


def test_a_standby_that_has_not_come_to_a_migration_yet_is_not_read_until_it_has(
    standby: PrivatePostgres,
    settings: Settings,
    partner: Caller,
    auditor: Caller,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = change(partner)
    with standing_still(standby, settings, seen):
        newer = change(partner)
        until_answered_by_it(auditor, seen)
        with by_hand(settings) as tx:
            tx.execute("UPDATE schema_version SET version = version + 1")
        monkeypatch.setattr(schema, "SCHEMA_VERSION", schema.SCHEMA_VERSION + 1)
        require_its_standby_of(settings)
        answers = [get_with_position(auditor, OFFERS, seen) for _ in range(3)]
        assert [(answer.status_code, position_of(answer)) for answer in answers] == [(200, newer)] * 3
        until(lambda: "The standby can't be read" in caplog.text)
    until(lambda: "The standby can be read again" in caplog.text)
    with standing_still(standby, settings, newer):
        change(partner)
        until_answered_by_it(auditor, newer)


def require_its_standby_of(settings: Settings) -> None:
    """A server begins."""
    with open_service(settings) as service:
        require_replica_of(service)


def test_a_standby_that_has_been_promoted_is_not_read_any_more(
    primary: PrivatePostgres, folder: Path, settings: Settings, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with primary.standby(folder / "promoted") as promoted:
        its = settings.model_copy(update={"replica_url": promoted.url})
        with open_service(its, clock) as service, looked_after(service) as found:
            service.ledger.handle(SetPartner("tidepool"), OPERATOR)
            until(lambda: found.is_available)
            with found.read():
                pass
            with psycopg.connect(promoted.url, autocommit=True) as connection:
                assert connection.execute("SELECT pg_promote()").fetchone() == (True,)
            with pytest.raises(StorageError), found.read():
                pass
            until(lambda: "The standby can't be read" in caplog.text)
            assert not found.is_available


def test_a_copy_of_another_ledger_is_refused_in_a_sentence(
    standby: PrivatePostgres, settings: Settings, service: Service, clock: Clock
) -> None:
    until(lambda: head_there(standby, settings) == service.ledger.recorder.max_notification_id())
    require_replica_of(service)
    another = settings.model_copy(update={"database_url": postgres_url()})
    with open_service(another, clock) as opened:
        opened.ledger.handle(SetPartner("another"), OPERATOR)
    told = {"OFFER_LEDGER_REPLICA_URL": standby.url}
    require_refusal(run_script(another, "serve", "--port", "0", env=told), "copy of another ledger")
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {settings.database_schema} CASCADE")
