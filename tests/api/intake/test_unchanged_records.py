"""A record with the same bytes as before, except for its status, is not parsed again."""

import json
from typing import Any

import pytest
from msgspec import Raw

from api.intake import offers_file
from api.parsing.item_list import read_object
from api.validation.known_members import KnownMembers
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.run_ledger import RunLedger
from domain.runs.run import OutcomeCounts
from tests.support.histories.offers_files import content_of, document, process, record
from tests.support.histories.runs import LEASE
from tests.support.histories.single_requests import merchant_key

ONE = merchant_key()
DAILY = ["NEW", "NO-CHANGE", "NO-CHANGE", "UPSERT", "UPDATED", "NEW"]


@pytest.fixture
def runs(ledger: OfferLedger) -> RunLedger:
    return RunLedger(ledger, "this process", LEASE)


@pytest.fixture
def parsed_records(monkeypatch: pytest.MonkeyPatch) -> list[Raw]:
    """The records that were parsed."""
    records: list[Raw] = []

    def recording_read(element: Raw, known: KnownMembers) -> Any:
        records.append(element)
        return read_object(element, known)

    monkeypatch.setattr(offers_file, "read_object", recording_read)
    return records


@pytest.mark.parametrize("indent", [None, 2])
def test_unchanged_record_is_parsed_on_the_first_day_only(
    runs: RunLedger, parsed_records: list[Raw], indent: int | None
) -> None:
    for day, status in enumerate(DAILY):
        counts = process(runs, document([record(ONE, status)], indent)).counts
        assert counts == (OutcomeCounts(unchanged=1) if day else OutcomeCounts(created=1))
        assert len(parsed_records) == 1


def test_unknown_status_of_an_unchanged_record_fails(runs: RunLedger) -> None:
    process(runs, document([record(ONE)]))
    assert process(runs, document([record(ONE, "GONE")])).counts == OutcomeCounts(failed=1)
    assert process(runs, document([record(ONE, "DELETED")])).counts == OutcomeCounts(deleted=1)


@pytest.mark.parametrize("order", ["outer first", "outer last"])
@pytest.mark.parametrize("name", ["offerStatus", "offer\\u0053tatus"])
def test_nested_member_named_like_the_status_is_content(runs: RunLedger, order: str, name: str) -> None:
    members = json.dumps({k: v for k, v in record(ONE).items() if k != "offerStatus"})[1:-1]

    def sent(status: str, nested: str) -> bytes:
        parts = [f'"{name}":"{status}"', members, f'"extra":{{"offerStatus":"{nested}"}}']
        text = ",".join(parts if order == "outer first" else reversed(parts))
        return document(["HERE"]).replace(b'"HERE"', b"{%b}" % text.encode())

    assert process(runs, sent("NEW", "NEW")).counts == OutcomeCounts(created=1)
    assert process(runs, sent("UPSERT", "NEW")).counts == OutcomeCounts(unchanged=1)
    assert process(runs, sent("UPSERT", "UPDATED")).counts == OutcomeCounts(updated=1)
    assert (content_of(runs.ledger, ONE) or {})["extra"] == {"offerStatus": "UPDATED"}
