"""Two hosts with one ledger on PostgreSQL.

A host that stalls at the worst time changes nothing when it continues. Limits, tokens and the rule of one active run
hold for both hosts together.
"""

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
    SECRET,
    children_of,
    find_runs,
    large_batch,
    position,
    prepare_ledger,
    send_and_forget,
)
from tests.support.processes.shell import RunningServer
from tests.support.waiting import wait_until

pytestmark = only_postgres

LEASE_SECONDS = 2.0
QUOTA, SENT = 40, 60
CALLERS = 8


class LedgerLocks:
    """Stalls a host while it holds a lock of the ledger."""

    def __init__(self, connection: psycopg.Connection[tuple[int]], schema: str) -> None:
        self._connection = connection
        self._schema = schema
        locks = Locks(schema)
        self._run, self._ledger = locks._scope_key(Scope(PARTNER, Channel.CUSTOM)), locks._ledger

    def stall_while_storing(self, host: "Host") -> AbstractContextManager[None]:
        """Stalls the host while it stores the events of a run that it starts in the block."""
        return self._stall(f'LOCK TABLE "{self._schema}".events IN SHARE MODE', host, self._run)

    def stall_while_sealing(self, host: "Host") -> AbstractContextManager[None]:
        """Stalls the host while it seals a commit and holds the ledger lock."""
        return self._stall(f'SELECT 1 FROM "{self._schema}".head FOR UPDATE', host, self._ledger)

    @contextmanager
    def _stall(self, statement: str, host: "Host", key: int) -> Iterator[None]:
        with psycopg.connect(self._connection.info.dsn) as other:
            other.execute(statement.encode())
            yield
            wait_until(lambda: self._holder_waits(key))
            host.stall()

    def _holder_waits(self, key: int) -> bool:
        """Returns whether a process holds this lock and waits for another one."""
        query = (
            "SELECT 1 FROM pg_locks l WHERE l.granted AND l.locktype = 'advisory' AND l.mode = 'ExclusiveLock'"
            " AND (l.classid::bigint << 32) | l.objid::bigint = %s"
            " AND EXISTS (SELECT 1 FROM pg_locks w WHERE w.pid = l.pid AND NOT w.granted)"
        )
        return self._connection.execute(query, (key,)).fetchone() is not None


class Host(RunningServer):
    """A server whose processes can be stalled together."""

    def __init__(self, settings: Settings, log: Path) -> None:
        super().__init__(settings, log)
        self._stopped: list[int] = []

    def stall(self) -> None:
        self._stopped = [self.process.pid, *children_of(self.process.pid)]
        self._signal_all(signal.SIGSTOP)

    def wake(self) -> None:
        self._signal_all(signal.SIGCONT)
        self._stopped = []

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self._stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    prepare_ledger(settings, monkeypatch, LEASE_SECONDS)
    return settings


@pytest.fixture
def hosts(settings: Settings, tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    with Host(settings, tmp_path / "one.log") as one, Host(settings, tmp_path / "other.log") as other:
        yield one, other


@pytest.fixture
def locks(settings: Settings) -> Iterator[LedgerLocks]:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        yield LedgerLocks(connection, settings.database_schema)


@pytest.fixture
def beside(settings: Settings) -> Iterator[Service]:
    with open_service(settings) as opened:
        yield opened


def is_completed(caller: Caller, request_id: str) -> bool:
    return [run["state"] for run in find_runs(caller, request_id)] == ["completed"]


def require_once(beside: Service, hosts: tuple[Host, Host], request_id: str, events: int) -> None:
    """Requires that the run was executed once, that `events` other events exist, and that both hosts serve."""
    for number, host in enumerate(hosts):
        assert send(host.call(SECRET), merchant_key(f"MO-after-{number}"), "Open a jar").status_code == 202
    caller = hosts[1].call(SECRET)
    assert is_completed(caller, request_id)
    assert position(caller) == OFFERS + events + len(hosts)
    assert verify(beside.ledger) == []


# Stalled hosts


def test_host_stalled_while_storing_a_run_cannot_finish_it(
    hosts: tuple[Host, Host], locks: LedgerLocks, beside: Service
) -> None:
    one, other = hosts
    request_id, sent = large_batch("stopped")
    replies: list[httpx2.Response] = []
    with locks.stall_while_storing(one):
        sending = send_and_forget(one.call(SECRET), sent, replies)
    caller = other.call(SECRET)
    wait_until(lambda: is_completed(caller, request_id))
    one.wake()
    sending.join()
    assert [reply.status_code for reply in replies] == [200]
    require_once(beside, hosts, request_id, 3)


def test_host_stalled_with_the_ledger_lock_loses_it(
    hosts: tuple[Host, Host], locks: LedgerLocks, beside: Service
) -> None:
    one, other = hosts
    request_id, sent = large_batch("sealing")
    replies: list[httpx2.Response] = []
    with locks.stall_while_sealing(one):
        sending = send_and_forget(one.call(SECRET), sent, replies)
    started = time.monotonic()
    caller = other.call(SECRET)
    assert send(caller, merchant_key("MO-meanwhile"), "Open a jar").status_code == 202
    assert time.monotonic() - started > STALLED_SECONDS - 1
    assert "stalled connections that held the ledger lock" in other.log
    wait_until(lambda: is_completed(caller, request_id))
    one.wake()
    sending.join()
    assert [reply.status_code for reply in replies] == [200]
    require_once(beside, hosts, request_id, 3 + 1)


# Rules that hold for both hosts


def require_one_active_run(hosts: tuple[Host, Host], beside: Service) -> None:
    request_id, sent = large_batch("the first")
    sending = send_and_forget(hosts[0].call(SECRET), sent)
    caller = hosts[1].call(SECRET)
    wait_until(lambda: bool(find_runs(caller, request_id)))
    second = body(batch("Insert", [item("TP-second")]))
    reply = caller.send(second)
    assert (reply.status_code, reply.json()["type"]) == (409, "run-in-progress")
    same = caller.send(sent)
    sending.join()
    assert same.status_code in {200, 202}
    wait_until(lambda: caller.send(second).status_code == 200)
    require_once(beside, hosts, request_id, 3 + 1)


def require_exact_quota(hosts: tuple[Host, Host], beside: Service) -> None:
    used = beside.single_requests.terms(PARTNER)[1].used
    beside.ledger.handle(SetPartner(PARTNER, rps=0, daily_quota=QUOTA + used), OPERATOR)
    callers = [hosts[number % 2].call(SECRET) for number in range(CALLERS)]

    def send_offer(number: int) -> int:
        return send(callers[number % CALLERS], merchant_key(f"MO-{number}"), "Open a jar").status_code

    with ThreadPoolExecutor(CALLERS) as threads:
        assert Counter(threads.map(send_offer, range(SENT))) == {202: QUOTA, 429: SENT - QUOTA}


def require_new_limits_at_once(hosts: tuple[Host, Host], beside: Service) -> None:
    for rps in (100, 50):
        beside.ledger.handle(SetPartner(PARTNER, rps=rps), OPERATOR)
        replies = [send(host.call(SECRET), merchant_key("MO-limits"), "Open a jar") for host in hosts]
        policies = [reply.headers["RateLimit-Policy"].split(", ")[0] for reply in replies]
        assert policies == [f'"rps";q={rps};w=1'] * 2


def require_immediate_token_changes(hosts: tuple[Host, Host], beside: Service) -> None:
    secret = uuid4().hex
    callers = [host.call(secret) for host in hosts]

    def statuses() -> list[int]:
        return [caller.get("/api/v1/offers").status_code for caller in callers]

    assert statuses() == [401, 401]
    beside.ledger.handle(CreateToken("books", Role.AUDITOR, None, digest_secret(secret), 0, None), OPERATOR)
    assert statuses() == [200, 200]
    beside.ledger.handle(RevokeToken("books"), OPERATOR)
    assert statuses() == [401, 401]


def test_rules_hold_for_both_hosts_together(hosts: tuple[Host, Host], beside: Service) -> None:
    # In one test, because starting two hosts takes long.
    require_one_active_run(hosts, beside)
    require_new_limits_at_once(hosts, beside)
    require_immediate_token_changes(hosts, beside)
    require_exact_quota(hosts, beside)
