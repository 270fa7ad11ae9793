"""Whatever is put and taken down, in however large groups: it comes out as if one thing had followed the other."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ledgers.ledger import OfferLedger
from domain.ledgers.single_request_ledger import SingleRequestLedger
from domain.single_requests.request import SingleRequest, Trace
from domain.values import OfferKey, Status
from projections.access import partners
from projections.audit import offer_history
from projections.maintenance.verification import verify
from projections.offers import decision_state, inventory
from projections.offers.inventory import OfferFilter
from tests.support.harness import Clock
from tests.support.histories.runs import opened
from tests.support.histories.single_requests import (
    EVENT_OF,
    Known,
    Model,
    delete,
    merchant_key,
    merchant_offer,
    put,
    set_quota,
    told,
    trace_of,
    used,
)

Asked = tuple[OfferKey, str | None]
"""A name puts the offer with it, None takes it down."""

KEYS = [merchant_key("MO-1"), merchant_key("MO-2"), merchant_key("MO-1", "M-2")]
ASKED = st.tuples(st.sampled_from(KEYS), st.sampled_from(["a", "b", "c", None]))
SEQUENCES = st.lists(ASKED, max_size=30)
SIZES = st.lists(st.integers(1, 8), max_size=30)
FEW = settings(max_examples=60, deadline=None)


@contextmanager
def empty_ledger() -> Iterator[SingleRequestLedger]:
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "ledger.db", clock) as ledger:
        set_quota(ledger, 0)
        yield SingleRequestLedger(ledger, decision_state.find_offers, partners.find_terms)


def requested(asked: Sequence[Asked]) -> list[SingleRequest]:
    return [delete(key) if name is None else put(key, name) for key, name in asked]


def in_groups(requests: Sequence[SingleRequest], sizes: Sequence[int]) -> Iterator[Sequence[SingleRequest]]:
    """What is left when there are no more sizes is one group."""
    at = 0
    for size in sizes:
        yield requests[at : at + size]
        at += size
    yield requests[at:]


def carried_out(traces: SingleRequestLedger, requests: Sequence[SingleRequest], sizes: Sequence[int]) -> list[Any]:
    """Outcome and version of each."""
    return told([result for group in in_groups(requests, sizes) for result in traces.execute(group)])


def shown(ledger: OfferLedger) -> dict[OfferKey, Known]:
    """The inventory, in the model's words; every content is exactly what was put."""
    offers = {}
    with ledger.recorder.read() as tx:
        views = inventory.page(tx, OfferFilter(), Clock().now, 0, 1000).items
    for view in views:
        key = merchant_key(view.external_id, str(view.merchant_id), view.partner)
        name = json.loads(bytes(view.content))["offerName"]
        assert json.loads(bytes(view.content)) == merchant_offer(key, name)
        assert key.offer_uid == view.offer_uid
        assert (view.deleted_at is not None) == (view.status == Status.DELETED)
        offers[key] = Known(Status(view.status), name, view.version)
    return offers


def require_histories(ledger: OfferLedger, requests: Sequence[SingleRequest], outcomes: Sequence[Any]) -> None:
    """Every event of an offer is that of a request which says that it made it, and the other way round."""
    for key in KEYS:
        with ledger.recorder.read() as tx:
            items = offer_history.page(tx, key.offer_uid, 0, 1000).items
        made = [
            (request.trace_id, EVENT_OF[outcome], version)
            for request, (outcome, version) in zip(requests, outcomes, strict=True)
            if request.key == key and outcome in EVENT_OF
        ]
        assert [(item.trace_id, item.type, item.version) for item in items] == made


def require_traces(traces: SingleRequestLedger, requests: Sequence[SingleRequest], outcomes: Sequence[Any]) -> None:
    found = [trace_of(traces.ledger, request.trace_id) for request in requests]
    assert told(found) == outcomes
    assert [(t.offer_uid, t.traceparent) for t in found if isinstance(t, Trace)] == [
        (request.key.offer_uid, request.traceparent) for request in requests
    ]


@FEW
@given(SEQUENCES, SIZES)
def test_groups_do_what_the_model_does(asked: list[Asked], sizes: list[int]) -> None:
    model = Model()
    expected = [model.execute(key, name) for key, name in asked]
    requests = requested(asked)
    with empty_ledger() as traces:
        assert carried_out(traces, requests, sizes) == expected
        assert shown(traces.ledger) == model.offers
        require_histories(traces.ledger, requests, expected)
        require_traces(traces, requests, expected)
        assert used(traces) == len(asked)
        assert verify(traces.ledger) == []


@FEW
@given(SEQUENCES, SIZES)
def test_groups_do_what_one_by_one_does(asked: list[Asked], sizes: list[int]) -> None:
    requests = requested(asked)
    with empty_ledger() as grouped, empty_ledger() as alone:
        outcomes = carried_out(grouped, requests, sizes)
        assert outcomes == carried_out(alone, requests, [1] * len(requests))
        assert recorded(grouped.ledger) == recorded(alone.ledger)
        assert used(grouped) == used(alone)


@FEW
@given(SEQUENCES, SIZES)
def test_asking_again_at_once_changes_nothing(asked: list[Asked], sizes: list[int]) -> None:
    twice = [each for one in asked for each in (one, one)]
    with empty_ledger() as traces, empty_ledger() as once:
        outcomes = carried_out(traces, requested(twice), sizes)
        first = carried_out(once, requested(asked), sizes)
        assert outcomes[::2] == first
        assert {outcome for outcome, _ in outcomes[1::2]} <= {"unchanged", "unknown"}
        assert [version for _, version in outcomes[1::2]] == [version for _, version in first]
        assert shown(traces.ledger) == shown(once.ledger)
        assert verify(traces.ledger) == []


def recorded(ledger: OfferLedger) -> list[tuple[Any, ...]]:
    """Every commit and event, with all that is sealed."""
    with ledger.recorder.read() as tx:
        commits = [tuple(row) for row in tx.execute("SELECT * FROM commits ORDER BY commit_id")]
        return [*commits, *(tuple(row) for row in tx.execute("SELECT * FROM ledger ORDER BY position"))]
