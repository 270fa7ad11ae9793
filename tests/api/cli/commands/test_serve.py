"""offer-ledger serve, in a process of its own, and the command line beside it."""

import signal
import socket
from pathlib import Path

import pytest

from api.settings import Settings
from tests.support.engine import only_sqlite
from tests.support.examples import PARTNER
from tests.support.processes.shell import (
    Run,
    RunningServer,
    WriteBatch,
    require_done,
    require_refusal,
    run_script,
    send,
)

OFFERS = "/api/v1/offers"


def create_token(run: Run, *of: str) -> str:
    return require_done(run("tokens", "create", *of)).strip()


@pytest.fixture
def feed(partnered: Run) -> str:
    """The secret of a partner's token."""
    return create_token(partnered, "--role", "partner", "--partner", PARTNER, "--name", "feed")


def test_a_server_on_a_new_database_is_ready(server: RunningServer) -> None:
    assert server.call(None).get("/readyz").json() == {"status": "ready", "position": 0}


def test_a_token_is_good_as_soon_as_it_is_created_and_worthless_as_soon_as_it_is_revoked(
    run: Run, server: RunningServer
) -> None:
    caller = server.call(create_token(run, "--role", "auditor", "--name", "books"))
    assert caller.get(OFFERS).status_code == 200
    require_done(run("tokens", "revoke", "books"))
    assert caller.get(OFFERS).status_code == 401


def test_a_partners_limits_hold_from_the_next_request_on(partnered: Run, server: RunningServer, feed: str) -> None:
    caller = server.call(feed)
    assert [send(caller, "Synchronize", "TP-1") for _ in range(2)] == [200, 200]
    require_done(partnered("partners", "set", PARTNER, "--synchronize-per-day", 1))
    assert send(caller, "Synchronize", "TP-1") == 429


def test_what_is_imported_beside_a_server_is_visible_at_once(
    partnered: Run, server: RunningServer, feed: str, write_batch: WriteBatch
) -> None:
    caller = server.call(feed)
    assert caller.get(OFFERS).json()["items"] == []
    require_done(partnered("import", write_batch("Insert", ["TP-1", "TP-2"]), "--partner", PARTNER))
    assert [offer["externalId"] for offer in caller.get(OFFERS).json()["items"]] == ["TP-1", "TP-2"]


def test_what_is_sent_to_a_server_is_visible_on_the_command_line_at_once(
    partnered: Run, server: RunningServer, feed: str
) -> None:
    assert send(server.call(feed), "Insert", "TP-1") == 200
    assert [offer["externalId"] for offer in partnered("inventory", "--json").json["items"]] == ["TP-1"]


def test_projections_can_be_rebuilt_and_verified_beside_a_server(
    partnered: Run, server: RunningServer, feed: str
) -> None:
    caller = server.call(feed)
    assert send(caller, "Insert", "TP-1") == 200
    require_done(partnered("projections", "rebuild"))
    require_done(partnered("projections", "verify"))
    assert len(caller.get(OFFERS).json()["items"]) == 1


def test_an_acknowledged_batch_survives_the_death_of_the_server(
    partnered: Run, settings: Settings, feed: str, tmp_path: Path
) -> None:
    with RunningServer(settings, tmp_path / "first.log") as server:
        assert send(server.call(feed), "Insert", *(f"TP-{n}" for n in range(500))) == 200
        server.kill()
    with RunningServer(settings, tmp_path / "second.log") as server:
        listed = server.call(feed).get(OFFERS, limit=1000).json()["items"]
    assert {offer["externalId"] for offer in listed} == {f"TP-{n}" for n in range(500)}
    require_done(partnered("projections", "verify"))


def test_a_batch_that_was_acknowledged_before_a_death_is_replayed_after_it(
    run: Run, settings: Settings, feed: str, tmp_path: Path, write_batch: WriteBatch
) -> None:
    file = write_batch("Insert", ["TP-1"])
    with RunningServer(settings, tmp_path / "serve.log") as server:
        answered = server.call(feed).send(file.read_bytes()).json()
        server.kill()
    assert run("import", file, "--partner", PARTNER, "--json").json == answered


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_server_ends_cleanly_when_it_is_asked_to(run: Run, server: RunningServer, by: signal.Signals) -> None:
    assert server.end(by) == 0
    assert "Traceback" not in server.log
    require_done(run("projections", "verify"))


def test_who_follows_the_ledger_is_let_go_when_the_server_ends(run: Run, server: RunningServer) -> None:
    caller = server.call(create_token(run, "--role", "auditor", "--name", "books"))
    with caller.http.stream("GET", "/api/v1/audit/stream") as reply:
        lines = reply.iter_lines()
        next(lines)
        assert server.end(signal.SIGTERM) == 0
        # To the end of the stream as its server has told it, not to a broken connection.
        assert [line for line in lines if line.startswith("data")] == []


def test_who_reads_slowly_keeps_no_server_from_its_end(
    partnered: Run, server: RunningServer, write_batch: WriteBatch
) -> None:
    many = write_batch("Insert", [f"TP-{n}" for n in range(20_000)])
    require_done(partnered("import", many, "--partner", PARTNER))
    secret = create_token(partnered, "--role", "auditor", "--name", "books")
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as reader:
        asked = (
            f"GET /api/v1/audit/stream?afterPosition=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n\r\n"
        )
        reader.sendall(asked.encode())
        assert reader.recv(15) == b"HTTP/1.1 200 OK"
        assert server.end(signal.SIGTERM) == 0
    assert "Traceback" not in server.log


def test_a_port_that_is_taken_is_a_failure(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run_script(settings, "serve", "--port", str(port))
    assert ended.exit_code == 1
    assert str(port) in ended.stderr
    assert "Traceback" not in ended.stderr


@only_sqlite
def test_several_workers_are_refused_by_the_installed_command(settings: Settings) -> None:
    ended = run_script(settings, "serve", "--workers", "2")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "PostgreSQL" in ended.stderr


def test_the_installed_command_refuses_what_it_cant_do(settings: Settings) -> None:
    require_refusal(run_script(settings, "partners", "show", "nobody"), "nobody")


def test_the_installed_command_does_what_it_is_told(settings: Settings) -> None:
    assert run_script(settings, "partners", "set", PARTNER, "--json").json["name"] == PARTNER
    assert run_script(settings, "partners", "list", "--json").json["items"][0]["name"] == PARTNER
