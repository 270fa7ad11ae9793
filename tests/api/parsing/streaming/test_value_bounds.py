"""The memory that a single value of a body can take is bounded."""

import gzip
import tracemalloc

import pytest

from api.parsing.content_coding import MAX_PARTS
from api.parsing.streaming import envelope_reader
from api.parsing.streaming.envelope_reader import split_envelope
from api.parsing.strict_json import MAX_VALUE_CHARACTERS, NotJson, TooLargeValue
from domain.store.records.compression import compress
from tests.support.examples import batch, body, item
from tests.support.harness import Caller

LARGE = b"[" + b"[]," * (MAX_VALUE_CHARACTERS // 3) + b"[]]"


@pytest.mark.parametrize(
    "template",
    [
        b'{"offers":[%b,1]}',
        pytest.param(b'{"x":%b,"offers":[1]}', marks=pytest.mark.long),
        pytest.param(b'{"offers":[{"a":[%b]}]}', marks=pytest.mark.long),
    ],
)
def test_too_large_value_is_refused(template: bytes) -> None:
    with pytest.raises(TooLargeValue):
        split_envelope([template % LARGE + b" " * MAX_VALUE_CHARACTERS], "offers")


@pytest.mark.long
def test_too_large_value_uses_little_memory() -> None:
    sent = b'{"x":' + LARGE[:-1] * 4 + b'],"offers":[1]}'
    tracemalloc.start()
    with pytest.raises((TooLargeValue, NotJson)):
        split_envelope([sent], "offers")
    assert tracemalloc.get_traced_memory()[1] < 3 * len(sent) + 300 * 1024 * 1024
    tracemalloc.stop()


@pytest.mark.parametrize("value", [b"12345678901234", b'"a\\u00e9b"', b"[1,2.5e-3]", b"true", b'{"a":{"b":null}}'])
@pytest.mark.parametrize("padding", range(12))
def test_value_at_the_edge_of_a_window_is_complete(value: bytes, padding: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope_reader, "_WINDOWS", (4 + padding, 64, 4096))
    sent = b'{"offers":[%b , %b],"x":%b}' % (value, value, value)
    elements = [bytes(element) for element in split_envelope([sent], "offers").elements]
    assert elements == [value, value]


@pytest.mark.parametrize("broken", [b"tru", b"[1,]", b'{"a"}', b'"\\x"', b"01", b"[1 2]", b'{"a":1,}'])
def test_windows_do_not_change_the_place_of_an_error(broken: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = b'{"offers":[1,%b]}' % broken + b" " * 200
    with pytest.raises(NotJson) as expected:
        split_envelope([sent], "offers")
    monkeypatch.setattr(envelope_reader, "_WINDOWS", (8, 40, 100))
    with pytest.raises(NotJson) as error:
        split_envelope([sent], "offers")
    assert str(error.value) == str(expected.value)


def test_batch_with_a_too_large_value_is_413(partner: Caller) -> None:
    sent = body(batch("Insert", [item()]))[:-1] + b',"x":' + LARGE + b" " * 100 + b"}"
    reply = partner.send(sent)
    assert (reply.status_code, reply.json()["type"]) == (413, "content-too-large")


@pytest.mark.parametrize(
    ("coding", "part"), [("gzip", gzip.compress(b"", mtime=0)), ("zstd", compress(b""))], ids=["gzip", "zstd"]
)
def test_body_in_too_many_compressed_parts_is_refused(partner: Caller, coding: str, part: bytes) -> None:
    reply = partner.send(part * (MAX_PARTS + 2), Content_Encoding=coding)
    assert (reply.status_code, reply.json()["type"]) == (400, "not-decodable")
