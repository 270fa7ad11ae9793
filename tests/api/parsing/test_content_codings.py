"""A compressed body gives the same result as a plain one; a broken one is refused (RFC 1952, 8878, 9110, 9659)."""

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
from domain.store.records.compression import compress
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, MakeToken

Encode = Callable[[bytes], bytes]

CODINGS: dict[str, Encode] = {"gzip": gzip.compress, "zstd": compress}
EMPTY = {"gzip": gzip.compress(b""), "zstd": compress(b"")}
ZSTD_MAGIC = 0xFD2FB528
ZSTD_SKIPPABLE = 0x184D2A50
WINDOW_LOG_ALLOWED = 23
"""8 MiB: RFC 9659 requires support for this window size."""

either = pytest.mark.parametrize("coding", CODINGS)
zstd_at_least = pytest.mark.parametrize("coding", ["zstd", pytest.param("gzip", marks=pytest.mark.long)])


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", **getattr(request, "param", {}))


@pytest.fixture
def other(call: Call, token: MakeToken) -> Caller:
    """A partner that sends uncompressed bodies."""
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
    """Returns a frame with one raw block that requires a window of 2 to the power of `window_log` bytes."""
    header = struct.pack("<IBB", ZSTD_MAGIC, 0x04 if checksum else 0, (window_log - 10) << 3)
    return header + (len(content) << 3 | 1).to_bytes(3, "little") + content + checksum


def without_ids(reply: httpx2.Response) -> dict[str, Any]:
    document: dict[str, Any] = reply.json()
    return document | {"responseId": "", "data": document["data"] | {"runId": ""}}


def contents(caller: Caller) -> list[tuple[str, Any]]:
    return [(offer["externalId"], offer["content"]) for offer in caller.get("/api/v1/offers").json()["items"]]


def assert_same_reply(reply: httpx2.Response, plain: httpx2.Response) -> None:
    assert (reply.status_code, plain.status_code) == (200, 200)
    assert without_ids(reply) == without_ids(plain)


# Valid bodies


@either
def test_compressed_body_gives_the_same_run_as_a_plain_one(partner: Caller, other: Caller, coding: str) -> None:
    sent = body(document())
    assert_same_reply(send(partner, coding, CODINGS[coding](sent)), other.send(sent))
    assert contents(partner) == contents(other) != []


@either
def test_body_may_be_a_sequence_of_compressed_pieces(partner: Caller, other: Caller, coding: str) -> None:
    sent, encode = body(document()), CODINGS[coding]
    pieces = [EMPTY[coding], encode(sent[:10]), EMPTY[coding], encode(sent[10:]), EMPTY[coding]]
    assert_same_reply(send(partner, coding, b"".join(pieces)), other.send(sent))


@either
def test_compressed_body_may_arrive_byte_by_byte(partner: Caller, other: Caller, coding: str) -> None:
    sent = body(document())
    coded = EMPTY[coding] + CODINGS[coding](sent)
    assert_same_reply(stream(partner, coding, b"", *(bytes([byte]) for byte in coded)), other.send(sent))


@zstd_at_least
def test_large_body_may_be_compressed(partner: Caller, other: Caller, coding: str) -> None:
    sent = body(batch("Insert", [item(f"TP-{n}") for n in range(4_000)]))
    half = len(sent) // 2
    coded = CODINGS[coding](sent[:half]) + CODINGS[coding](sent[half:])
    assert_same_reply(send(partner, coding, coded), other.send(sent))


def test_skippable_frames_are_ignored(partner: Caller, other: Caller) -> None:
    sent = body(document())
    skipped = struct.pack("<II", ZSTD_SKIPPABLE, 5) + b"hello"
    assert_same_reply(send(partner, "zstd", skipped + compress(sent) + skipped), other.send(sent))


@either
@pytest.mark.parametrize("count", [1, pytest.param(3000, marks=pytest.mark.long)], ids=["small", "large"])
def test_plain_and_compressed_batch_are_the_same_request(partner: Caller, coding: str, count: int) -> None:
    sent = body(batch("Insert", [item(f"TP-{n}") for n in range(count)]))
    first = partner.send(sent)
    repeated = send(partner, coding, CODINGS[coding](sent))
    assert (repeated.status_code, repeated.content) == (200, first.content)
    assert repeated.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("name", ["GZIP", "Gzip"])
def test_coding_names_are_case_insensitive(partner: Caller, name: str) -> None:
    assert send(partner, name, gzip.compress(body(document()))).status_code == 200


@pytest.mark.parametrize("name", ["identity", "Identity", ""])
def test_identity_coding_is_accepted(partner: Caller, name: str) -> None:
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
def test_body_that_does_not_match_its_coding_is_refused(
    partner: Caller, coding: str, subtests: pytest.Subtests
) -> None:
    for name, content in broken(coding).items():
        with subtests.test(name):
            assert_refused(send(partner, coding, content), 400, "not-decodable")
    assert partner.get("/api/v1/runs").json()["items"] == []


@pytest.mark.parametrize("place", [-8, -1, 12], ids=["checksum", "length", "content"])
def test_gzip_body_with_a_changed_byte_is_refused(partner: Caller, place: int) -> None:
    coded = bytearray(gzip.compress(body(document())))
    coded[place] ^= 0xFF
    assert_refused(send(partner, "gzip", bytes(coded)), 400, "not-decodable")


def test_zstd_body_with_wrong_checksum_is_refused(partner: Caller) -> None:
    frame = zstd_frame(body(document()), WINDOW_LOG_ALLOWED, checksum=b"\0\0\0\0")
    assert_refused(send(partner, "zstd", frame), 400, "not-decodable")


@either
def test_incomplete_large_body_leaves_nothing_stored(partner: Caller, service: Service, coding: str) -> None:
    coded = CODINGS[coding](body(batch("Insert", [item(f"TP-{n}") for n in range(4_000)])))
    assert_refused(send(partner, coding, coded[:-10]), 400, "not-decodable")
    with service.ledger.recorder.read() as tx:
        assert tx.execute("SELECT count(*) AS chunks FROM run_bodies").fetchone()["chunks"] == 0


@either
def test_compressed_content_is_validated_like_plain_content(partner: Caller, coding: str) -> None:
    encode = CODINGS[coding]
    assert_refused(send(partner, coding, encode(b"{")), 400, "not-json")
    assert_refused(send(partner, coding, encode(b"")), 400, "not-json")
    assert_refused(send(partner, coding, encode(body(batch("Delete", [item()])))), 422, "validation-error")


@either
@pytest.mark.parametrize("settings", [{"max_items": 2}], indirect=True)
def test_item_limit_applies_to_compressed_bodies(partner: Caller, coding: str) -> None:
    reply = send(partner, coding, CODINGS[coding](body(document())))
    assert_refused(reply, 422, "validation-error")
    assert reply.json()["errors"] == [
        {"pointer": "/offers", "message": "must have at most 2 elements (OFFER_LEDGER_MAX_ITEMS)"}
    ]


@pytest.mark.parametrize("window_log", [24, 27, 31, 41])
def test_zstd_frame_with_a_huge_window_is_refused(partner: Caller, window_log: int) -> None:
    assert_refused(send(partner, "zstd", zstd_frame(body(document()), window_log)), 400, "not-decodable")


def test_zstd_frame_may_use_the_window_of_the_standard(partner: Caller) -> None:
    assert send(partner, "zstd", zstd_frame(body(document()), WINDOW_LOG_ALLOWED)).status_code == 200


# Other codings and types


@pytest.mark.parametrize(
    "name",
    ["br", "deflate", "compress", "gzip, zstd", "gzip,gzip", "identity, gzip", "gzip, identity", "gzip;q=1", "gzip, x"],
)
def test_other_codings_are_refused(partner: Caller, name: str) -> None:
    reply = send(partner, name, gzip.compress(body(document())))
    assert_refused(reply, 415, "unsupported-media-type")
    assert reply.headers["Accept-Encoding"] == "gzip, zstd"


def test_two_coding_headers_are_refused(partner: Caller) -> None:
    headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")]
    twice = gzip.compress(gzip.compress(body(document())))
    reply = partner.http.post("/api/v1/integrations/offer-providers/custom/offers", content=twice, headers=headers)
    assert_refused(reply, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json; charset=utf-8; profile=x",
        'application/json;profile=x;charset="UTF-8"',
        "Application/JSON ; Charset=utf8",
        'application/json; profile="https://tidepool.example/charset"',
    ],
)
def test_media_type_parameters_are_ignored(partner: Caller, media_type: str) -> None:
    assert partner.send(body(document()), Content_Type=media_type).status_code == 200


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json; charset=latin-1",
        "application/json; profile=x; charset=utf-16",
        'application/json; charset="us-ascii"',
        "application/jsonl",
        "text/json; charset=utf-8",
    ],
)
def test_other_charset_or_media_type_is_refused(partner: Caller, media_type: str) -> None:
    assert_refused(partner.send(body(document()), Content_Type=media_type), 415, "unsupported-media-type")
