"""The first bytes of a body: a byte order mark is skipped once; compressed data and other encodings are named."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.bounds.body import BodyBounds
from api.parsing.array_splitter import split
from api.parsing.body_start import BYTE_ORDER_MARK, MARK_SKIPPED, skip_mark
from api.parsing.streaming.envelope_reader import split_envelope
from api.parsing.strict_json import NotJson
from api.redemption.activation_routes import ACTIVATIONS_PATH
from api.redemption.redemption_routes import REDEMPTIONS_PATH
from api.service import Service
from domain.store.records.compression import compress
from tests.support.calls.merchants import limit, merchant_offer, put, trace_of
from tests.support.calls.offers_files import offers_file, record, send_form, send_json
from tests.support.calls.publishers import JSON, purchase
from tests.support.examples import batch, body, item
from tests.support.harness import Caller, Clock

Send = Callable[[bytes], httpx2.Response]

PACKED: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": compress}
ENCODINGS = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
LINES = "application/x-ndjson"
TEXTS = st.sampled_from(['{"offers":[1]}', ' {"offers":[1,2], "a":"é"}', '{"offers":[{}]}', "[]", ""])


# The decision


def in_blocks(sent: bytes, size: int) -> list[bytes]:
    return [sent[at : at + size] for at in range(0, len(sent), size)]


@given(TEXTS, st.integers(1, 20))
def test_mark_of_a_body_in_blocks_changes_nothing_else(text: str, size: int) -> None:
    sent = BYTE_ORDER_MARK + text.encode()
    blocks = in_blocks(sent, size)
    try:
        expected = split_envelope([text.encode()], "offers")
    except Exception as error:  # noqa: BLE001 - every refusal must be the same
        with pytest.raises(type(error)):
            split(lambda: blocks, "offers", BodyBounds(max_items=10))
    else:
        result = split(lambda: blocks, "offers", BodyBounds(max_items=10))
        assert (result.members, list(map(bytes, result.elements))) == (
            expected.members,
            list(map(bytes, expected.elements)),
        )
        assert result.has_mark


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_second_mark_is_refused(size: int) -> None:
    blocks = in_blocks(BYTE_ORDER_MARK * 2 + b'{"offers":[1]}', size)
    with pytest.raises(NotJson, match="second byte order mark"):
        split(lambda: blocks, "offers", BodyBounds(max_items=10))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", ['{"a":1}', "[]", "1", '"é"'])
def test_other_encodings_are_named(encoding: str, text: str) -> None:
    with pytest.raises(NotJson, match=f"it is encoded in {encoding[:6].upper()}; it must be in UTF-8"):
        skip_mark(text.encode(encoding))


@pytest.mark.parametrize("start", [b"", b"{", b"\0\0\0\0", b'{"a":"\0"}', b"\x1f", b"\xff", b"\xef\xbb", b"\xef\xbb{"])
def test_other_first_bytes_are_left_to_the_parser(start: bytes) -> None:
    assert skip_mark(start) == (start, False)


# Over HTTP


def detail(reply: httpx2.Response) -> str:
    assert (reply.status_code, reply.json()["type"]) == (400, "not-json"), reply.text
    return str(reply.json()["detail"])


def test_mark_of_a_batch_is_reported_and_replayed(partner: Caller) -> None:
    document = batch("Insert", [item()])
    reply = partner.send(BYTE_ORDER_MARK + body(document))
    assert (reply.status_code, reply.json()["messages"]) == (200, [MARK_SKIPPED])
    run = partner.get(f"/api/v1/runs/{reply.json()['data']['runId']}").json()
    assert run["messages"] == [MARK_SKIPPED]
    for repeated in (BYTE_ORDER_MARK + body(document), body(document)):
        assert partner.send(repeated).content == reply.content


@pytest.mark.parametrize("send", [send_json, send_form])
def test_mark_of_an_offers_file_is_reported(partner: Caller, send: Callable[..., httpx2.Response]) -> None:
    reply = send(partner, BYTE_ORDER_MARK + body(offers_file(record("OFR-1"))))
    assert (reply.status_code, reply.json()["messages"]) == (200, [MARK_SKIPPED])


def test_mark_of_a_put_is_a_warning_on_its_trace(partner: Caller, service: Service) -> None:
    limit(service)
    trace = trace_of(partner, put(partner, BYTE_ORDER_MARK + body(merchant_offer())))
    assert (trace["outcome"], trace["warnings"]) == ("created", [MARK_SKIPPED])
    again = trace_of(partner, put(partner, body(merchant_offer())))
    assert (again["outcome"], again["warnings"]) == ("unchanged", [])


def test_mark_of_lines_is_reported_and_skipped_once(publisher: Caller, offer: str) -> None:
    line = json.dumps({"customerId": "C-1", "offerUid": offer}).encode()
    sent = BYTE_ORDER_MARK + line + b"\n" + BYTE_ORDER_MARK + line
    reply = publisher.http.post(f"{ACTIVATIONS_PATH}/batch", content=sent, headers={"Content-Type": LINES}).json()
    assert reply["messages"] == [MARK_SKIPPED]
    assert [outcome["outcome"] for outcome in reply["items"]] == ["created", "refused"]


def test_mark_of_other_json_bodies_is_skipped(publisher: Caller, offer: str, clock: Clock) -> None:
    def post(caller: Caller, path: str, **sent: Any) -> httpx2.Response:
        reply = caller.http.post(path, content=BYTE_ORDER_MARK + body(sent), headers=JSON)
        assert reply.status_code == 201, reply.text
        return reply

    post(publisher, f"/api/v1/offers/{offer}/flights", startsAt="2027-01-01T00:00:00Z", redemptionWindowDays=30)
    post(publisher, ACTIVATIONS_PATH, customerId="C-1", offerUid=offer)
    redeemed = post(publisher, REDEMPTIONS_PATH, **purchase(offer, clock.now))
    post(publisher, f"{REDEMPTIONS_PATH}/{redeemed.json()['redemptionId']}/reversals", reversalId="R-1", amount="1.00")


def test_packed_body_without_header_is_named(
    partner: Caller, publisher: Caller, service: Service, subtests: pytest.Subtests
) -> None:
    limit(service)

    def send_lines(sent: bytes) -> httpx2.Response:
        return publisher.http.post(f"{ACTIVATIONS_PATH}/batch", content=sent, headers={"Content-Type": LINES})

    def activate(sent: bytes) -> httpx2.Response:
        return publisher.http.post(ACTIVATIONS_PATH, content=sent, headers=JSON)

    calls: dict[str, Send] = {
        "batch": partner.send,
        "file": lambda sent: send_json(partner, sent),
        "form": lambda sent: send_form(partner, sent),
        "put": lambda sent: put(partner, sent),
        "lines": send_lines,
        "activation": activate,
    }
    for name, call in calls.items():
        for coding, pack in PACKED.items():
            with subtests.test(f"{name} {coding}"):
                reported = detail(call(pack(b'{"a":1}')))
                assert f"it looks like {coding} data" in reported
                assert "Content-Encoding" in reported
        with subtests.test(f"{name} utf-16"):
            assert "it is encoded in UTF-16; it must be in UTF-8" in detail(call('{"a":1}'.encode("utf-16")))


@pytest.mark.parametrize("name", ["x-gzip", "X-GZip"])
def test_old_name_of_gzip_is_accepted(partner: Caller, name: str) -> None:
    assert partner.send(gzip.compress(body(batch("Insert", [item()]))), Content_Encoding=name).status_code == 200
    packed = gzip.compress(body(offers_file(record("OFR-1"))))
    assert send_json(partner, packed, Content_Encoding=name).status_code == 200
