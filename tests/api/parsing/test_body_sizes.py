"""A body over the limit is refused with 413 (RFC 9110) in bounded memory, also if it is small when compressed."""

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
from domain.store.records.compression import compress
from tests.support.examples import batch, body, item
from tests.support.harness import Caller, MakeToken
from tests.support.processes.shell import RunningServer
from tests.support.waiting import PATIENCE_SECONDS

MIB = 1024 * 1024
BOMB_BYTES = 300 * MIB
SMALL_LIMIT = 5_000
MEMORY_ALLOWED = 64 * MIB
"""Allowed growth of the process: many times the largest piece, but a small part of a decompressed bomb."""

small_limit = pytest.mark.parametrize("settings", [{"max_body_bytes": SMALL_LIMIT}], indirect=True)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", **getattr(request, "param", {}))


def brackets(size: int) -> Iterator[bytes]:
    for _ in range(size // MIB):
        yield b"[]" * (MIB // 2)


def gzip_bomb(size: int) -> bytes:
    coder = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    return b"".join(coder.compress(piece) for piece in brackets(size)) + coder.flush()


def zstd_bomb(size: int) -> bytes:
    return compress(b"[]" * (size // 2))


CODINGS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": compress}
BOMBS = {"gzip": gzip_bomb, "zstd": zstd_bomb}
either = pytest.mark.parametrize("coding", BOMBS)


def stream(caller: Caller, pieces: Iterable[bytes], **headers: str) -> httpx2.Response:
    """Sends a body in chunks, without a Content-Length."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.http.post(BATCH_PATH, content=iter(pieces), headers={"Content-Type": "application/json", **named})


def batch_of_size(size: int) -> bytes:
    """Returns a valid batch of exactly `size` bytes."""
    start = body(batch("Insert", [item()]))[:-1] + b',"padding":"'
    return start.ljust(size - 2, b"0") + b'"}'


def assert_too_large(reply: httpx2.Response) -> None:
    problem = reply.json()
    assert (reply.status_code, problem["type"]) == (413, "content-too-large")
    assert reply.headers["Content-Type"] == MEDIA_TYPE
    assert (problem["isSuccessful"], problem["messages"], problem["data"]) == (False, [problem["detail"]], None)
    assert "OFFER_LEDGER_MAX_BODY_BYTES" in problem["detail"]


# Plain bodies


@small_limit
def test_body_may_be_as_large_as_the_limit(partner: Caller) -> None:
    assert partner.send(batch_of_size(SMALL_LIMIT)).status_code == 200
    assert stream(partner, [batch_of_size(SMALL_LIMIT)]).status_code == 200


@small_limit
def test_body_one_byte_over_the_limit_is_refused(partner: Caller) -> None:
    assert_too_large(partner.send(batch_of_size(SMALL_LIMIT + 1)))
    assert_too_large(stream(partner, [batch_of_size(SMALL_LIMIT), b" "]))


@small_limit
def test_body_with_too_large_content_length_is_refused_unread(partner: Caller, token: MakeToken) -> None:
    secret = token(name="another token")
    connection = http.client.HTTPConnection(
        partner.http.base_url.host, partner.http.base_url.port, timeout=PATIENCE_SECONDS
    )
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
def test_caller_may_send_again_after_a_refused_body(partner: Caller) -> None:
    assert_too_large(partner.send(batch_of_size(SMALL_LIMIT + 1)))
    assert partner.send(batch_of_size(SMALL_LIMIT)).status_code == 200


@pytest.mark.parametrize("settings", [{"max_body_bytes": 6 * MIB}], indirect=True)
def test_refused_large_body_leaves_nothing_stored(partner: Caller, service: Service) -> None:
    assert_too_large(stream(partner, brackets(7 * MIB)))
    with service.ledger.recorder.read() as tx:
        assert tx.execute("SELECT count(*) AS chunks FROM run_bodies").fetchone()["chunks"] == 0
    assert partner.get("/api/v1/runs").json()["items"] == []


# Compressed bodies


@small_limit
@either
def test_limit_applies_after_decompression(partner: Caller, coding: str) -> None:
    encode = CODINGS[coding]
    assert partner.send(encode(batch_of_size(SMALL_LIMIT)), Content_Encoding=coding).status_code == 200
    assert_too_large(partner.send(encode(batch_of_size(SMALL_LIMIT + 1)), Content_Encoding=coding))


@small_limit
@either
def test_limit_applies_before_decompression_too(partner: Caller, coding: str) -> None:
    encode = CODINGS[coding]
    empty = encode(b"")
    pieces = [empty] * (SMALL_LIMIT // len(empty) + 1) + [encode(batch_of_size(1_000))]
    assert_too_large(partner.send(b"".join(pieces), Content_Encoding=coding))
    assert_too_large(stream(partner, pieces, Content_Encoding=coding))


@small_limit
@either
def test_compressed_bomb_exceeds_a_small_limit(partner: Caller, coding: str) -> None:
    bomb = BOMBS[coding](4 * MIB)
    assert len(bomb) < SMALL_LIMIT
    assert_too_large(partner.send(bomb, Content_Encoding=coding))


# Memory

large_bomb = pytest.mark.parametrize("coding", ["zstd", pytest.param("gzip", marks=pytest.mark.long)])


@pytest.fixture
def server(token: MakeToken, settings: Settings, tmp_path: Path) -> Iterator[tuple[int, Caller]]:
    """The id of a server process, and a partner for whom it has already completed a run."""
    secret = token()
    with RunningServer(settings, tmp_path / "serve.log") as running:
        caller = running.call(secret)
        assert caller.send(batch_of_size(2 * MIB)).status_code == 200
        yield running.process.pid, caller


def peak_memory(process_id: int) -> int:
    """Returns the peak memory of a process in bytes, without its worker processes."""
    status = Path(f"/proc/{process_id}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match
    return int(match[1]) * 1024


@on_linux
@large_bomb
def test_bomb_is_refused_without_using_memory(server: tuple[int, Caller], coding: str) -> None:
    bomb = BOMBS[coding](BOMB_BYTES)
    assert len(bomb) < MIB
    process_id, caller = server
    before = peak_memory(process_id)
    assert_too_large(caller.send(bomb, Content_Encoding=coding))
    assert peak_memory(process_id) < before + MEMORY_ALLOWED
    assert caller.send(batch_of_size(1_000)).status_code == 200


@on_linux
@large_bomb
def test_bomb_within_the_limit_does_not_use_server_memory(server: tuple[int, Caller], coding: str) -> None:
    process_id, caller = server
    before = peak_memory(process_id)
    reply = caller.send(BOMBS[coding](200 * MIB), Content_Encoding=coding)
    assert (reply.status_code, reply.json()["type"]) == (400, "not-json")
    assert peak_memory(process_id) < before + MEMORY_ALLOWED


@on_linux
def test_endless_plain_body_does_not_use_memory(server: tuple[int, Caller]) -> None:
    process_id, caller = server
    before = peak_memory(process_id)
    assert_too_large(stream(caller, brackets(257 * MIB)))
    assert peak_memory(process_id) < before + MEMORY_ALLOWED
