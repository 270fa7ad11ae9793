"""Is a body that is too large refused before it does harm, however small it looks? (413; RFC 9110.)"""

import gzip
import http.client
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx2
import pytest

from api.http.paths import BATCH_PATH
from api.http.problems import MEDIA_TYPE
from api.service import Service
from api.settings import Settings
from domain.store.records.compression import pack
from tests.support.examples import batch, body, item
from tests.support.harness import Caller, MakeToken
from tests.support.processes.shell import RunningServer

MIB = 1024 * 1024
BOMB_BYTES = 300 * MIB
SMALL_LIMIT = 5_000
MEMORY_ALLOWED = 64 * MIB
"""For what passes through: many times the largest pieces, a small part of what a bomb holds."""

small_limit = pytest.mark.parametrize("settings", [{"max_body_bytes": SMALL_LIMIT}], indirect=True)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", **getattr(request, "param", {}))


def spaces(size: int) -> Iterator[bytes]:
    for _ in range(size // MIB):
        yield b" " * MIB


def gzip_bomb(size: int) -> bytes:
    coder = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    return b"".join(coder.compress(piece) for piece in spaces(size)) + coder.flush()


def zstd_bomb(size: int) -> bytes:
    return pack(b" " * size)


CODINGS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": pack}
BOMBS = {"gzip": gzip_bomb, "zstd": zstd_bomb}
either = pytest.mark.parametrize("coding", BOMBS)


def stream(caller: Caller, pieces: Iterable[bytes], **headers: str) -> httpx2.Response:
    """Sends a body in chunks, without a Content-Length."""
    given = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.http.post(BATCH_PATH, content=iter(pieces), headers=given)


def fitting(size: int) -> bytes:
    """A batch of exactly that many bytes."""
    return body(batch("Insert", [item()])).ljust(size)


def assert_too_large(reply: httpx2.Response) -> None:
    problem = reply.json()
    assert (reply.status_code, problem["type"]) == (413, "content-too-large")
    assert reply.headers["Content-Type"] == MEDIA_TYPE
    assert (problem["isSuccessful"], problem["messages"], problem["data"]) == (False, [problem["detail"]], None)


# Plain bodies


@small_limit
def test_a_body_may_be_as_large_as_the_limit(partner: Caller) -> None:
    assert partner.send(fitting(SMALL_LIMIT)).status_code == 200
    assert stream(partner, [fitting(SMALL_LIMIT)]).status_code == 200


@small_limit
def test_a_body_of_one_byte_more_is_refused(partner: Caller) -> None:
    assert_too_large(partner.send(fitting(SMALL_LIMIT + 1)))
    assert_too_large(stream(partner, [fitting(SMALL_LIMIT), b" "]))


@small_limit
def test_a_body_that_is_said_to_be_too_large_is_refused_unread(partner: Caller, token: MakeToken) -> None:
    secret = token(name="another token")
    connection = http.client.HTTPConnection(partner.http.base_url.host, partner.http.base_url.port, timeout=30)
    connection.putrequest("POST", BATCH_PATH)
    for name, value in {
        "Authorization": f"ApiToken {secret}",
        "Content-Type": "application/json",
        "Content-Length": str(SMALL_LIMIT + 1),
    }.items():
        connection.putheader(name, value)
    connection.endheaders()
    reply = connection.getresponse()
    assert (reply.status, reply.headers["Connection"]) == (413, "close")
    connection.close()


@small_limit
def test_a_caller_whose_body_was_too_large_may_go_on(partner: Caller) -> None:
    assert_too_large(partner.send(fitting(SMALL_LIMIT + 1)))
    assert partner.send(fitting(SMALL_LIMIT)).status_code == 200


@pytest.mark.parametrize("settings", [{"max_body_bytes": 6 * MIB}], indirect=True)
def test_a_large_body_that_is_refused_leaves_nothing_behind(partner: Caller, service: Service) -> None:
    assert_too_large(stream(partner, spaces(7 * MIB)))
    with service.ledger.recorder.read() as tx:
        assert tx.execute("SELECT count(*) AS chunks FROM run_bodies").fetchone()["chunks"] == 0
    assert partner.get("/api/v1/runs").json()["items"] == []


# Compressed bodies


@small_limit
@either
def test_what_counts_is_the_size_after_decompression(partner: Caller, coding: str) -> None:
    encode = CODINGS[coding]
    assert partner.send(encode(fitting(SMALL_LIMIT)), Content_Encoding=coding).status_code == 200
    assert_too_large(partner.send(encode(fitting(SMALL_LIMIT + 1)), Content_Encoding=coding))


@small_limit
@either
def test_and_the_size_before_it_too(partner: Caller, coding: str) -> None:
    encode = CODINGS[coding]
    nothing = encode(b"")
    pieces = [nothing] * (SMALL_LIMIT // len(nothing) + 1) + [encode(fitting(1_000))]
    assert_too_large(partner.send(b"".join(pieces), Content_Encoding=coding))
    assert_too_large(stream(partner, pieces, Content_Encoding=coding))


@small_limit
@either
def test_a_bomb_is_too_large_for_a_small_limit(partner: Caller, coding: str) -> None:
    bomb = BOMBS[coding](4 * MIB)
    assert len(bomb) < SMALL_LIMIT
    assert_too_large(partner.send(bomb, Content_Encoding=coding))


# Memory


@pytest.fixture
def server(token: MakeToken, settings: Settings, tmp_path: Path) -> Iterator[tuple[int, Caller]]:
    """The id of a process of its own, and a partner for whom it has carried a first run out."""
    secret = token()
    with RunningServer(settings, tmp_path / "serve.log") as running:
        caller = running.call(secret)
        caller.http.timeout = 60
        assert caller.send(fitting(2 * MIB)).status_code == 200
        yield running.process.pid, caller


def most_memory(process_id: int) -> int:
    """How much the process has ever had, in bytes; its helpers count for themselves."""
    told = Path(f"/proc/{process_id}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", told)
    assert found
    return int(found[1]) * 1024


@on_linux
@either
def test_a_bomb_is_refused_and_takes_no_memory(server: tuple[int, Caller], coding: str) -> None:
    bomb = BOMBS[coding](BOMB_BYTES)
    assert len(bomb) < MIB
    process_id, caller = server
    before = most_memory(process_id)
    assert_too_large(caller.send(bomb, Content_Encoding=coding))
    assert most_memory(process_id) < before + MEMORY_ALLOWED
    assert caller.send(fitting(1_000)).status_code == 200


@on_linux
@either
def test_a_bomb_that_is_within_the_limit_takes_no_memory_of_the_server(server: tuple[int, Caller], coding: str) -> None:
    process_id, caller = server
    before = most_memory(process_id)
    reply = caller.send(BOMBS[coding](200 * MIB), Content_Encoding=coding)
    assert (reply.status_code, reply.json()["type"]) == (400, "not-json")
    assert most_memory(process_id) < before + MEMORY_ALLOWED


@on_linux
def test_a_plain_body_that_never_ends_takes_no_memory(server: tuple[int, Caller]) -> None:
    process_id, caller = server
    before = most_memory(process_id)
    assert_too_large(stream(caller, spaces(257 * MIB)))
    assert most_memory(process_id) < before + MEMORY_ALLOWED
