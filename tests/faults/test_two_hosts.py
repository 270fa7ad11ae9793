"""Two hosts with one ledger on PostgreSQL: does one of them, stopped at the worst moment, change anything when it wakes? Is what
holds for one process true for both?"""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import httpx2
import psycopg
import pytest

from api.dependencies.authentication import digest_secret
from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.access.token import CreateToken, RevokeToken
from domain.store.database import STALLED_SECONDS
from domain.store.postgres.locks import Locks
from domain.values import Channel, Role, Scope
from projections.maintenance.verification import verify
from tests.support.engine import only_postgres
from tests.support.examples import PARTNER, batch, body, item
from tests.support.harness import OPERATOR, Caller
from tests.support.histories.single_requests import merchant_key, send
from tests.support.processes.fault_server import (
    OFFERS,
    PATIENCE_SECONDS,
    SECRET,
    children_of,
    found,
    large_batch,
    position,
    prepared_there,
    send_and_forget,
    until,
)
from tests.support.processes.shell import RunningServer

pytestmark = only_postgres

LEASE_SECONDS = 2.0
QUOTA, SENT = 40, 60
CALLERS = 8


class Locked:
    """Who holds what in the ledger, as PostgreSQL tells it; and how to stop somebody who does."""

    def __init__(self, connection: psycopg.Connection[tuple[int]], schema: str) -> None:
        self._connection = connection
        self._schema = schema
        locks = Locks(schema)
        self._run, self._ledger = locks._of(Scope(PARTNER, Channel.CUSTOM)), locks._ledger

    def short_of_its_events(self, host: "Host") -> AbstractContextManager[None]:
        """Whoever stores a run meanwhile gets no further; the host is stopped there."""
        return self._short_of(f'LOCK TABLE "{self._schema}".events IN SHARE MODE', host, self._run)

    def short_of_the_head(self, host: "Host") -> AbstractContextManager[None]:
        """The same for who gives a commit its place, and has the ledger's lock."""
        return self._short_of(f'SELECT 1 FROM "{self._schema}".head FOR UPDATE', host, self._ledger)

    @contextmanager
    def _short_of(self, statement: str, host: "Host", key: int) -> Iterator[None]:
        with psycopg.connect(self._connection.info.dsn) as other:
            other.execute(statement.encode())
            yield
            until(lambda: self._is_there_with(key))
            host.stop()

    def _is_there_with(self, key: int) -> bool:
        """Somebody has this lock, and waits for another one."""
        told = (
            "SELECT 1 FROM pg_locks l WHERE l.granted AND l.locktype = 'advisory' AND l.mode = 'ExclusiveLock'"
            " AND (l.classid::bigint << 32) | l.objid::bigint = %s"
            " AND EXISTS (SELECT 1 FROM pg_locks w WHERE w.pid = l.pid AND NOT w.granted)"
        )
        return self._connection.execute(told, (key,)).fetchone() is not None


class Host(RunningServer):
    """One whose processes stand still together."""

    def __init__(self, settings: Settings, log: Path) -> None:
        super().__init__(settings, log)
        self._stopped: list[int] = []

    def stop(self) -> None:
        self._stopped = [self.process.pid, *children_of(self.process.pid)]
        self._tell(signal.SIGSTOP)

    def wake(self) -> None:
        self._tell(signal.SIGCONT)
        self._stopped = []

    def kill(self) -> None:
        self._tell(signal.SIGKILL)
        super().kill()

    def _tell(self, number: signal.Signals) -> None:
        for pid in self._stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    prepared_there(settings, monkeypatch, LEASE_SECONDS)
    return settings


@pytest.fixture
def hosts(settings: Settings, tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    with Host(settings, tmp_path / "one.log") as one, Host(settings, tmp_path / "other.log") as other:
        yield one, other


@pytest.fixture
def locked(settings: Settings) -> Iterator[Locked]:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        yield Locked(connection, settings.database_schema)


@pytest.fixture
def beside(settings: Settings) -> Iterator[Service]:
    with open_service(settings) as opened:
        yield opened


def patient(host: Host) -> Caller:
    caller = host.call(SECRET)
    caller.http.timeout = PATIENCE_SECONDS
    return caller


def is_completed(caller: Caller, request_id: str) -> bool:
    return [run["state"] for run in found(caller, request_id)] == ["completed"]


def require_once(beside: Service, hosts: tuple[Host, Host], request_id: str, events: int) -> None:
    """The run of OFFERS offers, and so many events besides; and that both hosts serve."""
    for number, host in enumerate(hosts):
        assert send(patient(host), merchant_key(f"MO-after-{number}"), "Open a jar").status_code == 202
    caller = patient(hosts[1])
    assert is_completed(caller, request_id)
    assert position(caller) == OFFERS + events + len(hosts)
    assert verify(beside.ledger) == []


# Standing still


def test_a_host_that_stood_still_while_it_stored_a_run_can_t_end_it_when_it_wakes(
    hosts: tuple[Host, Host], locked: Locked, beside: Service
) -> None:
    one, other = hosts
    request_id, sent = large_batch("stopped")
    replies: list[httpx2.Response] = []
    with locked.short_of_its_events(one):
        sending = send_and_forget(one.call(SECRET), sent, replies)
    until(lambda: is_completed(patient(other), request_id))
    one.wake()
    sending.join()
    assert [reply.status_code for reply in replies] == [200]
    require_once(beside, hosts, request_id, 3)


def test_a_host_that_stands_still_with_the_ledgers_lock_loses_it_and_others_go_on(
    hosts: tuple[Host, Host], locked: Locked, beside: Service
) -> None:
    one, other = hosts
    request_id, sent = large_batch("sealing")
    replies: list[httpx2.Response] = []
    with locked.short_of_the_head(one):
        sending = send_and_forget(one.call(SECRET), sent, replies)
    began = time.monotonic()
    assert send(patient(other), merchant_key("MO-meanwhile"), "Open a jar").status_code == 202
    assert time.monotonic() - began > STALLED_SECONDS - 1
    assert "connections that stood still" in other.log
    until(lambda: is_completed(patient(other), request_id))
    one.wake()
    sending.join()
    assert [reply.status_code for reply in replies] == [200]
    require_once(beside, hosts, request_id, 3 + 1)


# What holds for both


def a_partner_has_one_active_run(hosts: tuple[Host, Host], beside: Service) -> None:
    request_id, sent = large_batch("the first")
    sending = send_and_forget(hosts[0].call(SECRET), sent)
    until(lambda: bool(found(patient(hosts[1]), request_id)))
    second = body(batch("Insert", [item("TP-second")]))
    reply = patient(hosts[1]).send(second)
    assert (reply.status_code, reply.json()["type"]) == (409, "run-in-progress")
    same = patient(hosts[1]).send(sent)
    sending.join()
    assert same.status_code in {200, 202}
    until(lambda: patient(hosts[1]).send(second).status_code == 200)
    require_once(beside, hosts, request_id, 3 + 1)


def a_quota_is_used_up_exactly(hosts: tuple[Host, Host], beside: Service) -> None:
    used = beside.single_requests.terms(PARTNER)[1].used
    beside.ledger.handle(SetPartner(PARTNER, rps=0, daily_quota=QUOTA + used), OPERATOR)
    callers = [patient(hosts[number % 2]) for number in range(CALLERS)]

    def ask(number: int) -> int:
        return send(callers[number % CALLERS], merchant_key(f"MO-{number}"), "Open a jar").status_code

    with ThreadPoolExecutor(CALLERS) as threads:
        assert Counter(threads.map(ask, range(SENT))) == {202: QUOTA, 429: SENT - QUOTA}


def a_partners_limits_hold_from_the_next_request_on(hosts: tuple[Host, Host], beside: Service) -> None:
    for rps in (100, 50):
        beside.ledger.handle(SetPartner(PARTNER, rps=rps), OPERATOR)
        replies = [send(patient(host), merchant_key("MO-limits"), "Open a jar") for host in hosts]
        told = [reply.headers["RateLimit-Policy"].split(", ")[0] for reply in replies]
        assert told == [f'"rps";q={rps};w=1'] * 2


def a_token_is_good_and_then_worthless_at_once(hosts: tuple[Host, Host], beside: Service) -> None:
    secret = uuid4().hex
    callers = [host.call(secret) for host in hosts]

    def answers() -> list[int]:
        return [caller.get("/api/v1/offers").status_code for caller in callers]

    assert answers() == [401, 401]
    beside.ledger.handle(CreateToken("books", Role.AUDITOR, None, digest_secret(secret), 0, None), OPERATOR)
    assert answers() == [200, 200]
    beside.ledger.handle(RevokeToken("books"), OPERATOR)
    assert answers() == [401, 401]


def test_what_holds_for_one_host_holds_for_both(hosts: tuple[Host, Host], beside: Service) -> None:
    # In one test, as it takes long to begin two hosts.
    a_partner_has_one_active_run(hosts, beside)
    a_partners_limits_hold_from_the_next_request_on(hosts, beside)
    a_token_is_good_and_then_worthless_at_once(hosts, beside)
    a_quota_is_used_up_exactly(hosts, beside)
