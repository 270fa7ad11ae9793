"""An item with the same bytes as before is not parsed again, and has the same outcome as if it were."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.bounds.body import BodyBounds
from api.intake.batch import ValidatedBatch, validate_items
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.run_ledger import RunLedger
from domain.offers.offer import Offer
from domain.runs.batch_reconciliation import RESUMED, SAME_DATA, ValidItem
from domain.runs.run import OutcomeCounts, Run
from domain.store.records.run_outcomes import select_outcome
from domain.values import Channel, Status
from tests.support.examples import PARTNER, batch, body, item, offer_data
from tests.support.harness import execute_run
from tests.support.histories.runs import LEASE, accepted_batch, offer_topics, offer_versions

MAX_ITEMS = 100


@pytest.fixture
def runs(ledger: OfferLedger) -> RunLedger:
    return RunLedger(ledger, "this process", LEASE)


def known(runs: RunLedger) -> Mapping[str, Offer]:
    with runs.ledger.recorder.read() as tx:
        return runs.ledger.known_offers(tx, PARTNER, Channel.CUSTOM, None)


def validate(runs: RunLedger, sent: bytes) -> ValidatedBatch:
    return validate_items(lambda: [sent], BodyBounds(), lambda _: known(runs))


def execute(runs: RunLedger, items: Sequence[Any], operation: str = "Insert") -> Run:
    return execute_run(runs, accepted_batch(runs, batch(operation, items)))


def outcomes(runs: RunLedger, run: Run) -> list[tuple[str, str, list[str]]]:
    """Returns the kind, externalId and messages of each item of a run."""
    with runs.ledger.recorder.read() as tx:
        parts = list(select_outcome(tx, run.run_id))
    return [(p.outcome, i["externalId"], i["messages"]) for p in parts for i in json.loads(p.items)]


def test_item_in_the_same_bytes_is_validated_alike(runs: RunLedger) -> None:
    sent = body(batch("Insert", [item("TP-1")]))
    (first,) = validate(runs, sent).items
    execute(runs, [item("TP-1")])
    (second,) = validate(runs, sent).items
    assert isinstance(second, ValidItem)
    assert (second, second.remarks) == (first, ())


def test_item_in_the_same_bytes_is_not_parsed() -> None:
    broken = b'{"externalId":"TP-1","offerData":{"headline":""}}'
    offer = Offer(Status.ACTIVE, 1, 1, "the digest in the ledger", hashlib.sha256(broken).hexdigest())
    sent = b'{"concurrencyRequestId":"%b","operation":"Insert","offers":[%b]}' % (str(uuid4()).encode(), broken)
    (item,) = validate_items(lambda: [sent], BodyBounds(), lambda _: {"TP-1": offer}).items
    assert isinstance(item, ValidItem)
    assert (item.external_id, item.content.digest) == ("TP-1", "the digest in the ledger")
    assert bytes(item.content.text) == b'{"headline":""}'


def test_equal_item_in_other_bytes_is_unchanged(runs: RunLedger) -> None:
    execute(runs, [item("TP-1")])
    run = execute(runs, [dict(reversed(item("TP-1").items()))])
    assert outcomes(runs, run) == [("unchanged", "TP-1", [SAME_DATA])]


def test_request_digest_does_not_depend_on_stored_offers(runs: RunLedger) -> None:
    sent = body(batch("Insert", [item("TP-1"), item("TP-2", offerLink="no link")]))
    before = validate(runs, sent).request_digest
    execute(runs, [item("TP-1")])
    assert validate(runs, sent).request_digest == before == validate_items(lambda: [sent], BodyBounds()).request_digest


def test_paused_offer_in_the_same_bytes_is_resumed(runs: RunLedger) -> None:
    execute(runs, [item("TP-1"), item("TP-2")])
    execute(runs, [item("TP-2")], "Synchronize")
    run = execute(runs, [item("TP-1")])
    assert outcomes(runs, run) == [("updated", "TP-1", [RESUMED])]
    assert offer_versions(runs.ledger) == {"TP-1": 3, "TP-2": 1}


def test_offer_with_bytes_of_an_earlier_version_is_updated(runs: RunLedger) -> None:
    execute(runs, [item("TP-1")])
    execute(runs, [item("TP-1", headline="Open two jars")])
    assert execute(runs, [item("TP-1")]).counts == OutcomeCounts(updated=1)
    assert execute(runs, [item("TP-1")]).counts == OutcomeCounts(unchanged=1)
    assert offer_topics(runs.ledger) == ["OfferCreated", "OfferUpdated", "OfferUpdated"]


def test_copies_in_the_same_bytes_count_once(runs: RunLedger) -> None:
    sent = "Sent 3 times"
    assert outcomes(runs, execute(runs, [item("TP-1")] * 3)) == [("created", "TP-1", [sent])]
    assert outcomes(runs, execute(runs, [item("TP-1")] * 3)) == [("unchanged", "TP-1", [SAME_DATA, sent])]


def test_stored_item_and_a_differing_copy_both_fail(runs: RunLedger) -> None:
    execute(runs, [item("TP-1")])
    run = execute(runs, [item("TP-1"), item("TP-1", headline="Open two jars")])
    assert [kind for kind, _, _ in outcomes(runs, run)] == ["failed"]
    assert offer_versions(runs.ledger) == {"TP-1": 1}


def test_item_with_a_remark_gets_it_every_time(runs: RunLedger) -> None:
    sent = item("TP-1") | {"comment": 1}
    remark = "comment: ignored, not a member of an offer"
    assert outcomes(runs, execute(runs, [sent])) == [("created", "TP-1", [remark])]
    for _ in range(2):
        assert outcomes(runs, execute(runs, [sent])) == [("unchanged", "TP-1", [SAME_DATA, remark])]


def test_bytes_of_another_offer_do_not_match(runs: RunLedger) -> None:
    execute(runs, [item("TP-1"), item("TP-2", headline="Open two jars")])
    run = execute(runs, [item("TP-2")])
    assert outcomes(runs, run) == [("updated", "TP-2", [])]


def test_failed_item_fails_every_time(runs: RunLedger) -> None:
    first = outcomes(runs, execute(runs, [item("TP-1", offerLink="no link")]))
    assert outcomes(runs, execute(runs, [item("TP-1", offerLink="no link")])) == first
    assert [kind for kind, _, _ in first] == ["failed"]


def test_both_forms_of_offer_data_store_their_digest(runs: RunLedger) -> None:
    sent = {"externalId": "TP-1", "offerData": offer_data()}
    execute(runs, [sent])
    assert known(runs)["TP-1"].sent_digest
    assert execute(runs, [sent]).counts == OutcomeCounts(unchanged=1)


ITEMS = st.builds(
    lambda number, headline, extra, cap, more: item(f"TP-{number}", headline=headline, dailyCap=cap, **more) | extra,
    st.integers(1, 3),
    st.sampled_from(["Open a jar", "Open two jars", ""]),
    st.sampled_from([{}, {}, {"comment": 1}]),
    st.sampled_from([50, 50.0, "50", None]),
    st.sampled_from([{}, {}, {"id": 2**60}, {"id": 2**60 + 1}, {"id": 10**40}, {"hedline": "x"}]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(["Insert", "Synchronize"]), st.lists(ITEMS, min_size=1, max_size=4)), max_size=4)
)
def test_stored_offers_do_not_change_the_validation(runs: RunLedger, batches: list[tuple[str, list[Any]]]) -> None:
    for operation, items in batches:
        sent = body(batch(operation, items))
        with_known, without_known = validate(runs, sent), validate_items(lambda sent=sent: [sent], BodyBounds())  # type: ignore[misc]
        assert with_known == without_known
        execute(runs, items, operation)
