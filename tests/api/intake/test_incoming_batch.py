"""A batch that is read while it arrives has the same items and problems as one that is read when it is complete."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.bounds.body import BodyBounds
from api.http.problems import Problem
from api.intake import item_parts
from api.intake.batch import ValidatedBatch, read_request, validate_items
from api.intake.incoming_batch import IncomingBatch
from api.parsing import array_splitter
from domain.offers.offer import Offer
from domain.runs.batch_reconciliation import ValidItem
from domain.runs.run import Batch
from domain.values import Status
from tests.support.examples import item

BOUNDS = BodyBounds(max_items=8, max_values=40)
REQUEST_ID = "7b0cf9ae-8e5e-4b0c-b2f6-8f7e6a1d2c3b"
CUTS = st.lists(st.floats(0, 1), max_size=5)

ODD_ITEMS: list[Any] = [
    {**item("TP-3"), "offerData": "no content"},
    {**item("TP-4"), "extra": 1},
    item("TP-5", keyPoints=["x"] * 50),
    {"externalId": "TP-6", "offerData": item("TP-6")["offerData"][0]},
    None,
]
ITEMS = st.sampled_from([item("TP-1"), item("TP-1", headline="é"), item("TP-2"), *ODD_ITEMS])
BODIES = st.builds(
    lambda operation, items, extra, form: json.dumps(
        {"concurrencyRequestId": REQUEST_ID, "operation": operation, "offers": items, **extra}, **form
    ).encode(),
    st.sampled_from(["Synchronize", "Insert", "Replace"]),
    st.lists(ITEMS, max_size=9),
    st.sampled_from([{}, {"note": 1}]),
    st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}]),
)
MUTATIONS = st.lists(
    st.tuples(
        st.floats(0, 1), st.sampled_from([b"", b"\xff", b"\xef\xbb\xbf", b"{", b"]", b'"offers":[', b",", b"\x00"])
    ),
    max_size=2,
)

Outcome = tuple[Batch, ValidatedBatch] | tuple[int, Any]


def mutated(body: bytes, mutations: list[tuple[float, bytes]]) -> bytes:
    for share, text in mutations:
        at = int(share * len(body))
        body = body[:at] + text + body[at:]
    return body


def read_ahead(body: bytes, cuts: list[float], hint: dict[str, Offer] | None = None) -> IncomingBatch:
    places = [0, *sorted(int(cut * len(body)) for cut in cuts), len(body)]
    incoming = IncomingBatch(BOUNDS)
    incoming.known = hint or {}
    for start, end in pairwise(places):
        incoming.feed(body[start:end])
    incoming.end()
    return incoming


def outcome(body: bytes, incoming: IncomingBatch | None = None, known: dict[str, Offer] | None = None) -> Outcome:
    try:
        request = read_request(lambda: [body], BOUNDS, incoming)
        return request, validate_items(lambda: [body], BOUNDS, lambda _: known or {}, incoming=incoming)
    except Problem as problem:
        return problem.status, problem.errors


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_splitter, "SPLIT_BLOCK_BYTES", 700)
    monkeypatch.setattr(item_parts, "ITEMS_PER_CALL", 2)


@given(BODIES, MUTATIONS, CUTS)
def test_batch_read_ahead_has_the_same_outcome(
    body: bytes, mutations: list[tuple[float, bytes]], cuts: list[float]
) -> None:
    body = mutated(body, mutations)
    assert outcome(body, read_ahead(body, cuts)) == outcome(body)


@given(BODIES, CUTS, st.dictionaries(st.sampled_from(["TP-1", "TP-2"]), st.booleans(), max_size=2), st.booleans())
def test_offers_that_are_read_early_decide_nothing(
    body: bytes, cuts: list[float], hints: dict[str, bool], are_known: bool
) -> None:
    sent = {
        element.external_id: element.content
        for element in getattr(outcome(body)[1], "items", [])
        if isinstance(element, ValidItem)
    }
    hint = {
        name: Offer(Status.ACTIVE, 1, 1, "", sent[name].sent_digest if right else "0" * 64)
        for name, right in hints.items()
        if name in sent
    }
    known = {
        name: Offer(Status.ACTIVE, 1, 1, sent[name].digest, sent[name].sent_digest)
        for name in hints
        if are_known and name in sent
    }
    assert outcome(body, read_ahead(body, cuts, hint), known) == outcome(body, known=known)


def test_usual_batch_is_read_ahead() -> None:
    body = json.dumps(
        {"concurrencyRequestId": REQUEST_ID, "operation": "Insert", "offers": [item(f"TP-{n}") for n in range(7)]}
    ).encode()
    assert read_ahead(body, [0.3, 0.6]).split is not None


def test_batch_read_ahead_is_taken_once() -> None:
    body = json.dumps({"concurrencyRequestId": REQUEST_ID, "operation": "Insert", "offers": [item("TP-1")]}).encode()
    incoming = read_ahead(body, [0.5])
    first = outcome(body, incoming)
    assert (incoming.take(), outcome(body, incoming)) == (None, first)
