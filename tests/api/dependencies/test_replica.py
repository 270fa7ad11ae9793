"""Tests of reads from a replica, with a real hot standby: it answers what it has replayed, and the primary all other
reads."""

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
from api.http.request_state import SCOPE_KEY, RequestState
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
from projections.maintenance.verification import verify
from tests.support.calls.merchants import merchant_offer, put
from tests.support.calls.positions import event_paths, get_with_position, position_of, request_paths
from tests.support.calls.publishers import activate, problem
from tests.support.engine import IS_POSTGRES, postgres_url
from tests.support.harness import OPERATOR, Call, Caller, Clock, MakeToken
from tests.support.postgres.private_server import PrivatePostgres
from tests.support.processes.shell import by_hand, require_refusal, run_script
from tests.support.waiting import PATIENCE_SECONDS, wait_until

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
MAX_WAIT_SECONDS = 30.0

pytestmark = pytest.mark.skipif(not IS_POSTGRES, reason="Replicas exist only for PostgreSQL.")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # The folder contains Unix sockets, whose paths must be short.
    with tempfile.TemporaryDirectory(prefix="olpg") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def primary(folder: Path) -> Iterator[PrivatePostgres]:
    server = PrivatePostgres(folder / "data")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def standby(primary: PrivatePostgres, folder: Path) -> Iterator[PrivatePostgres]:
    with primary.standby(folder / "copy") as server:
        yield server


@pytest.fixture
def settings(primary: PrivatePostgres, standby: PrivatePostgres) -> Settings:
    return Settings(database_url=primary.url, replica_url=standby.url, database_schema=f"test_{uuid4().hex}")


@pytest.fixture(autouse=True)
def short_retry_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "REPLICA_RETRY_SECONDS", RETRY_SECONDS)


def replayed_head(standby: PrivatePostgres, settings: Settings) -> int:
    with suppress(psycopg.errors.UndefinedTable), psycopg.connect(standby.url) as connection:
        row = connection.execute(f"SELECT position FROM {settings.database_schema}.head").fetchone()
        return int(row[0]) if row else 0
    return 0


@contextmanager
def replay_paused_at(standby: PrivatePostgres, settings: Settings, position: int) -> Iterator[None]:
    """Waits until the standby has replayed `position`, and pauses its replay."""
    wait_until(lambda: replayed_head(standby, settings) == position)
    with psycopg.connect(standby.url, autocommit=True) as connection:
        connection.execute("SELECT pg_wal_replay_pause()")
        state = "SELECT pg_get_wal_replay_pause_state()"
        wait_until(lambda: connection.execute(state).fetchone() == ("paused",))
        yield
        with suppress(psycopg.OperationalError):  # after a crash, the replay resumes at the restart
            connection.execute("SELECT pg_wal_replay_resume()")


def wait_until_replica_answers(caller: Caller, seen: int) -> None:
    """Waits until a read with `seen` is answered at that position. The replay is paused, and the ledger has newer
    events."""
    wait_until(lambda: position_of(get_with_position(caller, OFFERS, seen)) == seen)


def change(partner: Caller) -> int:
    """Changes an offer. Returns the position of the change."""
    reply = put(partner, merchant_offer(offerName=uuid4().hex))
    assert reply.status_code == 202
    return position_of(reply)


def test_replica_answers_reads_with_positions_it_has_replayed(
    standby: PrivatePostgres, settings: Settings, partner: Caller, auditor: Caller, busy: str
) -> None:
    seen = position_of(get_with_position(auditor, OFFERS))
    with replay_paused_at(standby, settings, seen):
        newer = change(partner)
        wait_until_replica_answers(auditor, seen)
        for path in event_paths(auditor, busy):
            answers = [get_with_position(auditor, path, position) for position in (seen, newer, None)]
            assert [(answer.status_code, position_of(answer)) for answer in answers] == [
                (200, seen),
                (200, newer),
                (200, newer),
            ], path
        streams = [
            get_with_position(auditor, EVENTS, position, Accept="application/x-ndjson")
            for position in (seen, newer, None)
        ]
        assert [len(answer.text.splitlines()) for answer in streams] == [seen, newer, newer]
        assert problem(get_with_position(auditor, OFFERS, newer + 1))[2] == [f"/header/{LEDGER_POSITION}"]
    wait_until(lambda: replayed_head(standby, settings) == newer)
    assert get_with_position(auditor, OFFERS, newer).json() == get_with_position(auditor, OFFERS).json()


def test_replica_answers_past_states_it_has_replayed(
    standby: PrivatePostgres, settings: Settings, partner: Caller, auditor: Caller, clock: Clock
) -> None:
    change(partner)
    clock.move(seconds=10)
    seen = change(partner)
    ten = timedelta(seconds=10)
    with replay_paused_at(standby, settings, seen):
        clock.move(seconds=10)
        newer = change(partner)
        wait_until_replica_answers(auditor, seen)
        for path in PAST:
            replayed, newer_state = (
                get_with_position(auditor, path.format(time=utc_text(time), position=position), seen)
                for time, position in ((clock.now - ten, seen), (clock.now, newer))
            )
            assert (replayed.status_code, position_of(replayed)) == (200, seen), path
            assert (newer_state.status_code, position_of(newer_state)) == (200, newer), path


def test_primary_answers_next_pages_the_replica_lacks(
    standby: PrivatePostgres, settings: Settings, partner: Caller, publisher: Caller, auditor: Caller, busy: str
) -> None:
    seen = position_of(get_with_position(auditor, OFFERS))
    lists = (
        "/api/v1/audit/diff?fromPosition=0&limit=1",
        "/api/v1/redemption-windows?limit=1",
        f"{EVENTS}?limit={seen + 1}",
    )
    with replay_paused_at(standby, settings, seen):
        change(partner)
        assert put(partner, offer="another").status_code == 202
        assert activate(publisher, busy, "C-2").status_code == 201
        wait_until_replica_answers(auditor, seen)
        for path in lists:
            next_url = get_with_position(auditor, path).links["next"]["url"]
            expected, reply = get_with_position(auditor, next_url), get_with_position(auditor, next_url, seen)
            assert reply.json()["items"], path
            assert (reply.status_code, reply.json()) == (200, expected.json()), path
        rest = get_with_position(auditor, next_url, seen, Accept="application/x-ndjson")
        assert len(rest.text.splitlines()) == len(expected.json()["items"])


def test_primary_answers_request_results_without_new_positions(
    standby: PrivatePostgres, settings: Settings, partner: Caller, auditor: Caller, busy: str
) -> None:
    assert busy
    seen = position_of(get_with_position(auditor, OFFERS))
    with replay_paused_at(standby, settings, seen):
        unchanged = put(partner)  # no change, so no event
        assert position_of(unchanged) == seen
        newer = change(partner)
        wait_until_replica_answers(auditor, seen)
        for path in (unchanged.headers["Location"], *request_paths(auditor)):
            answer = get_with_position(auditor, path, seen)
            assert (answer.status_code, position_of(answer)) == (200, newer), path


def test_primary_answers_feeds_the_replica_may_lack(
    standby: PrivatePostgres, settings: Settings, auditor: Caller, offer: str, clock: Clock
) -> None:
    assert offer
    clock.move(days=1)
    seen = position_of(get_with_position(auditor, OFFERS))
    wait_until(lambda: replayed_head(standby, settings) == seen)
    assert (
        get_with_position(auditor, "/api/v1/partner/redemptions?date=2026-11-22&partner=tidepool", seen).status_code
        == 200
    )


def test_revoked_token_is_401_before_the_replica_replays_it(
    standby: PrivatePostgres, settings: Settings, service: Service, call: Call, token: MakeToken, auditor: Caller
) -> None:
    books = call(token(Role.AUDITOR, name="books"))
    seen = position_of(get_with_position(books, OFFERS))
    with replay_paused_at(standby, settings, seen):
        service.ledger.handle(RevokeToken("books"), OPERATOR)
        wait_until_replica_answers(auditor, seen)
        assert get_with_position(books, OFFERS, seen).status_code == 401


def test_reads_survive_a_crash_and_restart_of_the_replica(
    standby: PrivatePostgres,
    settings: Settings,
    partner: Caller,
    auditor: Caller,
    busy: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = position_of(get_with_position(auditor, OFFERS))
    paths = event_paths(auditor, busy)
    with replay_paused_at(standby, settings, seen):
        newer = change(partner)
        wait_until_replica_answers(auditor, seen)
        caplog.clear()
        standby.kill()
        started = time.monotonic()
        answers = [get_with_position(auditor, path, seen) for path in paths]
        assert {(answer.status_code, position_of(answer)) for answer in answers} == {(200, newer)}
        assert time.monotonic() - started < MAX_WAIT_SECONDS
        wait_until(lambda: "The replica can't be read" in caplog.text)
        standby.restart()
        wait_until(lambda: "The replica can be read again" in caplog.text)
    wait_until(lambda: replayed_head(standby, settings) == newer)
    with replay_paused_at(standby, settings, newer):
        change(partner)
        wait_until_replica_answers(auditor, newer)


@contextmanager
def monitored_replica(service: Service) -> Iterator[Replica]:
    monitored = replica_of(service)
    assert monitored
    with monitored.open():
        yield monitored


def test_unreachable_replica_is_logged_once(settings: Settings, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    unreachable = settings.model_copy(update={"replica_url": "postgresql://127.0.0.1:1/ledger"})
    with open_service(unreachable, clock) as service:
        require_replica_of(service)  # does not fail: the replica may start later
        with monitored_replica(service) as monitored:
            wait_until(lambda: "The replica can't be read" in caplog.text)
            time.sleep(3 * RETRY_SECONDS)
            assert not monitored.is_available
    assert caplog.text.count("The replica can't be read") == 1


def test_primary_repeats_reads_that_the_replica_cancels(
    primary: PrivatePostgres, standby: PrivatePostgres, settings: Settings, service: Service
) -> None:
    seen = service.ledger.recorder.max_notification_id() or 0
    request, started = Request({"type": "http", SCOPE_KEY: RequestState("t", "")}), list[RoutedReads]()

    def remove_row_versions_it_reads() -> None:
        with psycopg.connect(primary.url, autocommit=True) as connection:
            connection.execute(f"UPDATE {settings.database_schema}.head SET recorded_at = recorded_at")
            connection.execute(f"VACUUM {settings.database_schema}.head")

    @fall_back_to_primary
    def route(reads: RoutedReads) -> str:
        started.append(reads)
        with reads.read() as tx:
            if reads is by_primary:
                return "by the primary"
            remove_row_versions_it_reads()
            tx.execute(f"SELECT pg_sleep({PATIENCE_SECONDS})")
        return "by the standby"

    wait_until(lambda: replayed_head(standby, settings) == seen)
    with monitored_replica(service) as monitored:
        wait_until(lambda: monitored.is_available)
        by_primary = RoutedReads(request, service.ledger, service.ledger.read, seen)
        by_standby = RoutedReads(request, service.ledger, monitored.read, seen, fallback=by_primary)
        assert route(reads=by_standby) == "by the primary"
        assert monitored.is_available
    assert started == [by_standby, by_primary]


def test_replica_read_fails_if_a_rebuild_replaces_its_table(
    standby: PrivatePostgres, settings: Settings, service: Service, offer: str
) -> None:
    def count(tx: Cursor) -> int:
        return int(tx.execute("SELECT count(*) FROM inventory").fetchone()[0])

    def read_during_rebuild(monitored: Replica) -> None:
        with monitored.read() as tx:
            rebuild(service.ledger)
            wait_until(lambda: is_replayed(service, standby, settings))
            assert count(tx) == 1

    assert offer
    wait_until(lambda: replayed_head(standby, settings) == service.ledger.recorder.max_notification_id())
    with monitored_replica(service) as monitored:
        wait_until(lambda: monitored.is_available)
        with pytest.raises(StorageError):
            read_during_rebuild(monitored)
        with monitored.read() as tx:
            assert count(tx) == 1


def is_replayed(service: Service, standby: PrivatePostgres, settings: Settings) -> bool:
    """Returns True if the standby has replayed the replacement of the table `inventory`."""
    table_id = "SELECT to_regclass(%s)::oid::bigint"
    name = f"{settings.database_schema}.inventory"
    table_ids = []
    for url in (service.settings.database_url, standby.url):
        with psycopg.connect(url) as connection:
            table_ids.append(connection.execute(table_id, (name,)).fetchone())
    return table_ids[0] == table_ids[1]


def test_replica_read_does_not_wait_for_a_replayed_lock(
    primary: PrivatePostgres, standby: PrivatePostgres, settings: Settings, service: Service
) -> None:
    wait_until(lambda: replayed_head(standby, settings) == service.ledger.recorder.max_notification_id())
    with (
        monitored_replica(service) as monitored,
        psycopg.connect(primary.url) as lock_holder,
        psycopg.connect(standby.url) as observer,
    ):
        wait_until(lambda: monitored.is_available)
        lock_holder.execute(f"LOCK TABLE {settings.database_schema}.head IN ACCESS EXCLUSIVE MODE")
        lock_holder.execute("SELECT pg_switch_wal()")
        replayed_lock = "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock'"
        wait_until(lambda: observer.execute(replayed_lock).fetchone() is not None)
        started = time.monotonic()
        with pytest.raises(StorageError), monitored.read():
            pass
        assert time.monotonic() - started < MAX_WAIT_SECONDS


def test_replica_is_not_read_before_it_replays_a_migration(
    standby: PrivatePostgres,
    settings: Settings,
    partner: Caller,
    auditor: Caller,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = change(partner)
    with replay_paused_at(standby, settings, seen):
        newer = change(partner)
        wait_until_replica_answers(auditor, seen)
        with by_hand(settings) as tx:
            tx.execute("UPDATE schema_version SET version = version + 1")
        monkeypatch.setattr(schema, "SCHEMA_VERSION", schema.SCHEMA_VERSION + 1)
        require_replica_as_a_server(settings)
        answers = [get_with_position(auditor, OFFERS, seen) for _ in range(3)]
        assert [(answer.status_code, position_of(answer)) for answer in answers] == [(200, newer)] * 3
        wait_until(lambda: "The replica can't be read" in caplog.text)
    wait_until(lambda: "The replica can be read again" in caplog.text)
    with replay_paused_at(standby, settings, newer):
        change(partner)
        wait_until_replica_answers(auditor, newer)


def require_replica_as_a_server(settings: Settings) -> None:
    """Runs the check of a server's start."""
    with open_service(settings) as service:
        require_replica_of(service)


def test_promoted_replica_is_not_read(
    primary: PrivatePostgres, folder: Path, settings: Settings, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with primary.standby(folder / "promoted") as promoted:
        with_promoted = settings.model_copy(update={"replica_url": promoted.url})
        with open_service(with_promoted, clock) as service, monitored_replica(service) as monitored:
            service.ledger.handle(SetPartner("tidepool"), OPERATOR)
            wait_until(lambda: monitored.is_available)
            with monitored.read():
                pass
            with psycopg.connect(promoted.url, autocommit=True) as connection:
                assert connection.execute("SELECT pg_promote()").fetchone() == (True,)
            with pytest.raises(StorageError), monitored.read():
                pass
            wait_until(lambda: "The replica can't be read" in caplog.text)
            assert not monitored.is_available


def test_replica_of_another_ledger_is_refused_with_a_message(
    standby: PrivatePostgres, settings: Settings, service: Service, clock: Clock
) -> None:
    wait_until(lambda: replayed_head(standby, settings) == service.ledger.recorder.max_notification_id())
    require_replica_of(service)
    another = settings.model_copy(update={"database_url": postgres_url()})
    with open_service(another, clock) as other_service:
        other_service.ledger.handle(SetPartner("another"), OPERATOR)
    # Without a key, the server would first warn that it makes one.
    environment = {"OFFER_LEDGER_REPLICA_URL": standby.url, "OFFER_LEDGER_CONSOLE_KEY": "x" * 32}
    require_refusal(run_script(another, "serve", "--port", "0", env=environment), "copy of another ledger")
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {settings.database_schema} CASCADE")


def test_verification_of_a_standby_refers_to_its_primary(
    standby: PrivatePostgres, settings: Settings, partner: Caller
) -> None:
    position = change(partner)
    wait_until(lambda: replayed_head(standby, settings) >= position)
    copy = Settings(database_url=standby.url, database_schema=settings.database_schema)
    with open_service(copy, may_create=False) as service, pytest.raises(StorageError, match="verify its primary"):
        verify(service.ledger)
