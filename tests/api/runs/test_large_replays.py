"""A reply with many items is sent in pieces. Each replay counts as a call."""

import pytest

from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, MakeToken

ITEMS = 6_000
"""More than one stored part has."""


@pytest.fixture
def large() -> bytes:
    """A batch whose items all fail, with a reply over 1 MiB."""
    items = [
        item(f"TP-{number}", trackingSystem=None, name=None, headline=None, offerDetails=None)
        for number in range(ITEMS)
    ]
    return body(batch("Insert", items))


def test_large_reply_and_its_replay_list_every_item(partner: Caller, large: bytes) -> None:
    first, replay = partner.send(large), partner.send(large)
    assert (first.status_code, replay.status_code) == (422, 422)
    assert len(first.content) > 1024 * 1024
    assert [failed["externalId"] for failed in first.json()["data"]["failedOffers"]] == [
        f"TP-{n}" for n in range(ITEMS)
    ]
    assert replay.json()["data"] == first.json()["data"]
    assert replay.headers["Idempotency-Replayed"] == "true"


def test_replay_counts_as_a_call(call: Call, token: MakeToken) -> None:
    limited = call(token(name="limited", requests_per_minute=1))
    small = body(batch("Insert", [item()]))
    assert [limited.send(small).status_code for _ in range(3)] == [200, 200, 429]
