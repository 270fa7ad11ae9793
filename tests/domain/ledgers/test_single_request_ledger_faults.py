"""Does a request that goes wrong take exactly as much with it as it should, and do images come with their events only?"""

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping
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
from domain.store.cursor import Cursor
from domain.values import OfferKey
from projections.access import partners
from projections.maintenance.verification import verify
from projections.offers import decision_state, inventory
from tests.support.engine import only_sqlite
from tests.support.harness import Clock
from tests.support.histories.runs import rows
from tests.support.histories.single_requests import (
    asking,
    delete,
    left,
    merchant_key,
    merchant_offer,
    put,
    set_quota,
    told,
    trace_of,
)

pytestmark = only_sqlite

ONE, TWO = merchant_key("MO-1"), merchant_key("MO-2")
CREATED = TraceOutcome.CREATED
UNCHANGED = TraceOutcome.UNCHANGED
PICTURE = "QUJD" * MIN_LITERAL_BYTES


@pytest.fixture(autouse=True)
def _everything_agrees(service: Service) -> Iterator[None]:
    yield
    assert verify(service.ledger) == []


def overlooking(service: Service, key: OfferKey) -> SingleRequestLedger:
    """The requests of a ledger in which this offer is not found, though it is there."""

    def find(tx: Cursor, uids: Collection[UUID]) -> Mapping[UUID, Offer]:
        return decision_state.find_offers(tx, set(uids) - {key.offer_uid})

    return SingleRequestLedger(service.ledger, find, partners.find_terms)


def everything(ledger: OfferLedger) -> tuple[str, ...]:
    """The whole database as SQL."""
    connection = sqlite3.connect(ledger.recorder._database.database)  # type: ignore[attr-defined]
    try:
        return tuple(connection.iterdump())
    finally:
        connection.close()


# Faults


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_clash_takes_every_request_of_its_transaction_back(service: Service, at: int) -> None:
    service.single_requests.execute([put(ONE, "a"), put(TWO, "a")])
    before = everything(service.ledger)
    requests = [put(TWO, "b"), delete(TWO)]
    requests.insert(at, illustrated(ONE))
    with pytest.raises(VersionConflict):
        overlooking(service, ONE).execute(requests)
    assert everything(service.ledger) == before
    assert [trace_of(service.ledger, request.trace_id) for request in requests] == [None] * 3
    assert told(service.single_requests.execute(requests)[:1]) == [(TraceOutcome.UPDATED, 2)]


def test_a_trace_id_is_used_once(service: Service) -> None:
    request = put(ONE)
    service.single_requests.execute([request])
    before = everything(service.ledger)
    with pytest.raises(VersionConflict):
        service.single_requests.execute([put(TWO), request])
    assert everything(service.ledger) == before


# Images


def test_an_image_is_kept_once_and_shown_in_its_place(service: Service) -> None:
    requests = [illustrated(ONE), illustrated(TWO), illustrated(TWO, name="Open two jars")]
    assert told(service.single_requests.execute(requests)) == [(CREATED, 1), (CREATED, 1), (TraceOutcome.UPDATED, 2)]
    assert rows(service.ledger, "images") == 1
    for key, name in ((ONE, "Open a jar"), (TWO, "Open two jars")):
        with service.ledger.recorder.read() as tx:
            view = inventory.find(tx, key.offer_uid, Clock().now)
        assert view is not None
        assert json.loads(bytes(view.content)) == merchant_offer(key, name, {"content": PICTURE})


def test_what_changes_nothing_brings_no_image(service: Service) -> None:
    """The same picture in another spelling is another image, but says the same."""
    service.single_requests.execute([illustrated(ONE)])
    again = illustrated(ONE, spelling=rf"\u{ord(PICTURE[0]):04x}{PICTURE[1:]}")
    assert told(service.single_requests.execute([again])) == [(UNCHANGED, 1)]
    assert rows(service.ledger, "images") == 1


def test_what_is_refused_brings_no_image(service: Service) -> None:
    set_quota(service.ledger, 1)
    results = service.single_requests.execute([put(ONE), illustrated(TWO), illustrated(merchant_key(partner="nobody"))])
    assert told(results) == [(CREATED, 1), DailyQuotaExceeded, UnknownPartner]
    assert left(service.ledger)["images"] == 0


def test_an_image_stays_when_its_offer_goes_and_is_there_when_it_comes_back(service: Service) -> None:
    requests = [illustrated(ONE), delete(ONE), illustrated(ONE)]
    assert told(service.single_requests.execute(requests))[-1] == (TraceOutcome.RESTORED, 3)
    assert rows(service.ledger, "images") == 1


def illustrated(key: OfferKey, name: str = "Open a jar", spelling: str = PICTURE) -> SingleRequest:
    """A PUT with an inline image, which is spelt like this in its body."""
    offer = merchant_offer(key, name, {"content": PICTURE})
    text, images = extract(json.dumps(offer).replace(PICTURE, spelling).encode())
    assert images
    return asking(key, Put(SentContent(Raw(text), digest(offer), images=tuple(i.digest for i in images)), images))
