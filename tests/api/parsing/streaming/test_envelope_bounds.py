"""The envelope of a batch or a file is bounded, and a long body is read in little memory."""

import gzip
import tracemalloc
from collections.abc import Iterator

import pytest

from api.bounds.body import UNBOUNDED, BodyBounds
from api.parsing.array_splitter import split
from api.parsing.streaming.envelope_reader import split_envelope
from api.parsing.strict_json import NotJson, TooManyMembers
from tests.support.examples import batch, body, item
from tests.support.harness import Caller

MEBIBYTE = 1024 * 1024


def members(count: int) -> bytes:
    return b"".join(b'"%d":1,' % number for number in range(count))


def test_envelope_with_most_members_is_read_and_more_are_not() -> None:
    for count, is_valid in ((100, True), (101, False)):
        sent = [b'{%b"offers":[1]}' % members(count - 1)]
        if is_valid:
            assert split(lambda sent=sent: sent, "offers", BodyBounds()).element_count == 1  # type: ignore[misc]
        else:
            with pytest.raises(TooManyMembers):
                split(lambda sent=sent: sent, "offers", BodyBounds())  # type: ignore[misc]


def test_many_members_are_refused_before_the_end_of_the_body() -> None:
    read: list[int] = []

    def blocks() -> Iterator[bytes]:
        yield b'{"offers":[1]'
        for number in range(1_000):
            read.append(number)
            yield b"," + members(1_000)[:-1]

    with pytest.raises(TooManyMembers):
        split_envelope(blocks(), "offers", BodyBounds())
    assert len(read) < 10


def test_member_with_very_many_values_is_refused() -> None:
    with pytest.raises(TooManyMembers):
        split_envelope([b'{"x":[%b0],"offers":[1]}' % (b"0," * 20_000)], "offers", BodyBounds())


@pytest.mark.parametrize("closing", ["]", ""])
def test_long_element_of_very_many_values_is_not_decoded(closing: str) -> None:
    element = b'[%b"\xf0\x9f\x98\x80"%b' % (b"[]," * 700_000, closing.encode())
    tracemalloc.start()
    try:
        if closing:
            (read,) = split_envelope([b'{"offers":[%b]}' % element], "offers", BodyBounds()).elements
            assert bytes(read) == element
        else:
            with pytest.raises(NotJson):
                split_envelope([b'{"offers":[%b]}' % element], "offers", BodyBounds())
        assert tracemalloc.get_traced_memory()[1] < 64 * MEBIBYTE
    finally:
        tracemalloc.stop()


def test_long_body_is_read_in_little_memory() -> None:
    def blocks() -> Iterator[bytes]:
        yield b'{"\xf0\x9f\x98\x80":1,"offers":[['
        for _ in range(40):
            yield b" " * (MEBIBYTE - 5) + b"1],["
        yield b"]]}"

    tracemalloc.start()
    try:
        assert split_envelope(blocks(), "offers", UNBOUNDED, keep=False).element_count == 41
        assert tracemalloc.get_traced_memory()[1] < 30 * MEBIBYTE
    finally:
        tracemalloc.stop()


def test_batch_with_very_many_members_is_422(partner: Caller) -> None:
    sent = b"{%b%b" % (members(50_000), body(batch("Insert", [item()]))[1:])
    reply = partner.send(gzip.compress(sent), Content_Encoding="gzip")
    assert (reply.status_code, reply.json()["type"]) == (422, "validation-error")
    assert "OFFER_LEDGER_MAX_ENVELOPE_MEMBERS" in reply.json()["errors"][0]["message"]


def test_batch_with_very_many_values_in_a_member_is_422(partner: Caller) -> None:
    sent = b'{"x":[%b0],%b' % (b"0," * 20_000, body(batch("Insert", [item()]))[1:])
    reply = partner.send(gzip.compress(sent), Content_Encoding="gzip")
    assert reply.status_code == 422
    assert "OFFER_LEDGER_MAX_CONTENT_VALUES" in reply.json()["errors"][0]["message"]


def test_compressed_white_space_is_400(partner: Caller) -> None:
    sent = gzip.compress(b'{"a":' + b" " * (2 * MEBIBYTE) + b"1}")
    reply = partner.send(sent, Content_Encoding="gzip")
    assert (reply.status_code, reply.json()["type"]) == (400, "not-json")
    assert "OFFER_LEDGER_MAX_WHITE_SPACE_BYTES" in reply.json()["detail"]
