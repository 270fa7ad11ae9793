"""An item that comes again in the same bytes is known by them, and what becomes of it is what would become of any item."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.intake.batch import ValidatedBatch, validate_items
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.run_ledger import RunLedger
from domain.offers.offer import Offer
from domain.runs.batch_reconciliation import RESUMED, SAME_DATA, ValidItem
from domain.runs.run import OutcomeCounts, Run
from domain.store.records.run_outcomes import select_outcome
from domain.values import Channel, Status
from tests.support.examples import PARTNER, batch, body, item, offer_data
from tests.support.harness import carry_out
from tests.support.histories.runs import LEASE, accepted_batch, offer_versions, topics

MAX_ITEMS = 100


@pytest.fixture
def here(ledger: OfferLedger) -> RunLedger:
    return RunLedger(ledger, "here", LEASE)


def known(runs: RunLedger) -> Mapping[str, Offer]:
    with runs.ledger.recorder.read() as tx:
        return runs.ledger.known_offers(tx, PARTNER, Channel.CUSTOM, None)


def judged(runs: RunLedger, sent: bytes) -> ValidatedBatch:
    return validate_items(lambda: [sent], lambda _: known(runs))


def carried_out(runs: RunLedger, items: Sequence[Any], operation: str = "Insert") -> Run:
    return carry_out(runs, accepted_batch(runs, batch(operation, items)))


def told(runs: RunLedger, run: Run) -> list[tuple[str, str, list[str]]]:
    """What became of each item: kind, externalId, messages."""
    with runs.ledger.recorder.read() as tx:
        parts = list(select_outcome(tx, run.run_id))
    return [(p.outcome, told["externalId"], told["messages"]) for p in parts for told in json.loads(p.items)]


def test_an_item_in_the_same_bytes_is_judged_as_the_first_time(here: RunLedger) -> None:
    sent = body(batch("Insert", [item("TP-1")]))
    (first,) = judged(here, sent).items
    carried_out(here, [item("TP-1")])
    (again,) = judged(here, sent).items
    assert isinstance(again, ValidItem)
    assert (again, again.remarks) == (first, ())


def test_an_item_in_the_same_bytes_is_not_looked_into() -> None:
    broken = b'{"externalId":"TP-1","offerData":{"headline":""}}'
    offer = Offer(Status.ACTIVE, 1, 1, "what the ledger says of it", hashlib.sha256(broken).hexdigest())
    sent = b'{"concurrencyRequestId":"%b","operation":"Insert","offers":[%b]}' % (str(uuid4()).encode(), broken)
    (item,) = validate_items(lambda: [sent], lambda _: {"TP-1": offer}).items
    assert isinstance(item, ValidItem)
    assert (item.external_id, item.content.digest) == ("TP-1", "what the ledger says of it")
    assert bytes(item.content.text) == b'{"headline":""}'


def test_an_item_in_other_bytes_is_looked_into_and_says_the_same(here: RunLedger) -> None:
    carried_out(here, [item("TP-1")])
    ended = carried_out(here, [dict(reversed(item("TP-1").items()))])
    assert told(here, ended) == [("unchanged", "TP-1", [SAME_DATA])]


def test_the_digest_of_a_request_is_the_same_whether_its_items_are_known_or_not(here: RunLedger) -> None:
    sent = body(batch("Insert", [item("TP-1"), item("TP-2", offerLink="no link")]))
    before = judged(here, sent).request_digest
    carried_out(here, [item("TP-1")])
    assert judged(here, sent).request_digest == before == validate_items(lambda: [sent]).request_digest


def test_a_paused_offer_that_comes_again_in_the_same_bytes_is_resumed(here: RunLedger) -> None:
    carried_out(here, [item("TP-1"), item("TP-2")])
    carried_out(here, [item("TP-2")], "Synchronize")
    ended = carried_out(here, [item("TP-1")])
    assert told(here, ended) == [("updated", "TP-1", [RESUMED])]
    assert offer_versions(here.ledger) == {"TP-1": 3, "TP-2": 1}


def test_an_offer_that_goes_back_to_bytes_before_the_last_ones_is_updated(here: RunLedger) -> None:
    carried_out(here, [item("TP-1")])
    carried_out(here, [item("TP-1", headline="Open two jars")])
    assert carried_out(here, [item("TP-1")]).counts == OutcomeCounts(updated=1)
    assert carried_out(here, [item("TP-1")]).counts == OutcomeCounts(unchanged=1)
    assert topics(here.ledger) == ["OfferCreated", "OfferUpdated", "OfferUpdated"]


def test_copies_in_the_same_bytes_count_once(here: RunLedger) -> None:
    assert told(here, carried_out(here, [item("TP-1")] * 3)) == [("created", "TP-1", [])]
    assert told(here, carried_out(here, [item("TP-1")] * 3)) == [("unchanged", "TP-1", [SAME_DATA])]


def test_a_known_item_and_a_copy_with_other_content_are_both_refused(here: RunLedger) -> None:
    carried_out(here, [item("TP-1")])
    ended = carried_out(here, [item("TP-1"), item("TP-1", headline="Open two jars")])
    assert [kind for kind, _, _ in told(here, ended)] == ["failed"]
    assert offer_versions(here.ledger) == {"TP-1": 1}


def test_an_item_with_something_to_remark_upon_gives_its_remark_every_time(here: RunLedger) -> None:
    sent = item("TP-1") | {"comment": 1}
    remark = "comment: ignored, not a member of an offer"
    assert told(here, carried_out(here, [sent])) == [("created", "TP-1", [remark])]
    for _ in range(2):
        assert told(here, carried_out(here, [sent])) == [("unchanged", "TP-1", [SAME_DATA, remark])]


def test_the_bytes_of_another_offer_are_not_those_of_this_one(here: RunLedger) -> None:
    carried_out(here, [item("TP-1"), item("TP-2", headline="Open two jars")])
    ended = carried_out(here, [item("TP-2")])
    assert told(here, ended) == [("updated", "TP-2", [])]


def test_an_item_that_was_refused_is_refused_again(here: RunLedger) -> None:
    first = told(here, carried_out(here, [item("TP-1", offerLink="no link")]))
    assert told(here, carried_out(here, [item("TP-1", offerLink="no link")])) == first
    assert [kind for kind, _, _ in first] == ["failed"]


def test_both_forms_of_offer_data_are_known_by_their_bytes(here: RunLedger) -> None:
    sent = {"externalId": "TP-1", "offerData": offer_data()}
    carried_out(here, [sent])
    assert known(here)["TP-1"].sent_digest
    assert carried_out(here, [sent]).counts == OutcomeCounts(unchanged=1)


ITEMS = st.builds(
    lambda number, headline, extra, cap: item(f"TP-{number}", headline=headline, dailyCap=cap) | extra,
    st.integers(1, 3),
    st.sampled_from(["Open a jar", "Open two jars", ""]),
    st.sampled_from([{}, {}, {"comment": 1}]),
    st.sampled_from([50, 50.0, None]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(["Insert", "Synchronize"]), st.lists(ITEMS, min_size=1, max_size=4)), max_size=4)
)
def test_knowing_items_by_their_bytes_changes_no_judgement(
    here: RunLedger, batches: list[tuple[str, list[Any]]]
) -> None:
    for operation, items in batches:
        sent = body(batch(operation, items))
        with_known, without = judged(here, sent), validate_items(lambda sent=sent: [sent])  # type: ignore[misc]
        assert with_known == without
        carried_out(here, items, operation)
