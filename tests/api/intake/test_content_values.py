"""A content has a limited number of values. They are counted before they are decoded."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from api.bounds.body import BodyBounds
from api.http.problems import Problem
from api.intake import batch, merchant_offer, offers_file, previews
from api.intake.batch import validate_items
from api.intake.merchant_offer import read_offer
from api.intake.offers_file import validate_record
from api.settings import Settings
from domain.offers.offer import Offer
from domain.offers.value_count import MAX_VALUES
from domain.runs.batch_reconciliation import InvalidItem, ValidItem
from domain.runs.file_reconciliation import InvalidRecord, ValidRecord
from domain.values import Status
from tests.support.calls.merchants import merchant_offer as offer
from tests.support.calls.merchants import put, used_quota
from tests.support.examples import batch as batch_of
from tests.support.examples import body, item
from tests.support.harness import Caller
from tests.support.histories.single_requests import merchant_key

BOUND = "(OFFER_LEDGER_MAX_CONTENT_VALUES)"


def with_values(content: dict[str, Any], count: int) -> dict[str, Any]:
    """Returns the content with as many more values in an unknown member as make it this many."""
    missing = count - values_of(content) - 1
    return content | {"more": [0] * missing}


def values_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(values_of, inner))


def validated(element: bytes) -> ValidItem | InvalidItem:
    (sent,) = validate_items(
        lambda: [body(batch_of("Insert", ["HERE"])).replace(b'"HERE"', element)], BodyBounds()
    ).items
    return sent


@pytest.mark.parametrize("is_list", [True, False])
def test_item_with_most_values_is_valid_and_more_fail(is_list: bool) -> None:
    for count, kind in ((MAX_VALUES, ValidItem), (MAX_VALUES + 1, InvalidItem)):
        content = with_values(item()["offerData"][0], count)
        sent = validated(body({"externalId": "TP-1", "offerData": [content] if is_list else content}))
        assert (type(sent), sent.external_id) == (kind, "TP-1")


def test_item_with_very_many_values_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "read_object", None)
    monkeypatch.setattr(previews, "_decode_preview", None)
    sent = validated(body(item(more=[[]] * (MAX_VALUES + 200))))
    assert isinstance(sent, InvalidItem)
    assert sent.messages == (f"must have at most {MAX_VALUES} values {BOUND}",)


@pytest.mark.parametrize("other", ['"externalId":"TP-2"', r'"externalI\u0064":"TP-2"', '"x":{"externalId":"TP-2"}'])
def test_item_that_may_have_another_id_has_none(other: str) -> None:
    element = b'{"externalId":"TP-1",%b,"offerData":%b}' % (other.encode(), json.dumps([0] * 20_000).encode())
    sent = validated(element)
    assert (sent.external_id, sent.messages[0][:10]) == (None, "offers[0]:")  # type: ignore[union-attr]


def test_record_with_most_values_is_valid_and_more_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    for count, kind in ((MAX_VALUES, ValidRecord), (MAX_VALUES + 1, InvalidRecord)):
        element = with_values(offer(), count) | {"offerStatus": "NEW"}
        record = validate_record(Raw(body(element)), 0, {}, BodyBounds())
        assert (type(record), record.external_id) == (kind, offer()["offerId"])
        monkeypatch.setattr(offers_file, "read_object", None)  # the second record is not decoded


def test_put_with_most_values_is_valid_and_more_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    key = merchant_key(offer()["offerId"], offer()["merchantId"])
    read_offer(body(with_values(offer(), MAX_VALUES)), key, BodyBounds())
    monkeypatch.setattr(merchant_offer, "read_document", None)
    with pytest.raises(Problem) as refused:
        read_offer(body(with_values(offer(), MAX_VALUES + 1)), key, BodyBounds())
    assert BOUND in refused.value.errors[0].message


class TestSetting:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", max_content_values=50)

    def test_put_beyond_the_setting_is_400_and_counts(self, partner: Caller) -> None:
        assert put(partner, with_values(offer(), 50)).status_code == 202
        before = used_quota(partner)
        reply = put(partner, with_values(offer(), 51))
        assert (reply.status_code, BOUND in reply.json()["errors"][0]["message"]) == (400, True)
        assert used_quota(partner) == before + 1


def test_stored_content_beyond_the_bound_fails_when_it_is_repeated() -> None:
    element = body(item(more=[0] * 60))
    offer = Offer(Status.ACTIVE, 1, 1, "the digest in the ledger", hashlib.sha256(element).hexdigest())
    sent = body(batch_of("Synchronize", ["HERE"])).replace(b'"HERE"', element)
    now = validate_items(lambda: [sent], BodyBounds(max_values=50), lambda _: {"TP-1": offer}).items
    assert [(type(each), each.external_id) for each in now] == [(InvalidItem, "TP-1")]
