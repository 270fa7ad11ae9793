"""A record that says what the last one said, in the same letters, is not read again, whatever its status says."""

import json
from typing import Any

import pytest
from msgspec import Raw

from api.intake import offers_file
from api.parsing.item_list import read_object
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.run_ledger import RunLedger
from domain.runs.run import OutcomeCounts
from tests.support.histories.offers_files import content_of, document, process, record
from tests.support.histories.runs import LEASE
from tests.support.histories.single_requests import merchant_key

ONE = merchant_key()
DAILY = ["NEW", "NO-CHANGE", "NO-CHANGE", "UPSERT", "UPDATED", "NEW"]


@pytest.fixture
def here(ledger: OfferLedger) -> RunLedger:
    return RunLedger(ledger, "here", LEASE)


@pytest.fixture
def looked_into(monkeypatch: pytest.MonkeyPatch) -> list[Raw]:
    """The records that were."""
    found: list[Raw] = []

    def reading(element: Raw) -> Any:
        found.append(element)
        return read_object(element)

    monkeypatch.setattr(offers_file, "read_object", reading)
    return found


@pytest.mark.parametrize("indent", [None, 2])
def test_of_the_same_offer_on_six_days_one_record_is_looked_into(
    here: RunLedger, looked_into: list[Raw], indent: int | None
) -> None:
    for status in DAILY:
        counts = process(here, document([record(ONE, status)], indent)).counts
        assert counts == (OutcomeCounts(created=1) if status is DAILY[0] else OutcomeCounts(unchanged=1))
        assert len(looked_into) == 1


def test_a_status_that_is_none_is_found_out(here: RunLedger) -> None:
    process(here, document([record(ONE)]))
    assert process(here, document([record(ONE, "GONE")])).counts == OutcomeCounts(failed=1)
    assert process(here, document([record(ONE, "DELETED")])).counts == OutcomeCounts(deleted=1)


@pytest.mark.parametrize("order", ["outer first", "outer last"])
@pytest.mark.parametrize("name", ["offerStatus", "offer\\u0053tatus"])
def test_what_is_called_like_a_status_further_inside_is_content(here: RunLedger, order: str, name: str) -> None:
    members = json.dumps({k: v for k, v in record(ONE).items() if k != "offerStatus"})[1:-1]

    def sent(said: str, inside: str) -> bytes:
        parts = [f'"{name}":"{said}"', members, f'"extra":{{"offerStatus":"{inside}"}}']
        text = ",".join(parts if order == "outer first" else reversed(parts))
        return document(["HERE"]).replace(b'"HERE"', b"{%b}" % text.encode())

    assert process(here, sent("NEW", "NEW")).counts == OutcomeCounts(created=1)
    assert process(here, sent("UPSERT", "NEW")).counts == OutcomeCounts(unchanged=1)
    assert process(here, sent("UPSERT", "UPDATED")).counts == OutcomeCounts(updated=1)
    assert (content_of(here.ledger, ONE) or {})["extra"] == {"offerStatus": "UPDATED"}
