"""Two bodies are the same request if they have the same operation and items, in any spelling."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from api.bounds.body import BodyBounds
from api.http.problems import Problem
from api.parsing.array_splitter import Body
from api.runs.execution import is_same_request
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.run_ledger import RunLedger
from domain.runs.run import Run
from tests.support.examples import batch, body, item
from tests.support.harness import execute_run
from tests.support.histories.runs import LEASE, PROBLEM, accepted_batch

MAX_ITEMS = 100
SENT = batch("Insert", [item("TP-1", dailyCap=50), item("TP-2", headline="Öffne 😀")])


@pytest.fixture
def here(ledger: OfferLedger) -> RunLedger:
    return RunLedger(ledger, "here", LEASE)


@pytest.fixture(params=["unfinished", "finished"])
def earlier(here: RunLedger, request: pytest.FixtureRequest) -> Run:
    run = accepted_batch(here, SENT)
    return run if request.param == "unfinished" else execute_run(here, run)


def in_memory(sent: bytes) -> Body:
    return lambda: [sent]


def reversed_members(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reversed_members(value[name]) for name in reversed(value)}
    return [reversed_members(element) for element in value] if isinstance(value, list) else value


def changed(**changes: Any) -> bytes:
    return body({**SENT, **changes})


@pytest.mark.parametrize(
    "respelt",
    [
        body(SENT),
        json.dumps(SENT, indent=4).encode(),
        json.dumps(SENT, separators=(",", ":")).encode(),
        json.dumps(SENT, ensure_ascii=False).encode(),
        json.dumps(SENT, sort_keys=True).encode(),
        body(reversed_members(SENT)),
        body(SENT).replace(b'"dailyCap": 50', b'"dailyCap": 5.0e1'),
        body(SENT).replace(b'"keyPoints": null', b'"keyPoints": null, "offerEvents": []'),
        changed(offers=[{**sent, "offerData": sent["offerData"][0]} for sent in SENT["offers"]]),
        changed(comment="ignored"),
    ],
)
def test_other_spelling_is_the_same_request(here: RunLedger, earlier: Run, respelt: bytes) -> None:
    assert is_same_request(here, earlier, in_memory(respelt), BodyBounds())


@pytest.mark.parametrize(
    "other",
    [
        changed(operation="Synchronize"),
        changed(offers=SENT["offers"][:1]),
        changed(offers=[*SENT["offers"], item("TP-3")]),
        changed(offers=[item("TP-1", dailyCap=51), SENT["offers"][1]]),
        changed(offers=[item("TP-9", dailyCap=50), SENT["offers"][1]]),
        changed(offers=[item("TP-1", dailyCap="50"), SENT["offers"][1]]),
    ],
)
def test_other_operation_or_items_are_another_request(here: RunLedger, earlier: Run, other: bytes) -> None:
    assert not is_same_request(here, earlier, in_memory(other), BodyBounds())


def test_invalid_item_is_compared_byte_for_byte(here: RunLedger) -> None:
    sent = batch("Insert", [{"externalId": "TP-1", "offerData": []}])
    earlier = accepted_batch(here, sent)
    spaced = json.dumps(sent, separators=(" , ", ":")).encode()
    assert is_same_request(here, earlier, in_memory(body(sent | {"comment": 1})), BodyBounds())
    assert not is_same_request(here, earlier, in_memory(spaced), BodyBounds())


def test_no_request_is_the_same_as_a_failed_run(here: RunLedger) -> None:
    earlier = here.fail(accepted_batch(here, SENT), PROBLEM)
    assert not is_same_request(here, earlier, in_memory(body(SENT)), BodyBounds())


def test_body_may_come_in_any_blocks(here: RunLedger, earlier: Run) -> None:
    respelt = json.dumps(SENT, indent=1).encode()
    assert is_same_request(here, earlier, lambda: [respelt[:100], respelt[100:]], BodyBounds())


@pytest.mark.parametrize("ends", ["completed", "failed"])
def test_run_that_ends_during_the_comparison_counts_as_finished(here: RunLedger, ends: str) -> None:
    earlier = accepted_batch(here, SENT)

    def sent() -> Iterable[bytes]:
        run = here.find(earlier.run_id)
        if run and not run.is_finished:
            execute_run(here, run) if ends == "completed" else here.fail(run, PROBLEM)
        return [body(SENT)]

    assert is_same_request(here, earlier, sent, BodyBounds()) == (ends == "completed")


def test_invalid_body_is_refused(here: RunLedger, earlier: Run) -> None:
    with pytest.raises(Problem):
        is_same_request(here, earlier, in_memory(b"nonsense"), BodyBounds())


def test_comparison_changes_nothing(here: RunLedger, earlier: Run) -> None:
    is_same_request(here, earlier, in_memory(body(SENT)), BodyBounds())
    assert here.find(earlier.run_id) == earlier
