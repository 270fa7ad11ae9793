"""Tests of failing single requests, which roll back their transaction, and of images."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from msgspec import Raw

from api.service import Service
from domain.ledgers.ledger import OfferLedger, VersionConflict
from domain.ledgers.single_request_ledger import SingleRequestLedger
from domain.offers.content import SentContent, digest
from domain.offers.images import MIN_LITERAL_BYTES, extract
from domain.offers.offer import Offer
from domain.refusals import DailyQuotaExceeded, UnknownPartner
from domain.single_requests.request import Put, SingleRequest, TraceOutcome
from domain.store.cursor import Condition, Lookup
from domain.store.sqlite.driver import connect
from domain.values import OfferKey
from projections.access import partners
from projections.maintenance.verification import verify
from projections.offers import decision_state, inventory
from tests.support.engine import only_sqlite
from tests.support.harness import Clock
from tests.support.histories.runs import count_rows
from tests.support.histories.single_requests import (
    delete,
    merchant_key,
    merchant_offer,
    outcomes_of,
    put,
    set_quota,
    single_request,
    stored_rows,
    trace_of,
)

pytestmark = only_sqlite

ONE, TWO = merchant_key("MO-1"), merchant_key("MO-2")
CREATED = TraceOutcome.CREATED
UNCHANGED = TraceOutcome.UNCHANGED
PICTURE = "QUJD" * MIN_LITERAL_BYTES


@pytest.fixture(autouse=True)
def _verify_projections(service: Service) -> Iterator[None]:
    yield
    assert verify(service.ledger) == []


def ledger_without(service: Service, key: OfferKey) -> SingleRequestLedger:
    """Returns a ledger of single requests that does not find this existing offer."""

    def others_lookup(uids: Condition) -> Lookup[dict[UUID, Offer]]:
        read = decision_state.offers_lookup(uids)
        return read._replace(
            result=lambda rows: {uid: offer for uid, offer in read.result(rows).items() if uid != key.offer_uid}
        )

    return SingleRequestLedger(service.ledger, others_lookup, decision_state.find_existing_ids, partners.terms_lookup)


def tables(ledger: OfferLedger) -> dict[str, list[Any]]:
    """Returns the rows of all tables."""
    with closing(connect(ledger.recorder._database.database)) as connection:  # type: ignore[attr-defined]
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {str(name): connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names}


# Faults


@pytest.mark.parametrize("at", [0, 1, 2])
def test_version_conflict_rolls_back_all_requests_of_the_transaction(service: Service, at: int) -> None:
    service.single_requests.execute([put(ONE, "a"), put(TWO, "a")])
    before = tables(service.ledger)
    requests = [put(TWO, "b"), delete(TWO)]
    requests.insert(at, illustrated(ONE))
    with pytest.raises(VersionConflict):
        ledger_without(service, ONE).execute(requests)
    assert tables(service.ledger) == before
    assert [trace_of(service.ledger, request.trace_id) for request in requests] == [None] * 3
    assert outcomes_of(service.single_requests.execute(requests)[:1]) == [(TraceOutcome.UPDATED, 2)]


def test_trace_id_can_be_used_only_once(service: Service) -> None:
    request = put(ONE)
    service.single_requests.execute([request])
    before = tables(service.ledger)
    with pytest.raises(VersionConflict):
        service.single_requests.execute([put(TWO), request])
    assert tables(service.ledger) == before


# Images


def test_image_is_stored_once_and_restored_in_contents(service: Service) -> None:
    requests = [illustrated(ONE), illustrated(TWO), illustrated(TWO, name="Open two jars")]
    assert outcomes_of(service.single_requests.execute(requests)) == [
        (CREATED, 1),
        (CREATED, 1),
        (TraceOutcome.UPDATED, 2),
    ]
    assert count_rows(service.ledger, "images") == 1
    for key, name in ((ONE, "Open a jar"), (TWO, "Open two jars")):
        with service.ledger.recorder.read() as tx:
            view = inventory.find(tx, key.offer_uid, Clock().now)
        assert view is not None
        assert json.loads(bytes(view.content)) == merchant_offer(key, name, {"content": PICTURE})


def test_request_without_effect_stores_no_image(service: Service) -> None:
    """A picture in another spelling is another image, but the same content."""
    service.single_requests.execute([illustrated(ONE)])
    repeated = illustrated(ONE, spelling=rf"\u{ord(PICTURE[0]):04x}{PICTURE[1:]}")
    assert outcomes_of(service.single_requests.execute([repeated])) == [(UNCHANGED, 1)]
    assert count_rows(service.ledger, "images") == 1


def test_refused_request_stores_no_image(service: Service) -> None:
    set_quota(service.ledger, 1)
    results = service.single_requests.execute([put(ONE), illustrated(TWO), illustrated(merchant_key(partner="nobody"))])
    assert outcomes_of(results) == [(CREATED, 1), DailyQuotaExceeded, UnknownPartner]
    assert stored_rows(service.ledger)["images"] == 0


def test_image_remains_after_deletion_of_its_offer(service: Service) -> None:
    requests = [illustrated(ONE), delete(ONE), illustrated(ONE)]
    assert outcomes_of(service.single_requests.execute(requests))[-1] == (TraceOutcome.RESTORED, 3)
    assert count_rows(service.ledger, "images") == 1


def illustrated(key: OfferKey, name: str = "Open a jar", spelling: str = PICTURE) -> SingleRequest:
    """Returns a PUT with an inline image, with this spelling in its body."""
    offer = merchant_offer(key, name, {"content": PICTURE})
    text, images = extract(json.dumps(offer).replace(PICTURE, spelling).encode())
    assert images
    return single_request(
        key, Put(SentContent(Raw(text), digest(offer), images=tuple(i.digest for i in images)), images)
    )
