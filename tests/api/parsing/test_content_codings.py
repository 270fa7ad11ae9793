"""Is a compressed body the same batch as a plain one, and a broken one refused? (RFC 1952, 8878, 9110, 9659)"""

import gzip
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.http.problems import MEDIA_TYPE
from api.service import Service
from api.settings import Settings
from domain.store.records.compression import pack
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, MakeToken

Encode = Callable[[bytes], bytes]

CODINGS: dict[str, Encode] = {"gzip": gzip.compress, "zstd": pack}
EMPTY = {"gzip": gzip.compress(b""), "zstd": pack(b"")}
ZSTD_MAGIC = 0xFD2FB528
ZSTD_SKIPPABLE = 0x184D2A50
WINDOW_LOG_ALLOWED = 23
"""8 MiB: what RFC 9659 wants every recipient of the content coding to support."""

either = pytest.mark.parametrize("coding", CODINGS)


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", **getattr(request, "param", {}))


@pytest.fixture
def other(call: Call, token: MakeToken) -> Caller:
    """A partner that sends everything plain."""
    return call(token(partner="harbor"))


def send(caller: Caller, coding: str, content: bytes) -> httpx2.Response:
    return caller.send(content, Content_Encoding=coding)


def stream(caller: Caller, coding: str, *pieces: bytes) -> httpx2.Response:
    """Sends a body in chunks, without a Content-Length."""

    def one_by_one() -> Iterator[bytes]:
        yield from pieces

    return caller.http.post(
        "/api/v1/integrations/offer-providers/custom/offers",
        content=one_by_one(),
        headers={"Content-Type": "application/json", "Content-Encoding": coding},
    )


def document() -> dict[str, Any]:
    return batch("Insert", [item(), item("TP-2", headline=""), item("TP-3", name="Größer")])


def zstd_frame(content: bytes, window_log: int, checksum: bytes = b"") -> bytes:
    """A frame of one raw block, which asks for a window of that size."""
    header = struct.pack("<IBB", ZSTD_MAGIC, 0x04 if checksum else 0, (window_log - 10) << 3)
    return header + (len(content) << 3 | 1).to_bytes(3, "little") + content + checksum


def without_ids(reply: httpx2.Response) -> dict[str, Any]:
    told: dict[str, Any] = reply.json()
    return told | {"responseId": "", "data": told["data"] | {"runId": ""}}


def contents(caller: Caller) -> list[tuple[str, Any]]:
    return [(offer["externalId"], offer["content"]) for offer in caller.get("/api/v1/offers").json()["items"]]


def assert_done_as(reply: httpx2.Response, plain: httpx2.Response) -> None:
    assert (reply.status_code, plain.status_code) == (200, 200)
    assert without_ids(reply) == without_ids(plain)


# The same batch


@either
def test_a_compressed_body_is_the_run_that_a_plain_one_is(partner: Caller, other: Caller, coding: str) -> None:
    sent = body(document())
    assert_done_as(send(partner, coding, CODINGS[coding](sent)), other.send(sent))
    assert contents(partner) == contents(other) != []


@either
def test_a_body_may_come_in_several_pieces_each_compressed(partner: Caller, other: Caller, coding: str) -> None:
    sent, encode = body(document()), CODINGS[coding]
    pieces = [EMPTY[coding], encode(sent[:10]), EMPTY[coding], encode(sent[10:]), EMPTY[coding]]
    assert_done_as(send(partner, coding, b"".join(pieces)), other.send(sent))


@either
def test_a_body_may_come_byte_by_byte(partner: Caller, other: Caller, coding: str) -> None:
    sent = body(document())
    coded = EMPTY[coding] + CODINGS[coding](sent)
    assert_done_as(stream(partner, coding, b"", *(bytes([byte]) for byte in coded)), other.send(sent))


@either
def test_a_large_body_may_be_compressed_too(partner: Caller, other: Caller, coding: str) -> None:
    sent = body(batch("Insert", [item(f"TP-{n}") for n in range(12_000)]))
    for caller in (partner, other):
        caller.http.timeout = 60
    half = len(sent) // 2
    coded = CODINGS[coding](sent[:half]) + CODINGS[coding](sent[half:])
    assert_done_as(send(partner, coding, coded), other.send(sent))


def test_a_skippable_frame_says_nothing(partner: Caller, other: Caller) -> None:
    sent = body(document())
    skipped = struct.pack("<II", ZSTD_SKIPPABLE, 5) + b"hello"
    assert_done_as(send(partner, "zstd", skipped + pack(sent) + skipped), other.send(sent))


@either
@pytest.mark.parametrize("count", [1, 3000], ids=["small", "large"])
def test_the_same_batch_plain_and_compressed_is_one_request(partner: Caller, coding: str, count: int) -> None:
    partner.http.timeout = 60
    sent = body(batch("Insert", [item(f"TP-{n}") for n in range(count)]))
    first = partner.send(sent)
    again = send(partner, coding, CODINGS[coding](sent))
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("name", ["GZIP", "Gzip"])
def test_the_case_of_a_coding_does_not_matter(partner: Caller, name: str) -> None:
    assert send(partner, name, gzip.compress(body(document()))).status_code == 200


@pytest.mark.parametrize("name", ["identity", "Identity", ""])
def test_no_coding_may_be_named(partner: Caller, name: str) -> None:
    assert send(partner, name, body(document())).status_code == 200


# Broken bodies


def broken(coding: str) -> dict[str, bytes]:
    whole = CODINGS[coding](body(document()))
    return {
        "nothing": b"",
        "plain text": body(document()),
        "head only": whole[:5],
        "half": whole[: len(whole) // 2],
        "all but a byte": whole[:-1],
        "no head": whole[1:],
        "text after it": whole + b"{}",
        "a byte after it": whole + b"x",
        "half of another after it": whole + whole[:8],
        "the other coding": CODINGS["zstd" if coding == "gzip" else "gzip"](body(document())),
    }


def assert_refused(reply: httpx2.Response, status: int, kind: str) -> None:
    problem = reply.json()
    assert (reply.status_code, problem["type"], reply.headers["Content-Type"]) == (status, kind, MEDIA_TYPE)
    assert {"title", "status", "detail", "instance", "errors", "traceId"} <= problem.keys()
    assert {"responseId", "responseTitle", "responseType", "messages"} <= problem.keys()
    assert (problem["isSuccessful"], problem["data"]) == (False, None)


@either
def test_a_body_that_is_not_what_its_coding_says_is_refused(
    partner: Caller, coding: str, subtests: pytest.Subtests
) -> None:
    for name, content in broken(coding).items():
        with subtests.test(name):
            assert_refused(send(partner, coding, content), 400, "not-decodable")
    assert partner.get("/api/v1/runs").json()["items"] == []


@pytest.mark.parametrize("place", [-8, -1, 12], ids=["checksum", "length", "content"])
def test_a_gzip_body_with_a_changed_byte_is_refused(partner: Caller, place: int) -> None:
    coded = bytearray(gzip.compress(body(document())))
    coded[place] ^= 0xFF
    assert_refused(send(partner, "gzip", bytes(coded)), 400, "not-decodable")


def test_a_zstd_body_whose_checksum_is_not_right_is_refused(partner: Caller) -> None:
    frame = zstd_frame(body(document()), WINDOW_LOG_ALLOWED, checksum=b"\0\0\0\0")
    assert_refused(send(partner, "zstd", frame), 400, "not-decodable")


@either
def test_a_large_body_that_ends_too_soon_leaves_nothing_behind(partner: Caller, service: Service, coding: str) -> None:
    coded = CODINGS[coding](body(batch("Insert", [item(f"TP-{n}") for n in range(12_000)])))
    assert_refused(send(partner, coding, coded[:-10]), 400, "not-decodable")
    with service.ledger.recorder.read() as tx:
        assert tx.execute("SELECT count(*) AS chunks FROM run_bodies").fetchone()["chunks"] == 0


@either
def test_what_is_in_a_compressed_body_is_judged_as_in_a_plain_one(partner: Caller, coding: str) -> None:
    encode = CODINGS[coding]
    assert_refused(send(partner, coding, encode(b"{")), 400, "not-json")
    assert_refused(send(partner, coding, encode(b"")), 400, "not-json")
    assert_refused(send(partner, coding, encode(body(batch("Delete", [item()])))), 422, "validation-error")


@either
@pytest.mark.parametrize("settings", [{"max_items": 2}], indirect=True)
def test_items_are_counted_in_a_compressed_body(partner: Caller, coding: str) -> None:
    reply = send(partner, coding, CODINGS[coding](body(document())))
    assert_refused(reply, 422, "validation-error")
    assert reply.json()["errors"] == [{"pointer": "/offers", "message": "must have at most 2 elements"}]


@pytest.mark.parametrize("window_log", [24, 27, 31, 41])
def test_a_zstd_frame_that_demands_a_huge_window_is_refused(partner: Caller, window_log: int) -> None:
    assert_refused(send(partner, "zstd", zstd_frame(body(document()), window_log)), 400, "not-decodable")


def test_a_zstd_frame_may_demand_the_window_that_the_standard_allows(partner: Caller) -> None:
    assert send(partner, "zstd", zstd_frame(body(document()), WINDOW_LOG_ALLOWED)).status_code == 200


# Other codings and types


@pytest.mark.parametrize(
    "name",
    ["br", "deflate", "compress", "gzip, zstd", "gzip,gzip", "identity, gzip", "gzip, identity", "gzip;q=1", "gzip, x"],
)
def test_other_codings_are_not_supported(partner: Caller, name: str) -> None:
    reply = send(partner, name, gzip.compress(body(document())))
    assert_refused(reply, 415, "unsupported-media-type")
    assert reply.headers["Accept-Encoding"] == "gzip, zstd"


def test_two_headers_are_a_list_of_codings(partner: Caller) -> None:
    given = [("Content-Type", "application/json"), ("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")]
    twice = gzip.compress(gzip.compress(body(document())))
    reply = partner.http.post("/api/v1/integrations/offer-providers/custom/offers", content=twice, headers=given)
    assert_refused(reply, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "given",
    [
        "application/json; charset=utf-8; profile=x",
        'application/json;profile=x;charset="UTF-8"',
        "Application/JSON ; Charset=utf8",
        'application/json; profile="https://tidepool.example/charset"',
    ],
)
def test_parameters_of_the_media_type_do_not_matter(partner: Caller, given: str) -> None:
    assert partner.send(body(document()), Content_Type=given).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        "application/json; charset=latin-1",
        "application/json; profile=x; charset=utf-16",
        'application/json; charset="us-ascii"',
        "application/jsonl",
        "text/json; charset=utf-8",
    ],
)
def test_another_charset_or_type_is_refused(partner: Caller, given: str) -> None:
    assert_refused(partner.send(body(document()), Content_Type=given), 415, "unsupported-media-type")
