"""`offer-ledger serve` in its own process, and commands on the same ledger."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.console.rendering import OFFERS as CONSOLE_OFFERS
from api.health import PROGRAM
from api.settings import Settings
from api.wiring import create_ledger
from tests.support.calls.form_browser import FormBrowser
from tests.support.engine import only_postgres, only_sqlite
from tests.support.examples import PARTNER
from tests.support.processes.fault_server import command_of, worker_pids
from tests.support.processes.shell import (
    Run,
    RunningServer,
    WriteBatch,
    require_refusal,
    require_success,
    run_script,
    send,
)
from tests.support.waiting import wait_until

OFFERS = "/api/v1/offers"


def create_token(run: Run, *options: str) -> str:
    return require_success(run("tokens", "create", *options)).strip()


@pytest.fixture
def feed(partnered: Run) -> str:
    """The secret of a token of the partner."""
    return create_token(partnered, "--role", "partner", "--partner", PARTNER, "--name", "feed")


def test_server_on_a_new_database_is_ready(server: RunningServer) -> None:
    reply = server.call(None).get("/readyz").json()
    assert reply == {"status": "ready", "position": 0, "clock": {"state": "ok", "seconds": 0}, **PROGRAM}


def test_created_and_revoked_tokens_take_effect_at_the_next_request(run: Run, server: RunningServer) -> None:
    caller = server.call(create_token(run, "--role", "auditor", "--name", "books"))
    assert caller.get(OFFERS).status_code == 200
    require_success(run("tokens", "revoke", "books"))
    assert caller.get(OFFERS).status_code == 401


def test_limits_of_a_partner_apply_from_the_next_request(partnered: Run, server: RunningServer, feed: str) -> None:
    caller = server.call(feed)
    assert [send(caller, "Synchronize", "TP-1") for _ in range(2)] == [200, 200]
    require_success(partnered("partners", "set", PARTNER, "--synchronize-per-day", 1))
    assert send(caller, "Synchronize", "TP-1") == 429


def test_server_shows_imported_offers_at_once(
    partnered: Run, server: RunningServer, feed: str, write_batch: WriteBatch
) -> None:
    caller = server.call(feed)
    assert caller.get(OFFERS).json()["items"] == []
    require_success(partnered("import", write_batch("Insert", ["TP-1", "TP-2"]), "--partner", PARTNER))
    assert [offer["externalId"] for offer in caller.get(OFFERS).json()["items"]] == ["TP-1", "TP-2"]


def test_command_line_shows_offers_sent_to_the_server_at_once(partnered: Run, server: RunningServer, feed: str) -> None:
    assert send(server.call(feed), "Insert", "TP-1") == 200
    assert [offer["externalId"] for offer in partnered("inventory", "--json").json["items"]] == ["TP-1"]


def test_projections_can_be_rebuilt_while_a_server_is_running(partnered: Run, server: RunningServer, feed: str) -> None:
    caller = server.call(feed)
    assert send(caller, "Insert", "TP-1") == 200
    require_success(partnered("projections", "rebuild"))
    require_success(partnered("projections", "verify"))
    assert len(caller.get(OFFERS).json()["items"]) == 1


def test_acknowledged_batch_survives_the_death_of_the_server(
    partnered: Run, settings: Settings, feed: str, tmp_path: Path
) -> None:
    with RunningServer(settings, tmp_path / "first.log") as server:
        assert send(server.call(feed), "Insert", *(f"TP-{n}" for n in range(500))) == 200
        server.kill()
    with RunningServer(settings, tmp_path / "second.log") as server:
        listed = server.call(feed).get(OFFERS, limit=1000).json()["items"]
    assert {offer["externalId"] for offer in listed} == {f"TP-{n}" for n in range(500)}
    require_success(partnered("projections", "verify"))


def test_import_replays_a_batch_acknowledged_before_a_server_died(
    run: Run, settings: Settings, feed: str, tmp_path: Path, write_batch: WriteBatch
) -> None:
    file = write_batch("Insert", ["TP-1"])
    with RunningServer(settings, tmp_path / "serve.log") as server:
        answered = server.call(feed).send(file.read_bytes()).json()
        server.kill()
    assert run("import", file, "--partner", PARTNER, "--json").json == answered


@pytest.mark.parametrize("stop_signal", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM])
def test_server_exits_with_0_on_sigint_and_sigterm(
    run: Run, server: RunningServer, stop_signal: signal.Signals
) -> None:
    assert server.end(stop_signal) == 0
    assert "Traceback" not in server.log
    require_success(run("projections", "verify"))


def test_server_ends_open_event_streams_when_it_stops(run: Run, server: RunningServer) -> None:
    caller = server.call(create_token(run, "--role", "auditor", "--name", "books"))
    with caller.http.stream("GET", "/api/v1/audit/stream") as reply:
        lines = reply.iter_lines()
        next(lines)
        assert server.end(signal.SIGTERM) == 0
        # The server has ended the stream: a broken connection would raise an error here.
        assert [line for line in lines if line.startswith("data")] == []


@only_postgres
@pytest.mark.long
def test_server_processes_accept_the_sessions_of_each_other(run: Run, settings: Settings, tmp_path: Path) -> None:
    secret = create_token(run, "--role", "auditor", "--name", "books")
    with RunningServer(settings, tmp_path / "serve.log", "--workers", "2") as server:
        wait_until(lambda: server.log.count("startup complete") == 2)
        first, second = (pid for pid in worker_pids(server) if b"spawn_main" in command_of(pid))
        with paused(second):
            cookie = FormBrowser(server.call, secret).cookie
        with paused(first):
            browser = FormBrowser(server.call)
            browser.set_cookie(cookie)
            assert browser.get(CONSOLE_OFFERS).status_code == 200
        assert server.log.count("OFFER_LEDGER_CONSOLE_KEY is not set") == 1


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """Stops a process, so that the other one accepts all new connections."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_slow_reader_does_not_delay_the_stop_of_a_server(
    partnered: Run, server: RunningServer, write_batch: WriteBatch
) -> None:
    many = write_batch("Insert", [f"TP-{n}" for n in range(20_000)])
    require_success(partnered("import", many, "--partner", PARTNER))
    secret = create_token(partnered, "--role", "auditor", "--name", "books")
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as reader:
        request = (
            f"GET /api/v1/audit/stream?afterPosition=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n\r\n"
        )
        reader.sendall(request.encode())
        assert reader.recv(15) == b"HTTP/1.1 200 OK"
        assert server.end(signal.SIGTERM) == 0
    assert "Traceback" not in server.log


def test_port_in_use_is_a_failure(settings: Settings) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        ended = run_script(settings, "serve", "--port", str(port))
    assert ended.exit_code == 1
    assert ended.stderr.splitlines() == [
        f"Cannot listen on 127.0.0.1:{port}: Address already in use. Choose another --host or --port."
    ]
    assert not settings.database.exists()


def test_unknown_host_is_a_failure(settings: Settings) -> None:
    ended = run_script(settings, "serve", "--host", "nowhere.invalid")
    require_refusal(ended, "Cannot listen on nowhere.invalid:8000")


@only_sqlite
def test_installed_command_refuses_several_workers_on_sqlite(settings: Settings) -> None:
    ended = run_script(settings, "serve", "--workers", "2")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "PostgreSQL" in ended.stderr


def test_installed_command_refuses_an_unknown_partner(settings: Settings) -> None:
    create_ledger(settings)
    require_refusal(run_script(settings, "partners", "show", "nobody"), "nobody")


def test_installed_command_registers_and_lists_a_partner(settings: Settings) -> None:
    assert run_script(settings, "partners", "set", PARTNER, "--json").json["name"] == PARTNER
    assert run_script(settings, "partners", "list", "--json").json["items"][0]["name"] == PARTNER
