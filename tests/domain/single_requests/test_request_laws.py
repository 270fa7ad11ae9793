"""Laws of single requests: groups of any size have the same effects as requests one by one."""

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
from domain.single_requests.group import CountedRefusal
from domain.single_requests.precondition import Precondition, Versions
from domain.single_requests.request import SingleRequest
from domain.values import OfferKey, Status
from projections.access import partners
from projections.audit import offer_history
from projections.maintenance.verification import verify
from projections.offers import decision_state, inventory
from projections.offers.inventory import OfferFilter
from tests.support.engine import examples
from tests.support.harness import Clock
from tests.support.histories.runs import open_ledger
from tests.support.histories.single_requests import (
    EVENT_OF,
    OfferState,
    SingleRequestModel,
    delete,
    merchant_key,
    merchant_offer,
    outcomes_of,
    put,
    quota_used,
    set_quota,
    trace_of,
)

Action = tuple[OfferKey, str | None]
"""A name puts the offer with this name, None deletes it."""

KEYS = [merchant_key("MO-1"), merchant_key("MO-2"), merchant_key("MO-1", "M-2")]
ACTIONS = st.tuples(st.sampled_from(KEYS), st.sampled_from(["a", "b", "c", None]))
SEQUENCES = st.lists(ACTIONS, max_size=30)
SIZES = st.lists(st.integers(1, 8), max_size=30)
FEW = settings(max_examples=examples(90), deadline=None)


@contextmanager
def empty_ledger() -> Iterator[SingleRequestLedger]:
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, open_ledger(Path(folder) / "ledger.db", clock) as ledger:
        set_quota(ledger, 0)
        yield SingleRequestLedger(
            ledger, decision_state.offers_lookup, decision_state.find_existing_ids, partners.terms_lookup
        )


def request_for(action: Action, **more: Any) -> SingleRequest:
    key, name = action
    return delete(key, **more) if name is None else put(key, name, **more)


def requests_for(actions: Sequence[Action]) -> list[SingleRequest]:
    return [request_for(action) for action in actions]


def in_groups(requests: Sequence[SingleRequest], sizes: Sequence[int]) -> Iterator[Sequence[SingleRequest]]:
    """Yields groups of these sizes. The remaining requests are the last group."""
    start = 0
    for size in sizes:
        yield requests[start : start + size]
        start += size
    yield requests[start:]


def execute_in_groups(
    single_requests: SingleRequestLedger, requests: Sequence[SingleRequest], sizes: Sequence[int]
) -> list[Any]:
    """Executes the requests in groups, and returns the outcome and version of each."""
    return outcomes_of([result for group in in_groups(requests, sizes) for result in single_requests.execute(group)])


def inventory_of(ledger: OfferLedger) -> dict[OfferKey, OfferState]:
    """Returns the inventory in the form of the model, and checks that each content is as sent."""
    offers = {}
    with ledger.recorder.read() as tx:
        views = inventory.page(tx, OfferFilter(), Clock().now, 0, 1000).items
    for view in views:
        key = merchant_key(view.external_id, str(view.merchant_id), view.partner)
        name = json.loads(bytes(view.content))["offerName"]
        assert json.loads(bytes(view.content)) == merchant_offer(key, name)
        assert key.offer_uid == view.offer_uid
        assert (view.deleted_at is not None) == (view.status == Status.DELETED)
        offers[key] = OfferState(Status(view.status), name, view.version)
    return offers


def require_histories(ledger: OfferLedger, requests: Sequence[SingleRequest], outcomes: Sequence[Any]) -> None:
    """Checks that each event belongs to a request with the matching outcome, and each such outcome to an event."""
    for key in KEYS:
        with ledger.recorder.read() as tx:
            items = offer_history.page(tx, key.offer_uid, 0, 1000).items
        expected = [
            (request.trace_id, EVENT_OF[outcome[0]], outcome[1])
            for request, outcome in executed(requests, outcomes)
            if request.key == key and outcome[0] in EVENT_OF
        ]
        assert [(item.trace_id, item.type, item.version) for item in items] == expected


def executed(requests: Sequence[SingleRequest], outcomes: Sequence[Any]) -> list[tuple[SingleRequest, Any]]:
    """Returns the requests that were not refused, with the outcome and version of each."""
    return [pair for pair in zip(requests, outcomes, strict=True) if pair[1] is not CountedRefusal]


def require_traces(
    single_requests: SingleRequestLedger, requests: Sequence[SingleRequest], outcomes: Sequence[Any]
) -> None:
    stored = [trace_of(single_requests.ledger, request.trace_id) for request in requests]
    traces = [trace for trace in stored if trace is not None]
    accepted = executed(requests, outcomes)
    assert outcomes_of(traces) == [outcome for _, outcome in accepted]
    assert [(t.trace_id, t.offer_uid, t.traceparent) for t in traces] == [
        (request.trace_id, request.key.offer_uid, request.origin.traceparent) for request, _ in accepted
    ]


@FEW
@given(SEQUENCES, SIZES)
def test_groups_have_the_effects_of_the_model(actions: list[Action], sizes: list[int]) -> None:
    model = SingleRequestModel()
    expected = [model.execute(key, name) for key, name in actions]
    requests = requests_for(actions)
    with empty_ledger() as single_requests:
        assert execute_in_groups(single_requests, requests, sizes) == expected
        assert inventory_of(single_requests.ledger) == model.offers
        require_histories(single_requests.ledger, requests, expected)
        require_traces(single_requests, requests, expected)
        assert quota_used(single_requests) == len(actions)
        assert verify(single_requests.ledger) == []


@FEW
@given(SEQUENCES, SIZES)
def test_groups_have_the_effects_of_requests_one_by_one(actions: list[Action], sizes: list[int]) -> None:
    requests = requests_for(actions)
    with empty_ledger() as grouped, empty_ledger() as single:
        outcomes = execute_in_groups(grouped, requests, sizes)
        assert outcomes == execute_in_groups(single, requests, [1] * len(requests))
        assert recorded(grouped.ledger) == recorded(single.ledger)
        assert quota_used(grouped) == quota_used(single)


versions = st.builds(Versions, st.frozensets(st.integers(1, 3), max_size=2), is_all=st.booleans()) | st.none()
CONDITIONAL = st.lists(st.tuples(ACTIONS, st.builds(Precondition, versions, versions)), max_size=20)


@FEW
@given(CONDITIONAL, SIZES)
def test_condition_refuses_requests_of_other_versions_only(
    conditional: list[tuple[Action, Precondition]], sizes: list[int]
) -> None:
    """A request whose condition holds has its ordinary effect; any other one is counted and changes nothing."""
    model, expected = SingleRequestModel(), []
    for (key, name), condition in conditional:
        version = model.offers[key].version if key in model.offers else 0
        holds = allows(condition.one_of, version, without=True) and not allows(
            condition.none_of, version, without=False
        )
        expected.append(model.execute(key, name) if holds else CountedRefusal)
    requests = [request_for(action, precondition=condition) for action, condition in conditional]
    with empty_ledger() as single_requests:
        assert execute_in_groups(single_requests, requests, sizes) == expected
        assert inventory_of(single_requests.ledger) == model.offers
        require_traces(single_requests, requests, expected)
        assert quota_used(single_requests) == len(requests)
        assert verify(single_requests.ledger) == []


def allows(versions: Versions | None, version: int, *, without: bool) -> bool:
    """Returns whether the versions contain this one; `without` if there is no condition."""
    return without if versions is None else version > 0 and (versions.is_all or version in versions.numbers)


@FEW
@given(SEQUENCES, SIZES)
def test_repeated_requests_change_nothing(actions: list[Action], sizes: list[int]) -> None:
    repeated = [each for action in actions for each in (action, action)]
    with empty_ledger() as single_requests, empty_ledger() as once:
        outcomes = execute_in_groups(single_requests, requests_for(repeated), sizes)
        first = execute_in_groups(once, requests_for(actions), sizes)
        assert outcomes[::2] == first
        for one, other in zip(first, outcomes[1::2], strict=True):
            if one is CountedRefusal:
                assert other is CountedRefusal
            else:
                assert (other[0] in {"unchanged", "unknown"}, other[1]) == (True, one[1])
        assert inventory_of(single_requests.ledger) == inventory_of(once.ledger)
        assert verify(single_requests.ledger) == []


def recorded(ledger: OfferLedger) -> list[tuple[Any, ...]]:
    """Returns the rows of all commits and events, including hashes."""
    with ledger.recorder.read() as tx:
        commits = [tuple(row) for row in tx.execute("SELECT * FROM commits ORDER BY commit_id")]
        return [*commits, *(tuple(row) for row in tx.execute("SELECT * FROM ledger ORDER BY position"))]
